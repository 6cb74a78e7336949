"""A scheduler that goes away and comes back, or does not; workers that come and go meanwhile."""

import contextlib
import logging
import signal
import time

import pytest
from distributed.comm import CommClosedError
from qiskit import QuantumCircuit
from qiskit.providers import JobStatus

from aer_dask import AerSimulator, ExecutorError, JobCancelledError, VersionMismatchError
from aer_dask.executors import session
from aer_dask.jobs import driver
from aer_dask.testing import differences
from tests.circuits import bell, plain
from tests.waiting import wait_until

from .processes import Cluster, black_hole, kept_running, occupied, simulations
from .runs import expected, start_run

#: The kernel repeats an attempt to connect after 1, 3, 7, 15, 31 and 63 s, or since Linux 6.5 after
#: ..., 19, 35 and 67 s: one that fell into the hole is not answered in the 27 s after it. Dask's
#: client makes another one after a fifth of its timeout, which is longer.
HOLE_SECONDS = 36.0
HOLE_TIMEOUT = 400
MIB = 2**20


@pytest.fixture
def cluster():
    cluster = Cluster()
    yield cluster
    cluster.close()


@contextlib.contextmanager
def stopped(process):
    """A process that stands still, and is there all the same."""
    process.send_signal(signal.SIGSTOP)
    try:
        yield
    finally:
        process.send_signal(signal.SIGCONT)


def wide(qubits):
    """A state vector of so many qubits, and few gates."""
    circuit = QuantumCircuit(qubits, 1)
    circuit.rx(0.3, 0)
    for qubit in range(1, qubits):
        circuit.cx(qubit - 1, qubit)
    circuit.measure(qubits - 1, 0)
    return circuit


def test_a_scheduler_that_comes_back_behind_a_black_hole_is_found(cluster, caplog):
    client = cluster.new_client(timeout=HOLE_TIMEOUT)
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


def test_jobs_of_one_client_that_has_given_up_go_on_with_one_other(cluster, caplog, monkeypatch):
    monkeypatch.setattr(session, "GRACE", 1.0)
    client = cluster.new_client()
    client._timeout = 1  # to connect again, but not at first
    with (
        caplog.at_level(logging.WARNING, logger="aer_dask"),
        kept_running(lambda: cluster.add_worker("worker", wait=False)),
    ):
        client.wait_for_workers(1, timeout=120)
        jobs = [start_run(client) for _ in range(5)]
        cluster.kill_scheduler()
        wait_until(lambda: client.status == "closed", "the client has given up")
        cluster.start_scheduler()
        for job in jobs:
            assert differences(job.result(timeout=120), expected()) == []
            assert max(job.attempts()) <= 2
    assert caplog.text.count("has taken its place") == 1


def test_a_run_that_finds_the_scheduler_gone_at_its_first_question_waits_for_it(
    cluster, monkeypatch
):
    """It was there when it was asked for workers, and is back soon."""
    renew, client = session.Session.renew, cluster.new_client()

    def kill_first(self, digest, shared):
        monkeypatch.setattr(session.Session, "renew", renew)
        cluster.kill_scheduler()
        raise CommClosedError("Stream is closed")  # as a question ends that was under way

    with kept_running(lambda: cluster.add_worker("worker", wait=False)):
        client.wait_for_workers(1, timeout=120)
        monkeypatch.setattr(session.Session, "renew", kill_first)
        job = start_run(client)
        assert job.progress().total == 0
        cluster.start_scheduler()
        assert differences(job.result(timeout=120), expected()) == []
    assert set(job.attempts()) == {1}, "no task is sent before the scheduler has what all share"


def test_cancel_does_not_wait_for_a_lost_scheduler(cluster):
    cluster.add_worker("worker")
    job = start_run(cluster.client, shots=100_000, max_shot_size=10_000)
    cluster.kill_scheduler()
    with black_hole(cluster.port):
        wait_until(lambda: cluster.client.status == "connecting", "the loss is noticed")
        assert job.report().waits_for == "the scheduler is away; connecting again"
        started = time.monotonic()
        assert job.cancel()
        assert time.monotonic() - started < 30  # the client tries for two minutes
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
    wait_until(lambda: len(job._driver._futures) == 2, "both are sent")
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


@pytest.fixture
def impatient(monkeypatch):
    """A scheduler is given up sooner than it is."""
    monkeypatch.setattr(session, "_BETWEEN_SIGNS", 0.5)
    monkeypatch.setattr(session, "_SIGN", 0.5)
    monkeypatch.setattr(session, "PATIENCE", 8.0)


def test_a_scheduler_that_stands_still_for_a_while_costs_nothing(cluster, impatient, monkeypatch):
    monkeypatch.setattr(session, "PATIENCE", 300.0)
    cluster.add_worker("worker")
    job = start_run(cluster.client)
    wait_until(lambda: job.progress().done >= 2, "two tasks are done")
    with stopped(cluster.scheduler):
        time.sleep(5)  # several signs are missed
    assert differences(job.result(timeout=120), expected()) == []
    assert set(job.attempts()) == {1}


def test_a_scheduler_that_stands_still_for_good_ends_the_job_with_a_sentence(cluster, impatient):
    cluster.add_worker("worker")
    long = start_run(cluster.client, shots=100_000, max_shot_size=10_000)
    wait_until(lambda: cluster.runs("worker"), "it runs")
    with stopped(cluster.scheduler):
        with pytest.raises(ExecutorError, match="has not answered for 8 s"):
            long.result(timeout=60)
        with pytest.raises(ExecutorError, match="has not answered for 8 s"):
            AerSimulator(executor=cluster.client).run(bell())
    assert AerSimulator(executor=cluster.client).run(bell()).result(timeout=60).success


def test_a_scheduler_that_is_gone_for_good_ends_the_job_with_a_sentence(cluster, impatient):
    cluster.add_worker("worker")
    job = start_run(cluster.client, shots=100_000, max_shot_size=10_000)
    wait_until(lambda: cluster.runs("worker"), "it runs")
    cluster.kill_scheduler()
    with pytest.raises(ExecutorError, match="was lost and did not come back within 8 s"):
        job.result(timeout=60)


def test_a_job_whose_workers_do_not_come_or_come_back_ends_with_a_sentence(cluster, monkeypatch):
    monkeypatch.setattr("aer_dask.executors.dask.WORKERS_PATIENCE", 3.0)
    backend = AerSimulator(executor=cluster.client)
    none = r"has waited for 3 s: the cluster has no workers yet\. Start what it waits for"
    with pytest.raises(ExecutorError, match=none):
        backend.run(bell()).result(timeout=60)

    cluster.add_worker("worker")
    late = backend.run(bell())
    job = start_run(cluster.client, shots=100_000, max_shot_size=10_000)
    assert late.result(timeout=60).success
    wait_until(lambda: cluster.runs("worker"), "it runs")
    cluster.kill_worker("worker")
    with pytest.raises(ExecutorError, match=none):
        job.result(timeout=60)


def test_a_job_that_has_gone_on_meanwhile_waits_for_workers_anew(cluster, monkeypatch):
    monkeypatch.setattr(driver, "_LOOK", 300.0)  # it does not look for workers of itself
    worker = cluster.add_worker("worker")
    job = start_run(cluster.client, shots=2400, max_shot_size=50)
    wait_until(lambda: job.progress().done, "it goes on")
    (child,) = simulations(worker.pid)
    child.suspend()
    wait_until(lambda: any(occupied(cluster.client).values()), "it is in the middle")
    waits = job._driver._dispatcher
    waits._lacking = 0.0  # as where there was nobody for a moment, long ago
    child.resume()
    wait_until(lambda: waits._lacking is None, "it goes on")
    assert differences(job.result(timeout=120), expected(2400)) == []


def test_a_task_that_no_worker_can_take_any_more_ends_its_job_with_a_sentence(cluster, monkeypatch):
    monkeypatch.setattr("aer_dask.executors.dask.WORKERS_PATIENCE", 3.0)
    # there before the other one goes, or the job may end for want of any worker
    cluster.add_worker("small", "--memory-limit", str(500 * MIB))
    cluster.add_worker("large", "--memory-limit", str(1200 * MIB))
    options = {"shots": 10, "seed_simulator": 1, "method": "statevector", "max_job_size": 1}
    job = AerSimulator(executor=cluster.client).run([wide(24), bell()], **options)
    cluster.kill_worker("large")
    with pytest.raises(
        ExecutorError, match=r"a worker with 0\.3 GiB for simulations; there is none"
    ):
        job.result(timeout=60)
