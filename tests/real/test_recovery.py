"""A scheduler that goes away and comes back, or does not; workers that come and go meanwhile."""

import logging
import time

import pytest
from qiskit import QuantumCircuit
from qiskit.providers import JobStatus

from aer_dask import AerSimulator, ExecutorError, JobCancelledError, VersionMismatchError
from aer_dask.testing import differences
from tests.circuits import bell, plain
from tests.waiting import wait_until

from .processes import Cluster, black_hole, kept_running
from .runs import expected, start_run

#: Longer than any attempt of Dask's client to connect can be answered: the kernel repeats one
#: after 1, 3, 7, 15 and 31 s, and that client gives up after 30.
HOLE_SECONDS = 23.0
MIB = 2**20


@pytest.fixture
def cluster():
    cluster = Cluster()
    yield cluster
    cluster.close()


def wide(qubits):
    """A state vector of so many qubits, and few gates."""
    circuit = QuantumCircuit(qubits, 1)
    circuit.rx(0.3, 0)
    for qubit in range(1, qubits):
        circuit.cx(qubit - 1, qubit)
    circuit.measure(qubits - 1, 0)
    return circuit


def test_a_scheduler_that_comes_back_behind_a_black_hole_is_found(cluster, caplog):
    client = cluster.new_client(timeout=120)
    with (
        caplog.at_level(logging.WARNING, logger="aer_dask"),
        kept_running(lambda: cluster.add_worker("worker", wait=False)),
    ):
        client.wait_for_workers(1, timeout=120)
        job = start_run(client)
        wait_until(lambda: job.progress().done >= 2, "two tasks are done")
        cluster.kill_scheduler()
        with black_hole(cluster.port):
            time.sleep(HOLE_SECONDS)
        cluster.start_scheduler()
        assert differences(job.result(timeout=120), expected()) == []
        again = start_run(client)
        assert differences(again.result(timeout=120), expected()) == []
    assert caplog.text.count("has taken its place") == 1
    client.close()
    with pytest.raises(ExecutorError, match="was closed"):
        start_run(client)


def test_cancel_does_not_wait_for_a_lost_scheduler(cluster):
    cluster.add_worker("worker")
    job = start_run(cluster.client, shots=100_000, max_shot_size=10_000)
    cluster.kill_scheduler()
    with black_hole(cluster.port):
        wait_until(lambda: cluster.client.status == "connecting", "the loss is noticed")
        assert job.report().waits_for == "the scheduler is away; connecting again"
        started = time.monotonic()
        assert job.cancel()
        assert time.monotonic() - started < 2
    assert job.status() is JobStatus.CANCELLED
    with pytest.raises(JobCancelledError):
        job.result()


def test_a_client_that_is_closed_ends_its_job_with_a_sentence(cluster):
    cluster.add_worker("worker")
    client = cluster.new_client()
    job = start_run(client, shots=100_000, max_shot_size=10_000)
    wait_until(lambda: cluster.runs("worker"), "it runs")
    client.close()
    with pytest.raises(ExecutorError, match="client was closed"):
        job.result(timeout=20)
    assert job.status() is JobStatus.ERROR


def test_a_client_that_is_closed_while_the_job_waits_ends_it_with_a_sentence(cluster):
    client = cluster.new_client()
    job = AerSimulator(executor=client).run(bell())
    wait_until(lambda: job.status() is JobStatus.QUEUED, "it waits for workers")
    client.close()
    with pytest.raises(ExecutorError, match="client was closed"):
        job.result(timeout=20)


@pytest.mark.parametrize("preload", [True, False], ids=["preload", "no preload"])
def test_tasks_run_on_workers_that_come_later(cluster, preload):
    """Here the only worker that is large enough is replaced by an equal one."""
    cluster.add_worker("small", "--memory-limit", str(500 * MIB))
    cluster.add_worker("large", "--memory-limit", str(1200 * MIB))
    circuits = [wide(24), bell(), bell(), bell()]
    options = {"shots": 10, "seed_simulator": 1, "method": "statevector"}
    job = AerSimulator(executor=cluster.client).run(circuits, max_job_size=1, **options)
    cluster.kill_worker("large")
    add = cluster.add_worker if preload else cluster.plain_worker
    add("successor", "--memory-limit", str(1200 * MIB))
    alone = plain().run(circuits, **options).result()
    assert differences(job.result(timeout=120), alone) == []


def test_a_large_task_waits_for_a_worker_of_its_size_when_the_scheduler_was_lost(cluster, caplog):
    cluster.add_worker("large", "--memory-limit", str(1200 * MIB))
    circuit, options = wide(24), {"shots": 10, "seed_simulator": 1, "method": "statevector"}
    job = AerSimulator(executor=cluster.client).run([circuit, bell()], max_job_size=1, **options)
    cluster.kill_scheduler()
    cluster.workers["large"].kill()
    cluster.start_scheduler()
    cluster.add_worker("small", "--memory-limit", str(500 * MIB))
    wait_until(lambda: job.progress().done or job.status() is JobStatus.ERROR, "bell is done")
    assert job.status() is JobStatus.RUNNING
    wait_until(lambda: "A task waits for a worker with" in caplog.text, "it says so")
    report = job.report()
    assert report.waits_for == "a worker with 0.3 GiB for simulations; there is none"
    assert report.repeats == ()
    assert {resent.why[:21] for resent in report.resent} == {"Dask has cancelled it"}
    assert not any(run.repeat for run in report.runs), "nobody knows that it had begun"
    cluster.add_worker("successor", "--memory-limit", str(1200 * MIB))
    alone = plain().run([circuit, bell()], **options).result()
    assert differences(job.result(timeout=120), alone) == []


def test_tasks_side_by_side_share_the_memory_of_their_worker(cluster):
    cluster.add_worker("wide", "--nthreads", "2", "--memory-limit", str(900 * MIB))
    circuits = [wide(24), wide(24)]
    job = AerSimulator(executor=cluster.client, method="statevector").run(circuits, max_job_size=1)
    assert job.result(60).success
    (log,) = cluster.client.run(
        lambda dask_worker: [
            entry[1:4] for entry in dask_worker.state.log if str(entry[0]).startswith("aer-")
        ]
    ).values()
    running = [0]
    for before, _, after in (entry for entry in log if len(entry) == 3):
        running.append(running[-1] + (after == "executing") - (before == "executing"))
    assert max(running) == 1


def test_a_worker_that_joins_without_preload_is_held_to_the_versions(cluster, tmp_path):
    cluster.add_worker("good")
    gate, begun = tmp_path / "gate", tmp_path / "begun"

    def block():
        begun.touch()
        wait_until(gate.exists, "the gate opens", seconds=120)

    blocking = cluster.client.submit(block)
    wait_until(begun.exists, "the worker is busy")
    job = AerSimulator(executor=cluster.client).run([bell()] * 4, max_job_size=1)
    (tmp_path / "sitecustomize.py").write_text(
        "import importlib.metadata as m\nversion = m.version\n"
        "m.version = lambda name: '9.9.9' if name == 'qiskit' else version(name)\n"
    )
    other = cluster.plain_worker("other", PYTHONPATH=str(tmp_path))
    try:
        with pytest.raises(VersionMismatchError, match=r"worker tcp://.*qiskit is .* and 9\.9\.9"):
            job.result(timeout=60)
    finally:
        gate.touch()
        blocking.result(timeout=60)
        other.kill()
