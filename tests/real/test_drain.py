"""A worker that is told to stop finishes its task and leaves its results."""

import os

import pytest

from aer_dask import AerSimulator
from aer_dask.testing import differences
from tests.circuits import pauli_noise, plain, volume
from tests.waiting import wait_until

from .processes import Cluster

STRICT = {
    # a task whose worker goes in the middle of it is lost at once
    "DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES": "0",
    # whoever waits for an answer from a process that is gone fails the test
    "DASK_DISTRIBUTED__COMM__TIMEOUTS__CONNECT": "300s",
}


@pytest.fixture
def cluster():
    cluster = Cluster(**STRICT)
    yield cluster
    cluster.close()


def test_workers_that_are_replaced_lose_no_task_and_no_data(cluster):
    circuit, noise = volume(10), pauli_noise()
    options = {"shots": 2000, "seed_simulator": 9, "memory": True}
    leaving = cluster.add_worker("leaving")
    (data,) = cluster.client.scatter(["kept"], workers=[cluster.addresses()["leaving"]])
    cluster.add_worker("staying")
    backend = AerSimulator(executor=cluster.client, noise_model=noise, method="statevector")
    job = backend.run(circuit, max_shot_size=200, **options)
    wait_until(lambda: job.progress().done and cluster.runs("leaving"), "it is busy")
    leaving.terminate()
    assert leaving.wait(timeout=120) == 0
    expected = plain(noise, method="statevector").run(circuit, **options).result()
    assert differences(job.result(timeout=120), expected) == []
    assert set(job.attempts()) == {1}, "no task should have been lost"
    assert data.result() == "kept"


def test_a_lone_worker_finishes_its_task_and_leaves_the_result_to_its_successor(cluster, tmp_path):
    patient = tmp_path / "patient.py"  # however long its successor takes to start
    patient.write_text("from aer_dask.worker import drain; drain._PATIENCE = 300.0")
    leaving = cluster.add_worker("leaving", "--preload-nanny", str(patient))
    begun, may_end = tmp_path / "begun", tmp_path / "may end"

    def wait_for_a_file():
        with begun.open("a") as file:
            file.write("once")
        wait_until(may_end.exists, "the task may end")
        return 7

    tasks = [cluster.client.submit(wait_for_a_file)]
    wait_until(begun.exists, "the task has begun")
    tasks.append(cluster.client.submit(os.getpid))  # it waits behind the first
    leaving.terminate()
    wait_until(lambda: draining(cluster), "the worker takes no more tasks")
    may_end.touch()
    wait_until(tasks[0].done, "the task is done")
    cluster.add_worker("successor")
    assert leaving.wait(timeout=120) == 0
    assert tasks[0].result() == 7
    assert tasks[1].result(timeout=60)
    assert begun.read_text() == "once"


def test_a_worker_without_a_scheduler_goes_at_once(cluster):
    worker = cluster.add_worker("leaving")
    cluster.kill_scheduler()
    assert worker.wait(timeout=120) == 0


def draining(cluster):
    """Whether a worker takes no more tasks."""
    workers = cluster.client.scheduler_info(n_workers=-1)["workers"]
    return any(worker["status"] == "closing_gracefully" for worker in workers.values())
