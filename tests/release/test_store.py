"""Results of a pod, in a volume and in S3: a client that is killed costs only the rest."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from ..kubernetes import choice
from ..kubernetes.host import NODES
from ..s3 import BUCKET, S3Server
from .release import MINIKUBE, Release

pytestmark = pytest.mark.timeout(900)

#: The store is that of the chart. Once some is kept it says so, or kills itself, if it is told to;
#: at its end it says how it went.
RUN = """
import os, signal, sys, time
from distributed import Client
import qiskit_aer
from qiskit import transpile
from qiskit.circuit.library import quantum_volume
from aer_dask import AerSimulator
from aer_dask.testing import differences

client = Client()
client.wait_for_workers(1)
options = {"shots": 100, "seed_simulator": 7}
circuit = transpile(quantum_volume(20, seed=1), qiskit_aer.AerSimulator(), optimization_level=0)
circuit.measure_all()
job = AerSimulator(executor=client).run([circuit] * 12, max_job_size=1, **options)
if how := sys.argv[1:]:
    end = time.monotonic() + 60
    while job.report().kept < 3 and time.monotonic() < end:
        pass
    if how == ["--killed"]:
        os.kill(os.getpid(), signal.SIGKILL)
    print("some is kept", flush=True)
result = job.result(timeout=400)
plain = qiskit_aer.AerSimulator().run([circuit] * 12, **options).result()
report = job.report()
print(differences(result, plain), report.stored_circuits, report.tasks, report.not_kept)
"""


def test_a_client_that_is_killed_in_its_pod_costs_only_what_was_not_kept(release: Release) -> None:
    values = {"store.persistence.enabled": True}
    release.install(MINIKUBE, values=values)
    run_and_kill(release)
    # the volume outlives the release, too, and the next one of that name takes it
    release.uninstall()
    release.install(MINIKUBE, values=values)
    assert_only_the_rest_runs(release, "file:///data/aer")


@pytest.fixture
def server(tmp_path: Path) -> Iterator[S3Server]:
    """One that pods reach: on the first node's network."""
    node = NODES[0]
    server = S3Server(tmp_path, node.address, ["nsenter", "--target", node.pid(), "--net"])
    yield server
    server.kill()


@pytest.mark.skipif(choice.chosen() != "host", reason="needs a node to run a server on")
def test_a_pod_keeps_results_in_s3_with_the_keys_of_a_secret(
    release: Release, server: S3Server
) -> None:
    keys = server.variables()
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s3"}, "stringData": keys}
    release.kubectl("apply", "--filename=-", text=json.dumps(secret))
    url = f"s3://{BUCKET}/quantum"
    release.install(MINIKUBE, values={"store.url": url, "store.existingSecret": "s3"})
    run_and_kill(release)
    assert_only_the_rest_runs(release, url)
    for pod in release.pods("jupyter"):
        log = release.kubectl("logs", pod["metadata"]["name"], "--all-containers")
        told = json.dumps(pod) + log
        assert [name for name in list(keys)[:2] if keys[name] in told] == []


def run_and_kill(release: Release) -> None:
    """Start the run in the Jupyter pod, and have it die once some of it is kept."""
    with release.popen("jupyter", "python", "-c", RUN, "--killed") as run:
        assert run.wait() != 0


def assert_only_the_rest_runs(release: Release, url: str) -> None:
    """The run is as plain Aer's, and simulates only what the killed one has not kept."""
    differences, stored, tasks = release.execute("jupyter", "python", "-c", RUN).split()
    assert differences == "[]"
    assert int(stored) >= 3
    assert int(stored) + int(tasks) == 12
    listed = release.execute("jupyter", "aer-dask", "store", "list", url)
    assert [line.split(", ")[1] for line in listed.splitlines()] == ["done", "running"]
