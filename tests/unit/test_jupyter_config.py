"""What JupyterLab does in the image when it starts: a full home volume, and the proxy."""

from __future__ import annotations

import asyncio
import json
import os
import resource
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest
from tornado import web, websocket
from tornado.httpclient import AsyncHTTPClient, HTTPRequest
from tornado.httpserver import HTTPServer
from tornado.netutil import bind_sockets

ROOT = Path(__file__).resolve().parents[2]
#: As Jupyter's programs begin, with what came of it.
PROGRAM = """
import json, os, sys
from jupyter_core.application import JupyterApp
app = JupyterApp.instance()
app.initialize(sys.argv[1:])
print(json.dumps([app.config, os.environ.get("PIP_PYTHON")]))
"""


@pytest.fixture
def config(tmp_path):
    """The image's file, with the notebooks of this repository."""
    text = (ROOT / "images/jupyter_server_config.py").read_text()
    assert "/opt/aer-dask/" in text
    file = tmp_path / "jupyter_server_config.py"
    file.write_text(text.replace("/opt/aer-dask/", f"{ROOT}/"))
    return file


@pytest.fixture
def start(config, tmp_path):
    """Start with a home directory, or where nothing can be written; gives what is said of home."""

    def started(home: Path, *, full: bool = False) -> list[str]:
        def fill() -> None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))

        # under `make coverage` it would measure nothing of the package, and fail to write that
        environment = {k: v for k, v in os.environ.items() if k != "COVERAGE_PROCESS_CONFIG"}
        done = subprocess.run(
            [sys.executable, "-c", PROGRAM, f"--config={config}"],
            env={**environment, "HOME": str(home), "TMPDIR": str(tmp_path)},
            preexec_fn=fill if full else None, capture_output=True, text=True, check=True,
        )  # fmt: skip
        settings, pip = json.loads(done.stdout)
        assert settings["ServerApp"] == {"root_dir": str(home)}
        assert settings["LabApp"]["default_url"] == "lab/tree/examples/welcome.md"
        assert pip == str(home / ".local")
        if not full:
            folder = Path(settings["LabApp"]["app_settings_dir"])
            assert "dask-labextension:plugin" in json.loads((folder / "overrides.json").read_text())
        assert "Traceback" not in done.stderr
        return [line for line in done.stderr.splitlines() if "home directory" in line]

    return started


@pytest.mark.parametrize("old", ["examples/welcome.md", "image.pth"])
def test_a_full_home_costs_no_setting_and_no_file(start, tmp_path, old):
    home = tmp_path / "home"
    home.mkdir()
    start(home)
    (file,) = home.rglob(old)
    new = file.read_text()
    assert start(home, full=True) == [], "there is nothing to write"
    changed = home / "examples/vqe.ipynb"
    for each in (file, changed):
        each.write_text("of an older image, or of somebody's own")
    names, text = sorted(home.rglob("*")), file.read_text()

    (line,) = start(home, full=True)
    assert "cannot be filled" in line
    assert "make room there" in line
    assert (sorted(home.rglob("*")), file.read_text()) == (names, text)

    assert start(home) == [], "there is room again"
    assert (file.read_text(), changed.read_text()) == (new, text)


def test_a_home_that_cannot_be_written_costs_no_setting(start, tmp_path):
    home = tmp_path / "home"
    home.touch()
    (line,) = start(home)
    assert "cannot be filled" in line


class Shown(websocket.WebSocketHandler):
    """In the scheduler's place: says what it has been shown, as a page or by a web socket."""

    async def get(self, *args):
        if "Upgrade" in self.request.headers:
            await super().get(*args)
        else:
            self.finish(self.what())

    def open(self, *_):
        self.write_message(self.what())

    def what(self):
        return {"uri": self.request.uri, "headers": dict(self.request.headers)}


def address(folder):
    """Where a server listens that writes it to a file of this folder; empty until it does."""
    try:
        (file,) = folder.glob("jpserver-*.json")
        return json.loads(file.read_text())["url"].removeprefix("http://")
    except ValueError:  # no file yet, or not yet all of it
        return ""


LOGIN, TOKEN = "the-login-of-somebody", "the-token-of-the-http-ports"
#: All the ways by which a login comes along: the query, the cookie, and where one came from.
LOGINS = {"Cookie": f"username-localhost={LOGIN}", "Referer": f"http://localhost/lab?token={LOGIN}"}


def test_the_proxy_shows_the_scheduler_the_ports_token_and_no_login_of_the_user(config, tmp_path):
    """Its port speaks plain HTTP: others on the network could read it."""
    (tmp_path / "token").write_text(TOKEN)
    host = "127.0.0.1"

    async def proxied():
        (listener,) = bind_sockets(0, host)
        HTTPServer(web.Application([("/.*", Shown)])).add_socket(listener)
        port = listener.getsockname()[1]
        assert "8787" in config.read_text()
        config.write_text(config.read_text().replace("8787", str(port)))
        jupyter = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "jupyter_server", f"--config={config}", "--no-browser",
            "--allow-root", "--port=0", f"--ServerProxy.host_allowlist=['{host}']",
            env={**os.environ, "HOME": str(tmp_path / "home"), "TMPDIR": str(tmp_path),
                 "JUPYTER_TOKEN": LOGIN, "JUPYTER_RUNTIME_DIR": str(tmp_path / "runtime"),
                 "DASK_SCHEDULER_ADDRESS": f"tls://{host}:8786",
                 "AER_DASK_HTTP_TOKEN_FILE": str(tmp_path / "token")},
        )  # fmt: skip
        try:
            while not (root := address(tmp_path / "runtime")):
                assert jupyter.returncode is None
                await asyncio.sleep(0.1)
            where = f"{root}proxy/{host}:{port}/status?a=1&token={LOGIN}&b=%20&%74oken={LOGIN}"
            ask = HTTPRequest(f"http://{where}", headers=LOGINS, request_timeout=60)
            page = None
            while page is None:  # the file is there before the port is open
                with suppress(ConnectionRefusedError):
                    page = await AsyncHTTPClient().fetch(ask)
                await asyncio.sleep(0.1)
            ask = HTTPRequest(f"ws://{where}", headers=LOGINS)
            message = await (await websocket.websocket_connect(ask)).read_message()
            return [json.loads(page.body), json.loads(message)]
        finally:
            jupyter.terminate()
            await jupyter.wait()

    (tmp_path / "home").mkdir()
    for shown in asyncio.run(asyncio.wait_for(proxied(), 120)):
        assert shown["uri"] == "/status?a=1&b=%20"
        assert shown["headers"]["Authorization"] == f"Bearer {TOKEN}"
        assert LOGIN not in str(shown)
