"""What JupyterLab does in the image when it starts.

The image's own folders are read-only, and the home directory may be a volume that outlives the pod.
"""

import json
import os
import shutil
import site
import sysconfig
import tempfile
import venv
from pathlib import Path
from urllib.parse import urlsplit

c = get_config()  # noqa: F821 (Jupyter's)
c.ServerApp.root_dir = str(Path.home())

# Examples that are there stay as they are, for somebody may have changed them. The welcome page
# tells of this image, and the volume may be one that an older image has filled.
examples = Path.home() / "examples"
examples.mkdir(exist_ok=True)
for source in Path("/opt/aer-dask/notebooks").glob("*"):
    if source.name == "welcome.md" or not (examples / source.name).exists():
        shutil.copy(source, examples)
c.LabApp.default_url = "lab/tree/examples/welcome.md"

# What `%pip install` fills is an environment of its own, or pip would refuse to replace and remove
# there; it knows the image's packages by a .pth file. To kernels it is Python's folder for a user's
# packages, behind the image's (see the Dockerfile).
venv.create(site.getuserbase(), symlinks=True)
Path(site.getusersitepackages(), "image.pth").write_text(sysconfig.get_path("purelib") + "\n")
os.environ["PIP_PYTHON"] = site.getuserbase()

# The Dask tab shows the release's own scheduler, by way of JupyterLab's proxy. The browser has to
# ask for it, because the server would ask without the user's login.
scheduler = urlsplit(os.environ.get("DASK_SCHEDULER_ADDRESS", "")).hostname
dashboard = os.environ.get("DASK_DISTRIBUTED__DASHBOARD__LINK", "")
settings = {
    "dask-labextension:plugin": {
        "defaultURL": dashboard.removesuffix("status").format(host=scheduler, port=8787),
        "browserDashboardCheck": True,
        "hideClusterManager": True,
    },
    "@jupyterlab/docmanager-extension:plugin": {"defaultViewers": {"markdown": "Markdown Preview"}},
    # asks everybody at the first start whether to fetch news from the internet
    "@jupyterlab/apputils-extension:notification": {"fetchNews": "false"},
}
folder = Path(tempfile.mkdtemp(prefix="jupyterlab-"))
(folder / "overrides.json").write_text(json.dumps(settings))
c.LabApp.app_settings_dir = str(folder)
