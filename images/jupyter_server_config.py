"""What JupyterLab does in the image when it starts.

The image's own folders are read-only, and the home directory may be a volume that outlives the pod.
"""

import json
import os
import shutil
import tempfile
from pathlib import Path
from urllib.parse import urlsplit

c = get_config()  # noqa: F821 (Jupyter's)
c.ServerApp.root_dir = str(Path.home())

examples = Path.home() / "examples"
if not examples.exists():
    shutil.copytree("/opt/aer-dask/notebooks", examples)

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
    # asks everybody at the first start whether to fetch news from the internet
    "@jupyterlab/apputils-extension:notification": {"fetchNews": "false"},
}
folder = Path(tempfile.mkdtemp(prefix="jupyterlab-"))
(folder / "overrides.json").write_text(json.dumps(settings))
c.LabApp.app_settings_dir = str(folder)
