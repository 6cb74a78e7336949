"""What a job tells of itself: the numbers of a run in which things die, and what it waits for."""

import os
import signal

import pytest

from aer_dask import AerSimulator
from tests.circuits import bell, pauli_noise
from tests.waiting import wait_until

from .processes import Cluster, simulations
from .runs import start_run
from .test_recovery import MIB, wide


def is_busy(worker):
    """The child of a worker, by process id, that simulates now, if one does."""
    return next((child for child in simulations(worker) if child.cpu_percent(0.1) > 10), None)


def test_a_report_has_the_numbers_of_a_run_in_which_a_child_and_a_worker_died(own_cluster):
    client = own_cluster(2)
    client.get_task_stream()  # from now on the scheduler keeps it
    job = start_run(client, shots=3200, max_shot_size=400)
    wait_until(lambda: job.progress().done, "the first task is done")
    workers = client.scheduler_info(n_workers=-1)["workers"]
    names = {address: str(worker["name"]) for address, worker in workers.items()}
    (hurt, hurt_id), (killed, killed_id) = client.run(os.getpid).items()
    wait_until(lambda: is_busy(hurt_id), "it simulates").kill()
    wait_until(lambda: job.report().repeats, "the loss is known")
    wait_until(lambda: is_busy(killed_id), "the other one simulates")
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
    wait_until(lambda: other.report().waits_for == "", "the other one runs")
    assert job.report().waits_for == "the workers are busy with other jobs"
    other.cancel()
    assert job.result(60).success
    assert job.report().waits_for == ""


def test_a_job_says_that_it_waits_for_memory_that_no_worker_has_free():
    cluster = Cluster()
    try:
        cluster.add_worker("wide", "--nthreads", "2", "--memory-limit", str(900 * MIB))
        backend = AerSimulator(executor=cluster.client, method="statevector")
        other = backend.run(wide(24), shots=100_000, noise_model=pauli_noise())
        wait_until(lambda: cluster.runs("wide"), "the other one runs")
        job = backend.run(wide(24), shots=10)
        wait_until(
            lambda: job.report().waits_for == "0.3 GiB that no worker has free", "it says so"
        )
        assert other.report().waits_for == ""
        other.cancel()
        assert job.result(60).success
    finally:
        cluster.close()
