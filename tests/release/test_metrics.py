"""Prometheus finds a release by its monitors, and the dashboard shows it at work."""

from __future__ import annotations

import base64
import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import pytest

from .. import prometheus
from ..kubernetes import packages
from ..kubernetes.manifests import documents, pod
from ..prometheus import Target
from .release import MINIKUBE, Release, until

pytestmark = pytest.mark.timeout(900)

#: The label of the pod that Prometheus asks from.
WHERE = {"app": "prometheus"}
VALUES = {
    "jupyter.enabled": False,
    "metrics": {each: {"enabled": True} for each in ("serviceMonitor", "podMonitor", "dashboard")},
    "networkPolicy.metricsFrom": [{"podSelector": {"matchLabels": WHERE}}],
}
#: A proxy for HTTP, on all of its pod's addresses, or no probe would find it.
PROXY = """
import http.server, urllib.error, urllib.request

class Proxy(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        shown = {"Authorization": self.headers["Authorization"] or ""}
        request = urllib.request.Request(self.path, headers=shown)
        try:
            answer = urllib.request.urlopen(request, timeout=10)
        except urllib.error.HTTPError as refusal:
            answer = refusal
        except OSError:
            return self.send_error(502)
        self.send_response(answer.status)
        self.send_header("Content-Type", answer.headers["Content-Type"])
        self.end_headers()
        self.wfile.write(answer.read())

http.server.ThreadingHTTPServer(("", 8000), Proxy).serve_forever()
"""
#: Noisy circuits, which both workers simulate for as long as the test may look at them.
LOAD = """
import time
from distributed import Client
from qiskit import transpile
from qiskit.circuit.library import quantum_volume
from qiskit_aer.noise import NoiseModel, depolarizing_error
from aer_dask import AerSimulator

noise = NoiseModel()
noise.add_all_qubit_quantum_error(depolarizing_error(0.01, 2), ["cx"])
backend = AerSimulator(executor=Client("localhost:8786"), noise_model=noise)
circuit = transpile(quantum_volume(10, seed=1), backend, optimization_level=0)
circuit.measure_all()
end = time.monotonic() + 180
while time.monotonic() < end:
    backend.run([circuit] * 4, shots=50).result()
"""


def test_every_panel_shows_a_release_that_is_at_work(
    release: Release, foreign_kinds: None, tmp_path: Path
) -> None:
    release.install(MINIKUBE, values=VALUES)
    (board,) = release.get("configmaps", "--field-selector=metadata.name=aer-aer-dask-dashboard")
    dashboard = json.loads(board["data"]["aer-dask.json"])
    image = release.pods("scheduler")[0]["spec"]["containers"][0]["image"]
    with elsewhere(release, image) as proxy, api_server(release) as address, working(release):
        for _, ip, port, endpoint in monitored(release):
            url = f"http://{ip}:{port}{endpoint['path']}"
            until(lambda u=url: asked(proxy, u)[0] not in (0, 502), "the policy lets it in")
            assert asked(proxy, url)[0] == asked(proxy, url, "guessed")[0] == 403, url
            assert "dask_" in asked(proxy, url, token(release, endpoint))[1], url
        seen = targets(release, address, proxy)
        with prometheus.running(packages.prometheus(), tmp_path, seen) as found:
            assert_all_is_seen(release, dashboard, found)


def assert_all_is_seen(release: Release, dashboard: Any, found: prometheus.Prometheus) -> None:
    """Every panel shows something, and every worker has simulated something."""

    def lacking() -> set[str]:
        """Panels that show nothing, and workers that have simulated nothing."""
        shots = found.query("aer_dask_worker_shots_total > 0")
        workers = {pod["metadata"]["name"] for pod in release.pods()}
        idle = workers - {each["metric"]["pod"] for each in shots}
        return idle | prometheus.unanswered(found, dashboard, release.namespace)

    with suppress(AssertionError):  # the next one says which
        until(lambda: not lacking(), "all is seen", 60)
    assert lacking() == set()


@contextmanager
def api_server(release: Release) -> Iterator[str]:
    """The API server, as host and port, where no login is asked for."""
    command = release.command("kubectl", "proxy", "--port=0")
    with subprocess.Popen(command, text=True, stdout=subprocess.PIPE) as proxy:
        try:
            assert proxy.stdout
            yield proxy.stdout.readline().split()[-1]
        finally:
            proxy.terminate()


@contextmanager
def working(release: Release) -> Iterator[None]:
    """The release has work meanwhile; what is left ends with the namespace."""
    with release.popen("scheduler", "python", "-c", LOAD) as load:
        try:
            yield
            assert load.poll() is None, "the load has ended"
        finally:
            load.kill()


@contextmanager
def elsewhere(release: Release, image: str) -> Iterator[str]:
    """An HTTP proxy in a pod where Prometheus might be, as an address of this machine.

    What is forwarded to the pods themselves would come from their own loopback, and the API server
    hands no token on.
    """
    room = {"/tmp": {"emptyDir": {}}}
    outside = pod(WHERE["app"], image, ["python", "-c", PROXY], volumes=room, port=8000)
    release.kubectl("apply", "--filename=-", text=documents(outside))
    release.kubectl("wait", "--for=condition=Ready", f"pod/{WHERE['app']}", "--timeout=120s")
    with release.forwarded(f"pod/{WHERE['app']}", 8000) as address:
        until(lambda: asked(address, "http://localhost:1")[0] == 502, "the proxy answers", 60)
        yield address


def asked(proxy: str, url: str, token: str = "") -> tuple[int, str]:
    """What a URL answers through the proxy, to who shows a token or none."""
    connection = HTTPConnection(proxy, timeout=30)
    try:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        connection.request("GET", url, headers=headers)
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    except OSError as error:  # it is not there yet
        return 0, str(error)
    finally:
        connection.close()


def targets(release: Release, api_server: str, proxy: str) -> list[Target]:
    """What the Prometheus operator makes of the release's monitors, and the kubelets."""
    scraped = [
        Target(f"{ip}:{port}", endpoint["path"], {"namespace": release.namespace, "pod": name},
               {"proxy_url": f"http://{proxy}",
                "authorization": {"type": endpoint["authorization"]["type"],
                                  "credentials": token(release, endpoint)}})
        for name, ip, port, endpoint in monitored(release)
    ]  # fmt: skip
    nodes = release.kubectl("get", "nodes", "--output=jsonpath={.items[*].metadata.name}").split()
    kubelets = [
        Target(api_server, f"/api/v1/nodes/{node}/proxy/metrics/cadvisor", {"node": node})
        for node in nodes
    ]
    return scraped + kubelets


def token(release: Release, endpoint: dict[str, Any]) -> str:
    """What is in the Secret that an endpoint of a monitor names."""
    where = endpoint["authorization"]["credentials"]
    key = f"--output=jsonpath={{.data.{where['key']}}}"
    return base64.b64decode(release.kubectl("get", "secret", where["name"], key)).decode()


def monitored(release: Release) -> Iterator[tuple[str, str, int, dict[str, Any]]]:
    """The pod, its address, the port and the endpoint of all that the release's monitors select."""
    for monitor in release.get("servicemonitors"):
        (endpoint,) = monitor["spec"]["endpoints"]
        for piece in selected(release, "endpointslices", monitor):
            (port,) = [p["port"] for p in piece["ports"] if p["name"] == endpoint["port"]]
            for each in piece["endpoints"]:
                yield each["targetRef"]["name"], each["addresses"][0], port, endpoint
    for monitor in release.get("podmonitors"):
        (endpoint,) = monitor["spec"]["podMetricsEndpoints"]
        for each in selected(release, "pods", monitor):
            ports = [p for c in each["spec"]["containers"] for p in c.get("ports", [])]
            (port,) = [p["containerPort"] for p in ports if p["name"] == endpoint["port"]]
            yield each["metadata"]["name"], each["status"]["podIP"], port, endpoint


def selected(release: Release, kind: str, monitor: dict[str, Any]) -> list[dict[str, Any]]:
    """The objects of a kind that a monitor selects."""
    labels = monitor["spec"]["selector"]["matchLabels"]
    selector = ",".join(f"{name}={value}" for name, value in labels.items())
    found = release.kubectl("get", kind, f"--selector={selector}", "--output=json")
    return json.loads(found)["items"]
