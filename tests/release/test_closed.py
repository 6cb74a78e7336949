"""A default release is closed: what of it answers whom, by JupyterLab's proxy and without."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from ..real.test_gate import UPGRADE
from .asking import JUPYTER, ask, logged_in, post
from .release import MINIKUBE, Release, until

pytestmark = pytest.mark.timeout(900)

SCHEDULER = "aer-aer-dask-scheduler"
#: A program beside JupyterLab; it says after a second what it has been shown.
BESIDE = """
import http.server, time

class Beside(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        time.sleep(1)
        self.send_response(200)
        self.end_headers()
        self.wfile.write(f"shown {self.headers['Authorization']}".encode())

http.server.ThreadingHTTPServer(("127.0.0.1", 9000), Beside).serve_forever()
"""


@pytest.fixture(scope="module")
def release(shared_release: Release) -> Release:
    """A release for all tests here."""
    shared_release.install(MINIKUBE)
    return shared_release


@contextmanager
def beside(release: Release, address: str) -> Iterator[str]:
    """The path of that program."""
    path = f"/proxy/localhost:9000/?token={release.token()}"
    with release.popen("jupyter", "python", "-c", BESIDE) as program:
        try:
            until(lambda: ask(address, path)[0] == 200, "the program answers", 60)
            yield path
        finally:
            program.kill()


def test_jupyterlab_shows_the_dashboard_and_its_token_to_who_has_logged_in_from_its_own_pages(
    release: Release,
) -> None:
    worker = release.pods()[0]["status"]["podIP"]
    with release.forwarded(JUPYTER, 80) as address, beside(release, address) as program:
        token = f"?token={release.token()}"
        for path in ("status", "metrics", "json/counts.json", "info/main/workers.html"):
            proxied = f"/proxy/{SCHEDULER}:8787/{path}"
            assert ask(address, f"{proxied}{token}")[0] == 200, path
            assert ask(address, proxied)[0] in (302, 403), "who has not logged in"
        # the workers' pages are behind their own gates, and the proxy's list of hosts
        assert ask(address, f"/proxy/{worker}:8787/status{token}")[0] == 403
        through = f"/proxy/{SCHEDULER}:8787/proxy/8787/{worker}/status{token}"
        assert "Dask tried to proxy you to that page" in ask(address, through)[1]
        # nobody else is shown it
        assert ask(address, program)[1] == "shown None"

        # (Tornado logs the whole address of what fails)
        assert ask(address, f"/proxy/localhost:9999/{token}")[0] == 500
        kernel = json.loads(post(address, f"/api/kernels{token}"))["id"]
        # a browser shows the cookie of who has logged in to other sites' pages, too
        cookie = logged_in(address, f"/lab{token}") | UPGRADE
        for path in (f"/api/kernels/{kernel}/channels", f"/proxy/{SCHEDULER}:8787/eventstream"):
            assert ask(address, path, Origin=f"http://{address}", **cookie)[0] == 101, path
            assert ask(address, path, Origin="http://evil.example", **cookie)[0] == 403, path
            assert ask(address, f"{path}{token}", **UPGRADE)[0] == 101, path

    assert_no_secret_is_in_a_log(release)


def assert_no_secret_is_in_a_log(release: Release) -> None:
    secrets = release.get("secrets")
    words = {
        part
        for secret in secrets
        for key, value in secret["data"].items()
        if key in ("token", "tls.key")
        for part in base64.b64decode(value).decode().splitlines()
        if "---" not in part
    }
    assert len(words) >= 2 + 3, "both tokens, and the lines of the key"
    for pod in release.kubectl("get", "pods", "--output=name").split():
        log = release.kubectl("logs", pod, "--all-containers")
        assert log, pod
        assert [word for word in words if word in log] == [], pod


def test_who_asks_jupyterlab_while_it_is_told_to_go_gets_an_answer(release: Release) -> None:
    name = release.pods("jupyter")[0]["metadata"]["name"]
    with (
        release.forwarded(f"pod/{name}", 8888) as address,
        beside(release, address) as path,
    ):
        release.kubectl("delete", "pod", name, "--wait=false")
        assert ask(address, path) == (200, "shown None")
