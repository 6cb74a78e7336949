"""What happens to nodes, to the network, or to all workers at once in the middle of a job."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import Any

import pytest
import qiskit_aer
from qiskit import QuantumCircuit, transpile
from qiskit.circuit.library import quantum_volume
from qiskit.result import Result

from aer_dask import AerJobSet, AerSimulator, HelmCluster
from aer_dask.testing import differences

from ..chart.rendering import ROOT
from ..kubernetes import faults
from ..kubernetes.host import NODES
from ..waiting import wait_until
from .release import MINIKUBE, Release, until

pytestmark = [
    pytest.mark.timeout(900),
    pytest.mark.skipif(not faults.possible(), reason="the nodes must be ours, to be stopped"),
]

#: With the first, a task whose worker goes in the middle of it is lost.
STRICT = {
    "daskSettings.DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES": 0,
    "jupyter.enabled": False,
}
#: Run on a laptop, one job after another: says of each when it has begun, then what is not plain
#: Aer's, and how many tasks it sent again.
ON_A_LAPTOP = """
import sys, time
from aer_dask import AerSimulator, HelmCluster
from tests.release.test_nodes import OPTIONS, differences, plain, volume

with HelmCluster(sys.argv[1], sys.argv[2], quiet=True) as cluster:
    for _ in range(2):
        job = AerSimulator(executor=cluster).run([volume(18)] * 24, max_job_size=1, **OPTIONS)
        while not job.progress().done:
            time.sleep(0.1)
        print("begun", flush=True)
        print(differences(job.result(timeout=400), plain(18, 24)))
        print(len(job.report().resent), flush=True)
"""
OPTIONS = {"shots": 100, "seed_simulator": 7}


def of(release: Release) -> HelmCluster:
    path = str(release.cluster.kube_config_path)
    return HelmCluster(release.name, release.namespace, kubeconfig=path)


@cache
def volume(qubits: int) -> QuantumCircuit:
    circuit = transpile(quantum_volume(qubits, seed=1), qiskit_aer.AerSimulator(),
                        optimization_level=0)  # fmt: skip
    circuit.measure_all()
    return circuit


@cache
def plain(qubits: int, count: int) -> Result:
    return qiskit_aer.AerSimulator().run([volume(qubits)] * count, **OPTIONS).result()


def test_of_36_tasks_under_which_all_workers_are_rolled_each_starts_once(release: Release) -> None:
    release.install(MINIKUBE, values=STRICT)
    former, circuits = release.workers(), [volume(20)] * 36  # which take longer than the roll
    with of(release) as cluster:
        job = AerSimulator(executor=cluster).run(circuits, max_job_size=1, **OPTIONS)
        until(lambda: job.progress().done, "the job has begun")
        release.upgrade(MINIKUBE, values={**STRICT, "worker.podAnnotations": {"rolled": "yes"}})
        assert former.isdisjoint(pod["metadata"]["name"] for pod in release.pods())
        found, report = job.result(timeout=600), job.report()
    assert job.attempts() == [1] * 36
    assert (report.repeats, report.resent) == ((), ())
    assert len(report.runs) == 36
    assert former < set(report.workers), "workers of before and after it have had tasks"
    assert differences(found, plain(20, 36)) == []


def test_a_drained_node_gives_up_one_worker_at_a_time_and_no_task(release: Release) -> None:
    first, last = (node.name for node in NODES)
    wish = {"weight": 100, "preference": {"matchExpressions": [
        {"key": "kubernetes.io/hostname", "operator": "In", "values": [last]}]}}  # fmt: skip
    values = {
        **STRICT,
        **scheduler_on(first),
        "worker.replicas": 3,
        "worker.topologySpreadConstraints": [],
        "worker.affinity.nodeAffinity.preferredDuringSchedulingIgnoredDuringExecution": [wish],
    }
    release.install(MINIKUBE, values=values)
    assert nodes_of_workers(release) == [last] * 3
    circuits = [volume(20)] * 36  # which take longer than the first worker's end
    with of(release) as cluster:
        job = AerSimulator(executor=cluster).run(circuits, max_job_size=1, **OPTIONS)
        until(lambda: job.progress().done, "the job has begun")
        with ThreadPoolExecutor() as pool:
            drained = pool.submit(drain, release, last)
            ready = []
            while not drained.done():
                ready.append(count_ready(release))
            drained.result()
        assert nodes_of_workers(release) == [first] * 3
        assert min(ready) == 2, "one at a time"
        found = job.result(timeout=400)
    assert job.attempts() == [1] * 36
    assert job.report().repeats == ()
    assert differences(found, plain(20, 36)) == []


def test_the_tasks_of_a_node_that_is_lost_begin_elsewhere_within_60_seconds(
    release: Release,
) -> None:
    first, last = NODES
    values = {"jupyter.enabled": False, **scheduler_on(first.name)}
    release.install(MINIKUBE, values=values)
    (name,) = (p["metadata"]["name"] for p in release.pods() if on(p) == last.name)
    circuits = [volume(20)] * 24
    with of(release) as cluster:
        job = AerSimulator(executor=cluster).run(circuits, max_job_size=1, **OPTIONS)
        await_fresh_task(job, name)
        with faults.lost(last):
            since = time.time()
            found, report = job.result(timeout=120), job.report()
        release.kubectl("wait", "--for=condition=Ready", f"node/{last.name}", "--timeout=180s")
    (lost,) = report.repeats
    (again,) = (run for run in report.runs if run.task == lost.task)
    assert since < again.began < since + 60
    assert differences(found, plain(20, 24)) == []


def test_a_client_that_is_cut_off_goes_on_and_sends_nothing_again_after_a_few_seconds(
    release: Release,
) -> None:
    release.install(MINIKUBE, values={"jupyter.enabled": False})
    environment = os.environ | {"KUBECONFIG": str(release.cluster.kube_config_path)}
    with faults.laptop() as laptop:
        command = laptop.inside(sys.executable, "-c", ON_A_LAPTOP, release.name, release.namespace)
        with subprocess.Popen(list(map(str, command)), env=environment, text=True, cwd=ROOT,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE) as run:  # fmt: skip
            assert run.stdout
            said = {}
            for seconds in (5, 60):
                assert run.stdout.readline() == "begun\n"
                with laptop.cut_off():
                    time.sleep(seconds)
                said[seconds] = run.stdout.readline().strip(), run.stdout.readline().strip()
            _, errors = run.communicate(timeout=60)
    assert said[5] == ("[]", "0"), errors
    bits, sent_again = said[60]
    assert bits == "[]", errors
    assert int(sent_again) > 0, "after 30 s the scheduler forgets a client that says nothing"
    assert "Unhandled exception" not in errors, "a forward that breaks is no traceback"


def test_a_worker_that_is_cut_off_costs_nothing_after_a_few_seconds_and_then_its_task(
    release: Release,
) -> None:
    release.install(MINIKUBE, values={"jupyter.enabled": False})
    (scheduler,), (worker, _) = release.pods("scheduler"), release.pods()
    name, circuits = worker["metadata"]["name"], [volume(20)] * 36
    # after 30 s scheduler and worker take each other for lost
    for seconds, lost in {5: [], 60: [name]}.items():
        with of(release) as cluster:
            job = AerSimulator(executor=cluster).run(circuits, max_job_size=1, **OPTIONS)
            await_fresh_task(job, name)
            with faults.cut(worker["status"]["podIP"], scheduler["status"]["podIP"]):
                time.sleep(seconds)
            found, report = job.result(timeout=400), job.report()
        assert [repeat.worker for repeat in report.repeats] == lost
        assert len(report.runs) == 36, "what it did meanwhile is not taken in twice"
        assert differences(found, plain(20, 36)) == []
    until(lambda: release.ready("worker") == 2, "both workers serve", 120)
    until(lambda: len(release.workers()) == 2, "both are known", 60)


def await_fresh_task(job: AerJobSet, name: str) -> None:
    """A worker has just begun a task, and what it had done is fetched, which else is lost, too."""

    def ended() -> int:
        return sum(run.worker == name for run in job.report().runs)

    before = until(ended, "the worker has had a task")
    wait_until(lambda: ended() > before, "it has ended another one")


def scheduler_on(node: str) -> dict[str, object]:
    return {"scheduler.nodeSelector": {"kubernetes.io/hostname": node}}


def drain(release: Release, node: str) -> None:
    pods = f"--pod-selector={release.label}"
    try:
        release.kubectl("drain", node, pods, "--delete-emptydir-data", "--timeout=300s")
        until(
            lambda: all("nodeName" in pod["spec"] for pod in release.pods()),
            "the last one has its place",
        )
    finally:
        release.kubectl("uncordon", node)


def nodes_of_workers(release: Release) -> list[str]:
    return sorted(map(on, release.pods()))


def on(pod: dict[str, Any]) -> str:
    """The name of its node."""
    return str(pod["spec"]["nodeName"])


def count_ready(release: Release) -> int:
    conditions = (each for pod in release.pods() for each in pod["status"].get("conditions", []))
    return sum(each["type"] == "Ready" and each["status"] == "True" for each in conditions)
