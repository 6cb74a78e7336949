"""A worker that is told to stop finishes its task and leaves its results."""

import os

import pytest
from distributed import Client

from aer_dask import AerSimulator
from aer_dask.clusters.settings import DASK_SETTINGS, WORKER_FLAGS
from aer_dask.testing import differences
from tests.circuits import pauli_noise, plain, volume
from tests.waiting import wait_until

from .processes import dask, free_port

STRICT = DASK_SETTINGS | {
    # a task whose worker goes in the middle of it is lost at once
    "DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES": "0",
    # whoever waits for an answer from a process that is gone fails the test
    "DASK_DISTRIBUTED__COMM__TIMEOUTS__CONNECT": "300s",
}


class Cluster:
    """A scheduler, and workers to be added by name."""

    def __init__(self):
        self.address = f"tcp://127.0.0.1:{free_port()}"
        port = self.address.rpartition(":")[2]
        self.processes = [dask("scheduler", "--host", "127.0.0.1", "--port", port, **STRICT)]
        self.client = Client(self.address, timeout=120)

    def add_worker(self, name):
        """Start a worker, and return its process once it serves."""
        flags = ["--host", "127.0.0.1", "--name", name, "--no-dashboard", *WORKER_FLAGS]
        worker = dask("worker", self.address, *flags, **STRICT)
        self.processes.append(worker)
        wait_until(lambda: self.addresses().get(name) in self.watched(), f"worker {name} serves")
        return worker

    def watched(self):
        """The addresses of the workers that their nannies have heard from."""
        return self.client.run(lambda dask_worker: dask_worker.worker_address, nanny=True).values()

    def addresses(self):
        """The address of each worker, by name."""
        workers = self.client.scheduler_info(n_workers=-1)["workers"]
        return {worker["name"]: address for address, worker in workers.items()}

    def runs(self, name):
        """Whether a worker runs a task."""
        address = self.addresses()[name]
        count = self.client.run(lambda dask_worker: dask_worker.state.executing_count)
        return count[address]

    def close(self):
        """End all processes."""
        self.client.close()
        for process in self.processes:
            process.kill()
            process.wait()


@pytest.fixture
def cluster():
    cluster = Cluster()
    yield cluster
    cluster.close()


def test_workers_that_are_replaced_lose_no_task_and_no_data(cluster):
    circuit, noise = volume(10), pauli_noise()
    options = {"shots": 400, "seed_simulator": 9, "memory": True}
    leaving = cluster.add_worker("leaving")
    (data,) = cluster.client.scatter(["kept"], workers=[cluster.addresses()["leaving"]])
    cluster.add_worker("staying")
    backend = AerSimulator(executor=cluster.client, noise_model=noise, method="statevector")
    job = backend.run(circuit, max_shot_size=40, **options)
    wait_until(lambda: job.progress().done and cluster.runs("leaving"), "it is busy")
    leaving.terminate()
    assert leaving.wait(timeout=120) == 0
    expected = plain(noise, method="statevector").run(circuit, **options).result()
    assert differences(job.result(timeout=120), expected) == []
    assert set(job.attempts()) == {1}, "no task should have been lost"
    assert data.result() == "kept"


def test_a_lone_worker_finishes_its_task_and_leaves_the_result_to_its_successor(cluster, tmp_path):
    leaving = cluster.add_worker("leaving")
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
    cluster.processes[0].kill()
    assert worker.wait(timeout=120) == 0


def draining(cluster):
    """Whether a worker takes no more tasks."""
    workers = cluster.client.scheduler_info(n_workers=-1)["workers"]
    return any(worker["status"] == "closing_gracefully" for worker in workers.values())
