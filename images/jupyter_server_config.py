"""What JupyterLab does in the image when it starts.

The image's own folders are read-only, and the home directory may be a volume that outlives the pod.
One that is full, or cannot be written, costs what would be put there, and no setting.
"""

import json
import os
import site
import sysconfig
import tempfile
import venv
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

from traitlets.log import get_logger

c = get_config()  # noqa: F821 (Jupyter's)
c.ServerApp.root_dir = str(Path.home())
c.LabApp.default_url = "lab/tree/examples/welcome.md"
os.environ["PIP_PYTHON"] = site.getuserbase()


@contextmanager
def told(trouble: str) -> Iterator[None]:
    """Have an OSError said in a sentence; raised, it would make Jupyter drop all of this file."""
    try:
        yield
    except OSError as error:
        get_logger().warning("%s (%s): make room there, and start again.", trouble, error)


def put(target: Path, content: bytes) -> None:
    """Have a file hold this, or where there is no room, what it held before."""
    if target.exists() and target.read_bytes() == content:
        return
    aside = target.with_name(f".{target.name}.new")
    try:
        aside.write_bytes(content)
        aside.replace(target)
    finally:
        aside.unlink(missing_ok=True)


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
with told("JupyterLab's settings cannot be written"):
    folder = Path(tempfile.mkdtemp(prefix="jupyterlab-"))
    (folder / "overrides.json").write_text(json.dumps(settings))
    c.LabApp.app_settings_dir = str(folder)

with told("The home directory cannot be filled"):
    # Examples that are there stay as they are, for somebody may have changed them. The welcome page
    # tells of this image, and the volume may be one that an older image has filled.
    examples = Path.home() / "examples"
    examples.mkdir(exist_ok=True)
    for source in Path("/opt/aer-dask/notebooks").glob("*"):
        if source.name == "welcome.md" or not (examples / source.name).exists():
            put(examples / source.name, source.read_bytes())

    # What `%pip install` fills is an environment of its own, or pip would refuse to replace and
    # remove there; it knows the image's packages by a .pth file. To kernels it is Python's folder
    # for a user's packages, behind the image's (see the Dockerfile).
    python = Path(site.getuserbase(), "bin/python")
    pth = Path(site.getusersitepackages(), "image.pth")
    image = f"{sysconfig.get_path('purelib')}\n"
    if not (python.exists() and pth.exists() and pth.read_text() == image):
        venv.create(site.getuserbase(), symlinks=True)
        put(pth, image.encode())
