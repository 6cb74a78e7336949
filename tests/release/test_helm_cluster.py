"""A release as a Dask cluster, from this machine as from a laptop, and from inside the notebook."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest
import qiskit_aer
from pytest_helm_charts.clusters import Cluster
from qiskit import QuantumCircuit, transpile
from qiskit.circuit.library import quantum_volume

import aer_dask
from aer_dask import AerSimulator, ClusterError, HelmCluster
from aer_dask.clusters import helm
from aer_dask.testing import differences

from ..chart.rendering import CHART, ROOT
from .release import MINIKUBE, Release, until

pytestmark = pytest.mark.timeout(900)

SMALL = {"jupyter.enabled": False}
#: Run by the notebook's Python; says whether bits are plain Aer's, and what came of scaling down.
INSIDE = """
from qiskit import QuantumCircuit
import qiskit_aer
from aer_dask import AerSimulator, HelmCluster, ClusterError
from aer_dask.clusters import helm
from aer_dask.testing import differences

circuit = QuantumCircuit(2)
circuit.h(0)
circuit.cx(0, 1)
circuit.measure_all()
options = {"shots": 1000, "seed_simulator": 5}
with HelmCluster() as cluster:
    found = AerSimulator(executor=cluster).run([circuit] * 10, **options).result()
    print(differences(found, qiskit_aer.AerSimulator().run([circuit] * 10, **options).result()))
    print(cluster.dashboard_link)
    try:
        print(cluster.scale(1))
    except ClusterError as error:
        print(error)
"""


@pytest.fixture
def release(shared_release: Release) -> Release:
    """A release with two workers, whatever the test before has made of it."""
    shared_release.upgrade(MINIKUBE, values=SMALL)
    until(lambda: len(shared_release.names("pod")) == 3, "its pods of before are gone", 120)
    return shared_release


def of(release: Release, **options) -> HelmCluster:
    where = {"namespace": release.namespace, "kubeconfig": str(release.cluster.kube_config_path)}
    return HelmCluster(release.name, **where, **options)


def kubeconfig(release: Release) -> str:
    return str(release.cluster.kube_config_path)


def bell() -> QuantumCircuit:
    circuit = QuantumCircuit(2)
    circuit.h(0)
    circuit.cx(0, 1)
    circuit.measure_all()
    return circuit


def bounds(release: Release) -> list[tuple[int, int]]:
    found = release.get("hpa")
    return [(each["spec"]["minReplicas"], each["spec"]["maxReplicas"]) for each in found]


@pytest.mark.parametrize("tls", ["disabled", "generated"])
def test_a_release_is_a_cluster_from_outside_whose_workers_are_scaled(
    release: Release, tls: str
) -> None:
    values = {**SMALL, "tls.mode": tls}
    release.upgrade(MINIKUBE, values=values)
    circuits, options = [bell()] * 10, {"shots": 1000, "seed_simulator": 5}
    with of(release) as cluster:
        assert repr(cluster).startswith(f"HelmCluster({release.name}, ")
        assert "HelmCluster" in cluster._repr_html_()
        found = AerSimulator(executor=cluster).run(circuits, **options).result()
        plain = qiskit_aer.AerSimulator().run(circuits, **options).result()
        assert differences(found, plain) == []
        with urllib.request.urlopen(cluster.dashboard_link) as page:
            assert page.status == 200
        assert "Scheduler" in cluster.get_logs()

        cluster.scale(3)
        cluster.wait_for_workers(3, timeout=120)
        cluster.scale(1)
        until(lambda: len(cluster.scheduler_info["workers"]) == 1, "one worker is left", 120)
        cluster.adapt(minimum=1, maximum=3)
        assert bounds(release) == [(1, 3)]
        ruled = {"enabled": True, "minReplicas": 1, "maxReplicas": 4}
        # the chart's own autoscaler takes the place of the one that was made
        release.upgrade(MINIKUBE, values={**values, "worker.autoscaling": ruled})
        assert bounds(release) == [(1, 4)]
        cluster.scale(2)
        assert bounds(release) == [(2, 2)]
        cluster.wait_for_workers(2, timeout=120)
        cluster.adapt(enabled=False)
        assert bounds(release) == []
    assert release.ready("scheduler") == 1, "to close the cluster leaves the release"

    found = HelmCluster.list(kubeconfig=kubeconfig(release))
    assert (release.name, release.namespace) in {(each.name, each.namespace) for each in found}


def test_a_scheduler_that_is_deleted_during_a_job_from_outside_is_found_again(
    release: Release,
) -> None:
    circuit = transpile(quantum_volume(18, seed=1), qiskit_aer.AerSimulator(), optimization_level=0)
    circuit.measure_all()
    options = {"shots": 100, "seed_simulator": 7}
    with of(release) as cluster:
        job = AerSimulator(executor=cluster).run([circuit] * 12, max_job_size=1, **options)
        until(lambda: job.progress().done > 0, "the job has begun", 120)
        release.kubectl("delete", "pod", release.pods("scheduler")[0]["metadata"]["name"])
        found = job.result(timeout=400)
        until(lambda: len(cluster.scheduler_info["workers"]) == 2, "it sees the workers again", 60)
    plain = qiskit_aer.AerSimulator().run([circuit] * 12, **options).result()
    assert differences(found, plain) == []


def test_a_scheduler_that_stays_away_is_told_with_the_reason(release: Release, monkeypatch) -> None:
    monkeypatch.setattr(helm, "_AWAY", 3.0)
    with of(release) as cluster:

        def told() -> str:
            return cluster.get_logs(scheduler=False, workers=False)["Cluster"]

        release.kubectl("scale", f"deployment/{release.name}-aer-dask-scheduler", "--replicas=0")
        until(lambda: "has been away for 3 s: it has no pod" in told(), "the reason is told", 60)


def test_the_command_line_does_what_the_class_does(release: Release, tmp_path: Path) -> None:
    environment = os.environ | {"KUBECONFIG": str(release.kubeconfig(tmp_path))}

    def command(*words: str) -> list[str]:
        return [sys.executable, "-m", "aer_dask", f"--release={release.name}", *words]

    def said(*words: str) -> str:
        done = subprocess.run(
            command(*words), env=environment, check=True, capture_output=True, text=True
        )
        assert "Traceback" not in done.stderr
        return done.stdout

    until(lambda: said("status").count("1 thread, idle") == 2, "both workers are known", 60)
    tables = said("smoke-test")
    assert tables.count("equal") == 2
    assert "1.0" in tables
    said("adapt", "1", "3")
    assert bounds(release) == [(1, 3)]
    said("adapt", "--off")
    assert bounds(release) == []
    said("scale", "3", "--wait")
    assert len(release.workers()) == 3
    assert said("logs").count("--- ") == 4
    with subprocess.Popen(
        command("dashboard"), env=environment, stdout=subprocess.PIPE, text=True
    ) as dashboard:
        link = dashboard.stdout.readline().strip()
        with urllib.request.urlopen(link) as page:
            assert page.status == 200
        dashboard.send_signal(signal.SIGINT)
        assert dashboard.wait(30) == 0


def test_idle_workers_go_first(release: Release) -> None:
    circuit = transpile(quantum_volume(24, seed=1), qiskit_aer.AerSimulator(), optimization_level=0)
    circuit.measure_all()
    with of(release) as cluster:
        job = AerSimulator(executor=cluster).run(circuit, shots=1, seed_simulator=7)

        def busy() -> list[str]:
            workers = cluster.sync(cluster.scheduler_comm.identity)["workers"].values()
            return [w["name"] for w in workers if w["metrics"]["task_counts"].get("executing")]

        until(lambda: len(busy()) == 1, "one worker is busy", 60)
        (name,) = busy()
        cluster.scale(1)
        until(lambda: len(cluster.scheduler_info["workers"]) == 1, "one worker is left", 120)
        assert release.workers() == {name}
        assert job.result(timeout=300).success
        assert job.attempts() == [1]


def test_workers_that_cannot_come_are_told_with_the_reason_of_kubernetes(release: Release) -> None:
    huge = {"requests": {"memory": "900Gi"}, "limits": {"memory": "900Gi"}}
    group = {"replicas": 0, "resources": huge, "autoscaling": {"enabled": False}}
    release.upgrade(MINIKUBE, values={**SMALL, "workerGroups.huge": group})

    def refused() -> bool:
        conditions = [
            each for pod in release.pods() for each in pod["status"].get("conditions", [])
        ]
        return any(each.get("reason") == "Unschedulable" for each in conditions)

    async def asked() -> None:
        async with of(release, asynchronous=True) as cluster:
            with pytest.raises(ClusterError, match="several groups of workers: give worker_group="):
                await cluster.scale(1)
            await cluster.scale(1, worker_group="huge")
            await asyncio.to_thread(until, refused, "Kubernetes has no place for it")
            with pytest.raises(
                ClusterError, match=r"2 of 3 workers .* Pending: .* Insufficient mem"
            ):
                await cluster.wait_for_workers(3, timeout=10)

    asyncio.run(asked())


def test_a_notebook_scales_its_release_only_if_the_values_say_so(release: Release) -> None:
    release.upgrade(MINIKUBE)
    bits, link, said = release.execute("jupyter", "python", "-c", INSIDE).splitlines()
    assert bits == "[]"
    assert link.endswith("-scheduler:8787/status")
    assert said.startswith("This notebook has no account at the API server.")
    assert "jupyter.rbac.scaling=true" in said
    assert release.ready("worker") == 2

    release.upgrade(MINIKUBE, values={"jupyter.rbac.scaling": True})
    until(lambda: release.ready("jupyter") == 1, "the new notebook is ready", 120)
    assert release.execute("jupyter", "python", "-c", INSIDE).splitlines()[-1] == "None"
    status = ("jupyter", "aer-dask", "status")
    until(lambda: release.execute(*status).count("thread, ") == 1, "one worker is left", 120)


def test_who_connects_needs_the_right_to_read_one_secret_and_to_forward(
    release: Release, tmp_path: Path
) -> None:
    page = (ROOT / "docs" / "clusters.md").read_text()
    (role,) = re.findall(r"```yaml\n(kind: Role\n.*?)```", page, re.DOTALL)
    release.kubectl("apply", "--filename=-", text=role)
    who = f"--serviceaccount={release.namespace}:default"
    release.kubectl("create", "rolebinding", "clients", "--role=aer-clients", who)
    token = release.kubectl("create", "token", "default").strip()
    config = str(release.kubeconfig(tmp_path, token))
    with HelmCluster(release.name, release.namespace, kubeconfig=config) as cluster:
        cluster.wait_for_workers(2, timeout=60)
        with pytest.raises(ClusterError, match=r'cannot list resource "horizontalpodautoscalers"'):
            cluster.scale(3)


def test_a_release_that_is_not_there_or_not_ready_is_told(
    kube_cluster: Cluster, namespace: str, tmp_path: Path
) -> None:
    release = Release(kube_cluster, namespace)
    with pytest.raises(ClusterError, match=r"There is no release 'aer'.*nor any.*helm install aer"):
        of(release)
    token = release.kubectl("create", "token", "default").strip()
    powerless = str(release.kubeconfig(tmp_path, token))
    with pytest.raises(ClusterError, match=r'cannot list resource "services".* Ask whoever'):
        HelmCluster("aer", release.namespace, kubeconfig=powerless)
    release.helm("install", release.name, CHART, values={"image.tag": "none"})
    until(lambda: release.pods("scheduler"), "its pod is there")
    with pytest.raises(ClusterError, match=r"is not ready after 10 s: pod .* is "):
        of(release, timeout=10)
    command = [sys.executable, "-m", "aer_dask", f"--namespace={release.namespace}", "list"]
    environment = os.environ | {"KUBECONFIG": kubeconfig(release)}
    done = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
    assert f"aer in {release.namespace}, version {aer_dask.__version__}" in done.stdout
