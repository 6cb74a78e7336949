"""Prometheus finds a release by its monitors, and the dashboard shows it at work."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from .. import prometheus
from ..kubernetes import packages
from ..prometheus import Target
from .release import MINIKUBE, Release, until

pytestmark = pytest.mark.timeout(900)

VALUES = {
    "jupyter.enabled": False,
    "metrics": {each: {"enabled": True} for each in ("serviceMonitor", "podMonitor", "dashboard")},
    # this Prometheus asks by way of the API server, which is no pod
    "networkPolicy.metricsFrom": [{"ipBlock": {"cidr": "0.0.0.0/0"}}],
}
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
backend = AerSimulator(executor=Client("tcp://localhost:8786"), noise_model=noise)
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
    with (
        api_server(release) as address,
        working(release),
        prometheus.running(packages.prometheus(), tmp_path, targets(release, address)) as found,
    ):

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


def targets(release: Release, api_server: str) -> list[Target]:
    """What the Prometheus operator makes of the release's monitors, and the kubelets."""
    pods = f"/api/v1/namespaces/{release.namespace}/pods"
    scraped = [
        Target(api_server, f"{pods}/{name}:{port}/proxy{path}",
               {"namespace": release.namespace, "pod": name})
        for name, port, path in monitored(release)
    ]  # fmt: skip
    nodes = release.kubectl("get", "nodes", "--output=jsonpath={.items[*].metadata.name}").split()
    kubelets = [
        Target(api_server, f"/api/v1/nodes/{node}/proxy/metrics/cadvisor", {"node": node})
        for node in nodes
    ]
    return scraped + kubelets


def monitored(release: Release) -> Iterator[tuple[str, int, str]]:
    """The pod, port and path of all that the release's monitors select."""
    for monitor in release.get("servicemonitors"):
        (endpoint,) = monitor["spec"]["endpoints"]
        for piece in selected(release, "endpointslices", monitor):
            (port,) = [p["port"] for p in piece["ports"] if p["name"] == endpoint["port"]]
            for each in piece["endpoints"]:
                yield each["targetRef"]["name"], port, endpoint["path"]
    for monitor in release.get("podmonitors"):
        (endpoint,) = monitor["spec"]["podMetricsEndpoints"]
        for pod in selected(release, "pods", monitor):
            ports = [p for c in pod["spec"]["containers"] for p in c.get("ports", [])]
            (port,) = [p["containerPort"] for p in ports if p["name"] == endpoint["port"]]
            yield pod["metadata"]["name"], port, endpoint["path"]


def selected(release: Release, kind: str, monitor: dict[str, Any]) -> list[dict[str, Any]]:
    """The objects of a kind that a monitor selects."""
    labels = monitor["spec"]["selector"]["matchLabels"]
    selector = ",".join(f"{name}={value}" for name, value in labels.items())
    found = release.kubectl("get", kind, f"--selector={selector}", "--output=json")
    return json.loads(found)["items"]
