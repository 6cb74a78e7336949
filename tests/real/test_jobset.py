"""What a user sees of a job: where work runs, status, progress, partial results, refusals."""

import logging
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from distributed import Client
from qiskit import QuantumCircuit, transpile
from qiskit.providers import JobError, JobStatus
from qiskit.providers.fake_provider import GenericBackendV2
from qiskit.transpiler import generate_preset_pass_manager
from qiskit_aer import AerError

from aer_dask import (
    AerSimulator,
    EmbeddedCluster,
    ExecutorError,
    InsufficientMemoryError,
    JobCancelledError,
    JobTimeoutError,
)
from aer_dask.testing import differences
from tests.circuits import ANGLE, bell, mid_circuit, parameterised, pauli_noise, plain, volume
from tests.placement import executed
from tests.waiting import wait_until


@pytest.fixture
def backend(client):
    return AerSimulator(executor=client)


@pytest.fixture(scope="module")
def long_run():
    """Arguments of a run that takes minutes, in many tasks."""
    return {"circuits": volume(12), "shots": 200_000, "noise_model": pauli_noise(),
            "method": "statevector", "max_shot_size": 100_000}  # fmt: skip


def test_circuits_are_simulated_on_all_workers_and_not_here(backend, client):
    job = backend.run([volume(10, seed) for seed in range(8)], max_job_size=1, shots=10)
    job.result(timeout=120)
    tasks = executed(client, job)
    assert len(tasks) == 2
    assert all(tasks.values())
    assert sum(map(len, tasks.values())) == len(job.plan().tasks) == 8


def test_plain_aer_is_untouched_without_an_executor():
    job = AerSimulator().run(bell(), seed_simulator=1)
    assert type(job).__module__.startswith("qiskit_aer")
    assert differences(job.result(), plain().run(bell(), seed_simulator=1).result()) == []


def test_the_executor_can_be_named_set_later_or_given_to_a_run(client):
    backend = AerSimulator(executor="dask")
    assert backend.run(bell()).result(60).success
    backend = AerSimulator()
    backend.set_options(executor=client)
    assert backend.run(bell()).plan().tasks
    assert AerSimulator().run(bell(), executor=client).plan().tasks


def test_status_and_progress_follow_the_job(backend, long_run):
    job = backend.run(**long_run)
    assert job.status() is JobStatus.RUNNING
    assert job.progress() == (0, 2)
    job.cancel()
    done = backend.run([bell()] * 3, max_job_size=1)
    done.result(60, progress=True)
    assert done.status() is JobStatus.DONE
    assert done.progress() == (3, 3)


def test_cancel_frees_the_workers_within_two_seconds(backend, client, long_run):
    for _ in range(3):  # the machine may stand still for a moment
        job = backend.run(**long_run)
        wait_until(lambda: executing(client) == 2, "both workers simulate")
        started = time.monotonic()
        assert job.cancel()
        wait_until(lambda: executing(client) == 0, "both workers are free")
        if (took := time.monotonic() - started) < 2:
            break
    assert took < 2
    assert job.status() is JobStatus.CANCELLED
    assert not job.cancel()
    with pytest.raises(JobCancelledError):
        job.result()
    assert backend.run([bell()] * 2, max_job_size=1).result(timeout=60).success


def executing(client):
    """How many tasks run on the workers now."""
    return sum(client.run(lambda dask_worker: dask_worker.state.executing_count).values())


def test_a_timeout_comes_on_time_and_the_job_goes_on(backend, long_run):
    job = backend.run(**long_run)
    started = time.monotonic()
    with pytest.raises(JobTimeoutError, match="0 of 2 tasks"):
        job.result(timeout=0.5)
    assert time.monotonic() - started < 30  # it takes minutes
    assert job.status() is JobStatus.RUNNING
    job.cancel()


def test_partial_results_come_as_they_are_complete(backend):
    circuits = [bell(f"bell{i}") for i in range(5)]
    job = backend.run(circuits, max_job_size=2, shots=100, seed_simulator=3)
    parts = dict(job.as_completed(timeout=60))
    assert sorted(parts) == list(range(5))
    whole = job.result()
    assert all(parts[i].get_counts(0) == whole.get_counts(i) for i in parts)


def test_tasks_can_be_asked_for_by_index_and_by_circuit(backend):
    circuits = [bell(f"bell{i}") for i in range(4)] + [mid_circuit()]
    job = backend.run(circuits, max_job_size=2, max_shot_size=50, shots=100, seed_simulator=3)
    whole = job.result(60)
    assert job.worker("bell2") == job.worker(2) == job.worker(circuits[2]) == 1
    assert job.worker_results(1).get_counts(0) == whole.get_counts(2)
    assert len(job.worker_results()) == len(job.worker_job()) == len(job.plan().tasks)
    shared = job.worker("mid")
    assert [r.results[0].shots for r in job.worker_results(shared)] == [50, 50]
    assert job.job("bell0").status() is JobStatus.DONE
    assert job.job("bell0").result().get_counts("bell0") == whole.get_counts("bell0")
    with pytest.raises(JobError, match="'nobody'"):
        job.worker("nobody")
    with pytest.raises(JobError, match="no task 99"):
        job.worker_job(99)


def test_a_plan_says_what_would_be_sent_and_sends_nothing(backend, client):
    before = executed(client)
    binds = [{ANGLE: [0.1 * i for i in range(100)]}]
    plan = backend.plan(parameterised(), binds, max_job_size=25, shots=10)
    assert len(plan.tasks) == 4
    assert (len(plan.experiments), plan.shots) == (100, 1000)
    assert plan.methods == {"statevector": 100}
    # a template and rows of numbers: a row costs its eight bytes a place, not a circuit
    assert max(plan.payload_bytes) < 2000
    assert "100 circuits (100 statevector)" in str(plan)
    # a worker's log forgets its oldest lines, so what was executed before may be missing now
    assert all(keys <= before[worker] for worker, keys in executed(client).items())


def test_early_circuits_come_back_first(backend):
    job = backend.run([volume(8, seed) for seed in range(12)], max_job_size=1, shots=1)
    order = [index for index, _ in job.as_completed(timeout=120)]
    assert sum(order[:6]) < sum(order[6:])


def test_a_job_waits_for_workers_and_says_so(caplog, capsys):
    with EmbeddedCluster(workers=1) as cluster, Client(cluster) as client:
        cluster.scale(0)
        wait_until(lambda: not client.scheduler_info(n_workers=-1)["workers"], "no worker is left")
        with caplog.at_level(logging.WARNING, logger="aer_dask"):
            job = AerSimulator(executor=client).run(bell())
            with pytest.raises(JobTimeoutError, match="no workers yet"):
                job.result(timeout=0.5)
        assert "has no workers yet" in caplog.text
        assert "waits for: the cluster has no workers yet" in str(job.report())
        assert job.status() is JobStatus.QUEUED
        with ThreadPoolExecutor() as threads:
            waiting, shown = threads.submit(job.result, timeout=120, progress=True), []
            wait_until(
                lambda: (
                    shown.append(capsys.readouterr().err)
                    or "0 workers, waits: the cluster has no workers yet" in "".join(shown)
                ),
                "the progress bar says so",
            )
            cluster.scale(1)
            assert waiting.result(timeout=60).success


def test_a_circuit_too_large_for_the_workers_is_refused_before_it_is_sent(backend, client):
    large = QuantumCircuit(36)
    large.h(range(36))
    large.t(range(36))
    large.measure_all()
    with pytest.raises(InsufficientMemoryError) as refused:
        backend.run([bell(), large])
    assert (
        "circuit 1 (36 qubits, statevector) needs 1024.0 GiB, results included; workers have"
        in str(refused.value)
    )


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"max_job_size": 0}, "max_job_size must be a whole number of at least 1, not 0"),
        ({"max_shot_size": -1}, "max_shot_size must be a whole number"),
        ({"seed_policy": "lucky"}, "seed_policy must be one of"),
        ({"seed_simulator": 2**63}, "must fit in 64 bits"),
        ({"shots": -3}, "shots"),
    ],
)
def test_bad_options_are_refused_in_a_sentence(backend, options, sentence):
    with pytest.raises((AerError, TypeError), match=sentence):
        backend.run(bell(), **options)


def test_bad_circuits_are_refused_in_a_sentence(backend):
    with pytest.raises(AerError, match="no circuits"):
        backend.run([])
    with pytest.raises(AerError, match="Circuit 1 is a str"):
        backend.run([bell(), "bell"])
    with pytest.raises(AerError, match="parameter_binds is not specified"):
        backend.run(parameterised())


def test_an_unknown_executor_is_refused_in_a_sentence():
    with pytest.raises(ExecutorError, match="executor=42 cannot run circuits"):
        AerSimulator(executor=42).run(bell())


def test_it_works_wherever_a_backend_does(backend, client):
    device = GenericBackendV2(5, seed=1)
    noisy = AerSimulator.from_backend(device, executor=client)
    assert isinstance(noisy, AerSimulator)
    circuit = transpile(bell(), noisy, seed_transpiler=1)
    assert circuit == generate_preset_pass_manager(2, noisy, seed_transpiler=1).run(bell())
    expected = plain().from_backend(device).run(circuit, seed_simulator=1).result()
    assert differences(noisy.run(circuit, seed_simulator=1).result(60), expected) == []
