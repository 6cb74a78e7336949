"""What goes wrong on a cluster and must not cost a job more than it has to."""

from __future__ import annotations

import random

import pytest

from ..chaos import __main__ as chaos
from ..chaos import events
from .release import MINIKUBE, Release, until

pytestmark = pytest.mark.timeout(900)

#: Three runs of 12 tasks; of each it says when it has begun, then how its bits differ from plain
#: Aer's, and how many tasks were not repeated.
THREE_RUNS = """
import os
from distributed import Client
import qiskit_aer
from qiskit import transpile
from qiskit.circuit.library import quantum_volume
from aer_dask import AerSimulator
from aer_dask.testing import differences

client = Client(os.environ["DASK_SCHEDULER_ADDRESS"])
client.wait_for_workers(1)
options = {"shots": 100, "seed_simulator": 7}
circuit = transpile(quantum_volume(18, seed=1), qiskit_aer.AerSimulator(), optimization_level=0)
circuit.measure_all()
plain = qiskit_aer.AerSimulator().run([circuit] * 12, **options).result()
for run in range(3):
    job = AerSimulator(executor=client).run([circuit] * 12, max_job_size=1, **options)
    while not job.progress().done:
        pass
    print("begun", flush=True)
    found = differences(job.result(timeout=400), plain)
    repeated = {repeat.task for repeat in job.report().repeats}
    print(found, 12 - len(repeated), flush=True)
"""
#: The state vector is twice the memory of the worker, and max_memory_mb leaves that to Aer.
TOO_LARGE = """
from distributed import Client
from qiskit import QuantumCircuit
from aer_dask import AerSimulator, InsufficientMemoryError

circuit = QuantumCircuit(27, 1)
circuit.rx(0.3, 0)
for qubit in range(1, 27):
    circuit.cx(qubit - 1, qubit)
circuit.measure(26, 0)
backend = AerSimulator(executor=Client("localhost:8786"), method="statevector")
job = backend.run(circuit, shots=1, max_memory_mb=100_000)
try:
    job.result(timeout=120)
except InsufficientMemoryError as error:
    print(job.attempts(), error)
"""


def test_a_scheduler_that_is_deleted_during_a_job_costs_only_what_was_running(
    release: Release,
) -> None:
    release.install(MINIKUBE)
    with release.popen("jupyter", "python", "-c", THREE_RUNS) as run:
        assert run.stdout
        for _ in range(3):
            assert run.stdout.readline() == "begun\n"
            before = release.pods("scheduler")[0]["metadata"]["name"]
            release.kubectl("delete", "pod", before)
            differences, once = run.stdout.readline().split()
            assert differences == "[]"
            assert int(once) >= 10, "two workers run two tasks at a time"
            until(lambda: release.ready("scheduler") == 1, "the scheduler is back")
    assert run.returncode == 0


def test_a_task_that_was_killed_for_lack_of_memory_is_not_sent_to_a_worker_of_the_same_size(
    release: Release,
) -> None:
    release.install(MINIKUBE, values={"jupyter.enabled": False})
    said = release.execute("scheduler", "python", "-c", TOO_LARGE)
    assert said.startswith("[1] Task 0 (circuits 0 to 0) was killed for lack of memory"), said
    assert "none has more" in said


def test_a_given_release_is_after_chaos_as_it_was_before(release: Release) -> None:
    autoscaled = {"enabled": True, "minReplicas": 2, "maxReplicas": 3}
    values = {"jupyter.enabled": False, "worker.autoscaling": autoscaled}
    release.install(MINIKUBE, values=values)
    before = state(release)
    with chaos.given(f"{release.namespace}/{release.name}") as given:
        stage = events.Stage(given, None, None, None, random.Random(1))  # type: ignore[arg-type]
        events.roll_workers(stage)
        events.scale(stage)
        assert state(release) != before
    assert state(release) == before


def state(release: Release) -> tuple[str, list[dict[str, object]]]:
    """The values that were given, and what autoscalers there are."""
    autoscalers = [
        {"name": each["metadata"]["name"], **each["spec"]} for each in release.get("hpa")
    ]
    return release.helm("get", "values", release.name), autoscalers
