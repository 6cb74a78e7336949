"""Nothing is lost when processes die, and no bit changes."""

import contextlib
import os
import re
import signal
import subprocess
import sys

import psutil
import pytest
from dask import config
from distributed import Client
from qiskit.providers import JobStatus

from aer_dask import (
    AerSimulator,
    HelmCluster,
    VersionMismatchError,
    WorkerLostError,
    __version__,
    versions,
)
from aer_dask.clusters.settings import WORKER_FLAGS
from aer_dask.jobs import driver
from aer_dask.testing import differences
from tests.circuits import bell, pauli_noise
from tests.waiting import wait_until

from .processes import Cluster, dask, free_port, kept_running, occupied, simulations
from .runs import CIRCUIT, expected, start_run


def worker_ids(client):
    return list(client.run(os.getpid).values())


def test_a_killed_simulation_is_repeated_and_changes_no_bit(own_cluster):
    client = own_cluster(2)
    job = start_run(client)
    wait_until(lambda: job.progress().done, "the first task is done")
    for worker in worker_ids(client):
        for child in simulations(worker):
            child.kill()
    assert differences(job.result(timeout=120), expected()) == []


def test_a_killed_worker_is_replaced_and_changes_no_bit(own_cluster):
    client = own_cluster(1)
    job = start_run(client)
    wait_until(lambda: job.progress().done, "the first task is done")
    # by its nanny, which Dask's cluster would give up for lost after this time
    with config.set({"distributed.deploy.lost-worker-timeout": "0s"}):
        os.kill(worker_ids(client)[0], signal.SIGKILL)
        assert differences(job.result(timeout=120), expected()) == []


def test_a_worker_that_dies_takes_its_simulations_along(own_cluster):
    client = own_cluster(1)
    job = start_run(client, shots=100_000, max_shot_size=100_000)
    (worker,) = worker_ids(client)
    (child,) = wait_until(lambda: simulations(worker), "the worker has a child")
    wait_until(lambda: child.cpu_times().user > 1, "the child is busy")
    os.kill(worker, signal.SIGKILL)
    wait_until(lambda: not child.is_running(), "its child is gone, too")
    job.cancel()


def test_an_embedded_cluster_ends_with_the_program_that_started_it():
    program = (
        "import time; from aer_dask import EmbeddedCluster\n"
        "cluster = EmbeddedCluster(workers=1)\n"
        "print('up', flush=True); time.sleep(600)"
    )
    started = subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    assert started.stdout.readline() == b"up\n"
    processes = psutil.Process(started.pid).children(recursive=True)
    started.kill()
    wait_until(lambda: not any(map(is_running, processes)), "all of its processes are gone")
    started.wait()


def is_running(process):
    with contextlib.suppress(psutil.NoSuchProcess):  # it may end while it is looked at
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    return False


def test_a_simulation_longer_than_worker_ttl_goes_on(own_cluster):
    scheduler = "DASK_DISTRIBUTED__SCHEDULER__"
    settings = {f"{scheduler}WORKER_TTL": "10s", f"{scheduler}ALLOWED_FAILURES": "0"}
    client = own_cluster(1, settings=settings)
    (worker,) = worker_ids(client)
    job = start_run(client, shots=1_000_000, max_shot_size=1_000_000)
    wait_until(lambda: [*occupied(client).values()] == [True], "it simulates")
    began = last_seen(client)
    wait_until(lambda: last_seen(client) > began + 25, "the scheduler has looked twice")
    assert [*occupied(client).values()] == [True]
    assert worker_ids(client) == [worker]
    assert job.attempts() == [1]
    job.cancel()


def last_seen(client):
    """When the scheduler has heard of its only worker."""
    (worker,) = client.scheduler_info(n_workers=-1)["workers"].values()
    return worker["last_seen"]


def test_a_restarted_scheduler_costs_only_what_was_running():
    port = str(free_port())
    address = f"tcp://127.0.0.1:{port}"
    with (
        kept_running(
            lambda: dask("scheduler", "--host", "127.0.0.1", "--port", port, "--no-dashboard"),
            lambda: dask("worker", address, "--host", "127.0.0.1", "--no-dashboard", *WORKER_FLAGS),
        ) as processes,
        Client(address, timeout=120) as client,
    ):
        client.wait_for_workers(1, timeout=120)
        job = start_run(client, shots=2400, max_shot_size=300)
        wait_until(lambda: job.progress().done >= 2, "two tasks are done")
        (child,) = simulations(processes[1].pid)
        child.suspend()  # or more tasks are done, and not fetched, before it is killed
        wait_until(
            lambda: any(occupied(client).values()) and not any(client.has_what().values()),
            "one runs, and no result is still to be fetched",
        )
        processes[0].kill()
        child.resume()
        assert differences(job.result(timeout=180), expected(2400)) == []
        assert len(job.report().repeats) <= 1, "the worker runs one task at a time"


def test_a_task_whose_process_dies_every_time_is_given_up_in_a_sentence(own_cluster, monkeypatch):
    monkeypatch.setattr(driver, "ATTEMPTS", 2)
    client = own_cluster(1)
    (worker,) = worker_ids(client)
    backend = AerSimulator(executor=client, noise_model=pauli_noise(), method="statevector")
    job = backend.run(CIRCUIT, shots=100_000, max_shot_size=100_000)
    while job.status() is not JobStatus.ERROR:
        for child in simulations(worker):
            with contextlib.suppress(psutil.NoSuchProcess):  # the one of before, still seen
                child.kill()
    with pytest.raises(
        WorkerLostError, match=r"was lost 2 times, the last time because: .* killed"
    ):
        job.result(timeout=120)
    assert backend.run(bell()).result(60).success


@pytest.mark.parametrize(
    ("other", "said"),
    [
        ({"qiskit": "9.9.9"}, r"qiskit is 9\.9\.9 here and 2\.6\.2 there"),
        ({"python": "3.99.0.final.0"}, r"Python is 3\.99 here and 3\.\d+ there"),
    ],
    ids=lambda value: "".join(value) if isinstance(value, dict) else "",
)
def test_other_versions_are_refused_with_both_named(client, monkeypatch, other, said):
    mine = {**versions.installed(), **other}
    monkeypatch.setattr(versions, "installed", lambda: mine)
    with (
        Client(client.scheduler.address, set_as_default=False) as new,
        pytest.raises(VersionMismatchError, match=said),
    ):
        AerSimulator(executor=new).run(bell())


def test_a_release_of_other_versions_is_refused_when_it_is_connected_to(client, monkeypatch):
    # as in a notebook of the release
    monkeypatch.setenv("AER_DASK_RELEASE", "aer")
    monkeypatch.setenv("DASK_SCHEDULER_ADDRESS", client.scheduler.address)
    with HelmCluster() as cluster:
        assert AerSimulator(executor=cluster).run(bell(), shots=1).result(60).success
    mine = {**versions.installed(), "aer-dask": "0.0.9"}
    monkeypatch.setattr(versions, "installed", lambda: mine)
    said = "this process and the scheduler of 'aer': aer-dask is 0.0.9 here and {} there"
    with pytest.raises(VersionMismatchError, match=re.escape(said.format(__version__))):
        HelmCluster()


def test_a_worker_of_other_versions_refuses_to_serve(client, tmp_path):
    program = (
        "import sys; from aer_dask import versions; mine = versions.installed();"
        "versions.installed = lambda: {**mine, 'qiskit-aer': '0.0.1'};"
        "from dask.__main__ import main; sys.argv[0] = 'dask'; main()"
    )
    worker = subprocess.run(
        [sys.executable, "-c", program, "worker", client.scheduler.address, "--no-nanny",
         "--preload", "aer_dask.worker"],
        capture_output=True, check=False, text=True, timeout=120, cwd=tmp_path,
    )  # fmt: skip
    assert worker.returncode == 78
    assert "qiskit-aer is 0.0.1 here and 0.18.2 there" in worker.stderr


def test_what_a_worker_says_of_its_simulations_is_in_its_log(capfd):
    cluster = Cluster()
    try:
        cluster.add_worker("worker")
        job = start_run(cluster.client, shots=100_000, max_shot_size=100_000)
        wait_until(lambda: cluster.runs("worker"), "it simulates")
        job.cancel()
        wait_until(lambda: not cluster.runs("worker"), "it has ended")
    finally:
        cluster.close()
    assert re.search(
        r"aer_dask\.worker.* INFO .*Ending aer-.*: it was cancelled", capfd.readouterr().err
    )
