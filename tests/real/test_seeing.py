"""What a job tells of itself: the numbers of a run in which things die, and what it waits for."""

import os
import signal
from concurrent.futures import ThreadPoolExecutor
from time import monotonic

import pytest

from aer_dask import AerSimulator
from aer_dask.jobs import driver
from aer_dask.jobs.errors import JobTimeoutError
from tests.circuits import bell, pauli_noise
from tests.waiting import wait_until

from .processes import Cluster, occupied, simulations
from .runs import start_run
from .test_recovery import MIB, wide


@pytest.fixture(scope="module")
def one_worker():
    """A cluster of one worker, "wide": two threads, one GPU, memory for one of :data:`LARGE`."""
    cluster = Cluster()
    try:
        cluster.add_worker("wide", "--nthreads", "2", "--memory-limit", str(900 * MIB),
                           "--resources", "GPU=1")  # fmt: skip
        yield cluster
    finally:
        cluster.close()


#: A circuit of 0.3 GiB, and what makes it run for minutes.
LARGE = wide(24)
LONG = {"shots": 100_000, "max_shot_size": 100_000, "noise_model": pauli_noise()}


def held(client, address, process_id):
    """The child of a worker, stopped in the middle of a task, if it has one."""
    (child,) = simulations(process_id)
    child.suspend()
    if occupied(client)[address]:
        return child
    child.resume()
    return None


def test_a_report_has_the_numbers_of_a_run_in_which_a_child_and_a_worker_died(own_cluster):
    client = own_cluster(2)
    client.get_task_stream()  # from now on the scheduler keeps it
    job = start_run(client, shots=3200, max_shot_size=400)
    wait_until(lambda: job.progress().done, "the first task is done")
    workers = client.scheduler_info(n_workers=-1)["workers"]
    names = {address: str(worker["name"]) for address, worker in workers.items()}
    (hurt, hurt_id), (killed, killed_id) = client.run(os.getpid).items()
    wait_until(lambda: held(client, hurt, hurt_id), "it simulates").kill()
    wait_until(lambda: job.report().repeats, "the loss is known")
    wait_until(lambda: held(client, killed, killed_id), "the other one simulates")
    # a result that has not been fetched yet would be lost, and its task repeated, as well
    wait_until(lambda: not any(client.has_what([killed]).values()), "all results are fetched")
    os.kill(killed_id, signal.SIGKILL)
    job.result(timeout=120)
    report = job.report()

    child, worker = report.repeats
    assert child.worker == names[hurt]
    assert child.why.startswith("The process that simulated this task is gone: it was killed")
    assert (worker.worker, worker.why) == (names[killed], "The worker was lost.")
    assert {run.task for run in report.runs if run.repeat} == {child.task, worker.task}
    assert [run.task for run in report.runs if run.lost] == [child.task]
    assert report.bytes_sent == sum(job.plan().payload_bytes) + job.plan().payload_bytes[child.task]

    # who ran what and when, as Dask's own record has it; another worker takes the killed one's name
    dasks = sorted(
        (index_of(task["key"]), names.get(task["worker"], names[killed]), *span(task))
        for task in client.get_task_stream()
        if job.job_id() in task["key"]
    )
    ours = sorted(run[:4] for run in report.runs)
    assert [run[:2] for run in ours] == [dask[:2] for dask in dasks]
    assert len(ours) == len(job.plan().tasks) + 1
    for (*_, began, ended), (*_, start, stop) in zip(ours, dasks, strict=True):
        assert start - 0.1 < began < ended < stop + 0.1
    simulated = sum(stop - start for *_, start, stop in dasks)
    time = max(dask[3] for dask in dasks) - min(dask[2] for dask in dasks)
    assert report.worker_seconds == pytest.approx(simulated, rel=0.05)
    assert report.busy == pytest.approx(simulated / (2 * time), rel=0.05)


def index_of(key):
    return int(key.split("-")[-2])


def span(task):
    """Begin and end of what a task of Dask's took to compute."""
    (compute,) = (times for times in task["startstops"] if times["action"] == "compute")
    return compute["start"], compute["stop"]


def test_a_job_behind_another_one_says_that_the_workers_are_busy(client):
    backend = AerSimulator(executor=client)
    other = start_run(client, shots=200_000, max_shot_size=100_000)
    job = backend.run([bell()] * 2, max_job_size=1)
    busy = "the workers are busy with other jobs"
    wait_until(lambda: job.report().waits_for == busy, "it says so")
    assert other.report().waits_for == ""
    other.cancel()
    assert job.result(60).success
    assert job.report().waits_for == ""


def test_a_job_says_that_no_worker_has_the_resource_that_it_waits_for(client):
    executor = client.get_executor(resources={"GPU": 1, "licence": 0.5})
    job = AerSimulator(executor=executor).run(bell())
    missing = "a worker with the resource 1 GPU and 0.5 licence; there is none"
    wait_until(lambda: job.report().waits_for == missing, "it says so")
    job.cancel()


def test_a_job_says_that_it_waits_for_memory_or_a_resource_that_no_worker_has_free(one_worker):
    backend = AerSimulator(executor=one_worker.client, method="statevector")
    with_gpu = one_worker.client.get_executor(resources={"GPU": 1})
    other = AerSimulator(executor=with_gpu, method="statevector").run(LARGE, **LONG)
    wait_until(lambda: one_worker.runs("wide"), "the other one runs")
    job = backend.run(LARGE, shots=10)
    wait_until(lambda: job.report().waits_for == "0.3 GiB that no worker has free", "it says so")
    small = AerSimulator(executor=with_gpu).run(bell())
    wait_until(lambda: small.report().waits_for == "1 GPU that no worker has free", "it says so")
    assert other.report().waits_for == ""
    other.cancel()
    assert job.result(60).success
    assert small.result(60).success


def test_nobody_waits_beyond_the_timeout_for_a_scheduler_that_hangs(one_worker, monkeypatch):
    monkeypatch.setattr(driver, "_ANSWER", 1.0)
    job = AerSimulator(executor=one_worker.client, method="statevector").run(LARGE, **LONG)
    wait_until(lambda: one_worker.runs("wide"), "it runs")
    with ThreadPoolExecutor() as threads:
        one_worker.scheduler.send_signal(signal.SIGSTOP)
        try:
            started = monotonic()
            waiting = threads.submit(job.result, timeout=1.5, progress=True)
            with pytest.raises(JobTimeoutError, match=r"No result after 1\.5 s: 0 of 1 tasks"):
                raise waiting.exception(timeout=20)
            assert monotonic() - started >= 1.5
            asked = threads.submit(job.report)
            assert asked.result(timeout=20).waits_for == "the scheduler does not answer"
        finally:
            one_worker.scheduler.send_signal(signal.SIGCONT)
    wait_until(lambda: job.report().waits_for == "", "it runs, and the scheduler answers again")
    job.cancel()


def test_of_the_tasks_of_a_dead_worker_only_those_that_had_begun_are_repeats(one_worker):
    backend = AerSimulator(executor=one_worker.client, method="statevector")
    job = backend.run([LARGE] * 6, max_job_size=1, **LONG)
    wait_until(
        lambda: sum(map(len, one_worker.client.processing().values())) == 6, "it has been given all"
    )
    wait_until(lambda: job.report().waits_for == "", "one of them runs")
    one_worker.kill_worker("wide")
    wait_until(lambda: job.report().repeats, "the loss is known")
    assert [(repeat.task, repeat.worker) for repeat in job.report().repeats] == [(0, "wide")]
    job.cancel()
