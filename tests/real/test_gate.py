"""With the gate, the HTTP ports of a real scheduler and worker are closed without the token."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from contextlib import contextmanager
from http.client import HTTPConnection
from types import SimpleNamespace

import pytest
from distributed import Client

from aer_dask.clusters.settings import WORKER_FLAGS
from tests.waiting import wait_until

from .processes import dask, free_port

TOKEN = "a-token-of-many-letters"
#: An address of this machine that the gate takes for another's.
ELSEWHERE = "127.0.0.2"
ALL = "127.0.0.1"
UPGRADE = {"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13",
           "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ=="}  # fmt: skip
SCHEDULER_ROUTES = ["/", "/status", "/graph", "/metrics", "/info/main/workers.html",
                    "/info/main/logs.html", "/json/counts.json", "/json/identity.json",
                    "/individual-plots.json", "/sitemap.json", "/statics/css/base.css", "/nowhere",
                    "/eventstream", "/api/v1", "/health/", "//health"]  # fmt: skip
WORKER_ROUTES = ["/", "/status", "/counters", "/metrics", "/sitemap.json", "/statics/css/base.css"]


def ask(port, path, source=ELSEWHERE, method="GET", body=None, **headers):
    """The status of an answer, and its text; of a web socket only the status."""
    connection = HTTPConnection(ALL, port, timeout=20, source_address=(source, 0))
    try:
        connection.request(method, path, body, headers)
        answer = connection.getresponse()
        return answer.status, "" if answer.status == 101 else answer.read().decode()
    finally:
        connection.close()


def bearer(token):
    return {"Authorization": f"Bearer {token}"}


@contextmanager
def cluster(*preload, **environment):
    """A scheduler and a worker that both have the preload, and the ports of their HTTP servers."""
    comm, port, of_worker = free_port(), free_port(), free_port()
    host = ("--host", ALL, "--dashboard-address")
    processes = [dask("scheduler", *host, f"{ALL}:{port}", "--port", str(comm), *preload,
                      **environment)]  # fmt: skip
    try:
        with Client(f"tcp://{ALL}:{comm}", timeout=60) as client:
            processes.append(dask("worker", client.scheduler.address, *host, f"{ALL}:{of_worker}",
                                  *preload, *WORKER_FLAGS, **environment))  # fmt: skip
            client.wait_for_workers(1, timeout=60)
            yield SimpleNamespace(client=client, scheduler=port, worker=of_worker)
    finally:
        for process in reversed(processes):
            process.terminate()
            process.wait(60)


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    path = tmp_path_factory.mktemp("gate") / "token"
    path.write_text(TOKEN + "\n")
    return path


@pytest.fixture(scope="module")
def gated(file):
    with cluster("--preload", "aer_dask.gate", AER_DASK_HTTP_TOKEN_FILE=str(file)) as found:
        yield found


def test_nobody_gets_anything_without_the_token(gated):
    for port, routes in ((gated.scheduler, SCHEDULER_ROUTES), (gated.worker, WORKER_ROUTES)):
        for path in routes:
            for wrong in ({}, bearer(""), bearer(TOKEN[:-1]), bearer(TOKEN + "x"),
                          {"Authorization": f"token {TOKEN}"}, {"X-Forwarded-For": "127.0.0.1"},
                          {"Host": "localhost"}, {"Authorization": "Bearer \xff"}):  # fmt: skip
                status, text = ask(port, path, **wrong)
                assert (status, "docs/security.md" in text) == (403, True), (path, wrong)
            assert ask(port, f"{path}?token={TOKEN}")[0] == 403, path
            for method in ("POST", "PUT", "DELETE", "HEAD", "OPTIONS"):
                assert ask(port, path, method=method)[0] == 403, (path, method)


def test_web_sockets_and_the_proxy_to_workers_are_behind_it_too(gated):
    for path in ("/status/ws", "/sysmon/ws", "/eventstream", f"/proxy/{gated.worker}/{ALL}/status"):
        assert ask(gated.scheduler, path, **UPGRADE)[0] == 403
        assert ask(gated.scheduler, path)[0] == 403
    assert ask(gated.scheduler, "/eventstream", **UPGRADE, **bearer(TOKEN))[0] == 101
    assert ask(gated.worker, "/status/ws", **UPGRADE)[0] == 403


def test_who_has_the_token_or_is_on_the_same_machine_is_served(gated):
    for port, routes in ((gated.scheduler, ["/status", "/metrics", "/json/counts.json"]),
                         (gated.worker, ["/status", "/metrics"])):  # fmt: skip
        for path in routes:
            assert ask(port, path, **bearer(TOKEN))[0] == 200, path
            assert ask(port, path, source="127.0.0.1")[0] == 200, path
    assert "workers" in json.loads(ask(gated.scheduler, "/json/counts.json", **bearer(TOKEN))[1])
    lower = {"Authorization": f"bearer {TOKEN}"}  # the scheme's case is free (RFC 9110)
    assert ask(gated.scheduler, "/metrics", **lower)[0] == 200


def local(name, port, **headers):
    """What a browser on the same machine sends that was given an address by this name."""
    return {"source": "127.0.0.1", "Host": f"{name}:{port}", **headers}


@pytest.mark.parametrize("name", ["localhost", "LocalHost", ALL, "[::1]"])
def test_the_dashboard_works_in_a_browser_on_the_same_machine_under_any_forwarded_port(gated, name):
    for forwarded in (gated.scheduler, 39787):
        ours = local(name, forwarded)
        assert ask(gated.scheduler, "/status", **ours)[0] == 200
        socket = {**ours, "Origin": f"http://{name}:{forwarded}", **UPGRADE}
        assert ask(gated.scheduler, "/eventstream", **socket)[0] == 101
    assert ask(gated.scheduler, "/status", source=ALL, Host="localhost")[0] == 200  # port 80


def test_a_page_of_another_site_in_such_a_browser_gets_nothing(gated):
    page = "/individual-task-stream"
    script = (f"{page}/autoload.js?bokeh-autoload-element=x&bokeh-app-path={page}"
              f"&bokeh-absolute-url=http://localhost:{gated.scheduler}{page}")  # fmt: skip
    ours = local("localhost", gated.scheduler)
    status, text = ask(gated.scheduler, script, **ours)
    assert status == 200
    token = re.search(r'"token":"([^"]+)"', text)[1]
    session = {"Sec-WebSocket-Protocol": f"bokeh, {token}"}
    of_page = {**UPGRADE, **session}
    own = {"Origin": f"http://localhost:{gated.scheduler}"}
    assert ask(gated.scheduler, f"{page}/ws", **ours, **own, **of_page)[0] == 101
    for origin in ("http://evil.example", "null", "https://localhost", "http://localhost",
                   "http://localhost:8888", f"{own['Origin']}.evil.example"):  # fmt: skip
        foreign = {**ours, "Origin": origin}
        for path in (script, "/json/identity.json", "/metrics", "/health/"):
            assert ask(gated.scheduler, path, **foreign)[0] == 403, (path, origin)
        for path in (f"{page}/ws", "/eventstream"):
            assert ask(gated.scheduler, path, **foreign, **of_page)[0] == 403, (path, origin)


@pytest.mark.parametrize("name", ["evil.example", "localhost.evil.example",
                                  "127.0.0.1.evil.example", "evil@localhost", "", "localhost:1:2",
                                  "localhost,evil.example", "127.0.0.2", "::1"])  # fmt: skip
def test_a_name_that_somebody_has_pointed_at_this_machine_gets_nothing(gated, name):
    for path in ("/json/identity.json", "/status"):
        for host in (name, f"{name}:{gated.scheduler}"):
            assert ask(gated.scheduler, path, source=ALL, Host=host)[0] in (400, 403), host
            same = {"Host": host, "Origin": f"http://{host}"}
            assert ask(gated.scheduler, path, source=ALL, **same)[0] in (400, 403), host


def test_probes_need_no_token(gated):
    for port in (gated.scheduler, gated.worker):
        assert ask(port, "/health") == (200, "ok")
        assert ask(port, "/health", body="much")[0] == 403


def test_a_large_body_of_a_stranger_is_cut_off_instead_of_kept_in_memory(gated):
    connection = HTTPConnection(ALL, gated.scheduler, timeout=20, source_address=(ELSEWHERE, 0))
    connection.putrequest("POST", "/status")
    connection.putheader("Content-Length", str(90 * 2**20))
    connection.endheaders()
    with pytest.raises(ConnectionError):
        connection.send(bytes(80 * 2**20))  # less than was announced: it would be waited for
    connection.close()
    assert ask(gated.scheduler, "/health")[0] == 200


def test_another_token_counts_at_once_and_without_one_nobody_gets_in(gated, file):
    try:
        file.write_text(TOKEN[::-1])
        assert ask(gated.scheduler, "/status", **bearer(TOKEN))[0] == 403
        assert ask(gated.scheduler, "/status", **bearer(TOKEN[::-1]))[0] == 200
        for nothing in ("", " \n", "fifteen letters", "\xff" * 20):
            file.write_bytes(nothing.encode("latin-1"))
            assert ask(gated.scheduler, "/status", **bearer(nothing.strip()))[0] == 403
        file.unlink()
        assert ask(gated.scheduler, "/status", **bearer(TOKEN[::-1]))[0] == 403
        assert ask(gated.scheduler, "/health")[0] == 200
    finally:
        file.write_text(TOKEN)


@pytest.mark.parametrize(
    ("role", "token"), [("scheduler", None), ("scheduler", "fifteen letters"), ("worker", None),
                        ("worker", "\xfc" * 20)])  # fmt: skip
def test_a_process_that_has_no_good_token_ends_and_says_so(role, token, tmp_path):
    environment = dict(os.environ)
    if token:
        (tmp_path / "token").write_text(token)
        environment["AER_DASK_HTTP_TOKEN_FILE"] = str(tmp_path / "token")
    command = [sys.executable, "-m", "dask", role, "--preload", "aer_dask.gate"]
    if role == "worker":
        command += ["tcp://127.0.0.1:1", "--no-nanny"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60,
                          check=False)  # fmt: skip
    assert done.returncode != 0
    assert "should be the path of a file with a token of at least 16 ASCII" in done.stderr


def test_a_dask_that_serves_http_in_another_way_is_not_served_unguarded(file, tmp_path):
    (tmp_path / "newer.py").write_text("import distributed.node as n; del n.RoutingApplication\n")
    command = [sys.executable, "-m", "dask", "scheduler", "--preload", "newer",
               "--preload", "aer_dask.gate"]  # fmt: skip
    environment = {**os.environ, "PYTHONPATH": str(tmp_path),
                   "AER_DASK_HTTP_TOKEN_FILE": str(file)}  # fmt: skip
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60,
                          check=False)  # fmt: skip
    assert done.returncode != 0
    assert "cannot guard it. Take the version that aer-dask asks for" in done.stderr


def test_without_the_preload_dask_serves_everybody_as_ever(file):
    with cluster(AER_DASK_HTTP_TOKEN_FILE=str(file)) as found:
        wait_until(lambda: ask(found.worker, "/health")[0] == 200, "the worker serves")
        for port in (found.scheduler, found.worker):
            assert ask(port, "/status")[0] == 200
