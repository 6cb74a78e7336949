"""What JupyterLab does in the image when it starts.

The image's own folders are read-only, and the home directory may be a volume that outlives the pod.
One that is full, or cannot be written, costs what would be put there, and no setting.
"""

import json
import logging
import os
import re
import site
import sysconfig
import tempfile
import venv
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import unquote_plus, urlsplit

from jupyter_server_proxy.handlers import RemoteProxyHandler
from traitlets.log import get_logger

c = get_config()  # noqa: F821 (Jupyter's)
c.ServerApp.root_dir = str(Path.home())
c.LabApp.default_url = "lab/tree/examples/welcome.md"
os.environ["PIP_PYTHON"] = site.getuserbase()


def without_tokens(*args: Any, **kwargs: Any) -> logging.LogRecord:
    """A record of a log: of what fails, libraries log the address, and so a token that is in it."""
    record = logging.LogRecord(*args, **kwargs)
    with suppress(TypeError, ValueError):  # arguments that do not fit are the handlers' to tell
        record.msg = re.sub(r"(token=)[^&\s'\"]+", r"\1[secret]", record.getMessage())
        record.args = ()
    return record


logging.setLogRecordFactory(without_tokens)


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


def headers_for_scheduler(proxy: RemoteProxyHandler) -> dict[str, str]:
    """What the proxy changes of the headers that it hands on, web sockets' too, to the scheduler.

    The way there is plain HTTP: it takes no login of the user's, and to the HTTP port the release's
    token, from a file that is read each time, because it may change.
    """
    host, port, *_ = proxy.path_args
    if host != scheduler:
        return {}
    shows = token_file and port == "8787"
    token = f"Bearer {Path(token_file).read_text().strip()}" if shows else ""
    return {"Authorization": token, "Cookie": "", "Referer": ""}


def uri_for_scheduler(proxy: RemoteProxyHandler, *where: Any) -> str:
    """The address that the proxy asks: for the scheduler without a login of the user's."""
    uri, query = client_uri(proxy, *where), proxy.request.query
    if proxy.path_args[0] != scheduler or not query:
        return uri
    kept = [p for p in query.split("&") if unquote_plus(p.partition("=")[0]) != "token"]
    return "?".join(filter(None, [uri.removesuffix(f"?{query}"), "&".join(kept)]))


token_file = os.environ.get("AER_DASK_HTTP_TOKEN_FILE", "")
client_uri = RemoteProxyHandler.get_client_uri
RemoteProxyHandler.get_client_uri = uri_for_scheduler
RemoteProxyHandler.get_request_headers_override = headers_for_scheduler

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
