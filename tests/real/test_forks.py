"""Processes that are forked while there are jobs and clients: they have those, but no thread."""

import concurrent.futures
import multiprocessing
import os
import subprocess
import sys
import threading

import pytest
from qiskit.providers import JobError

from aer_dask import AerSimulator, ExecutorError
from aer_dask.executors import portable, session
from tests.circuits import bell

from .runs import start_run

FORK = multiprocessing.get_context("fork")


def exit_code(work, seconds=60):
    """How a forked process ends in which a function is called; None if it does not in time."""
    copy = FORK.Process(target=work)
    copy.start()
    try:
        copy.join(seconds)
        return copy.exitcode
    finally:
        copy.kill()
        copy.join()


def run(**options):
    assert AerSimulator(**options).run(bell()).result(30).success


def test_a_process_that_is_forked_while_somebody_looks_at_a_job_ends():
    over = threading.Event()
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        job = start_run(pool, shots=1_000_000, max_shot_size=1_000_000)

        def look():
            while not over.is_set():
                job.status()

        looks = threading.Thread(target=look)
        looks.start()
        try:
            for _ in range(100):
                assert exit_code(os.getpid, seconds=20) == 0
        finally:
            over.set()
            looks.join()
            job.cancel()


def test_the_job_of_the_process_that_was_forked_has_an_error_in_the_copy_and_goes_on():
    def ask():
        with pytest.raises(JobError, match="is a copy of the one that runs the job"):
            job.result(30)

    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        ended = AerSimulator(executor=pool).run(bell())
        assert ended.result(60).success
        job = start_run(pool)
        assert exit_code(ask) == 0
        assert exit_code(lambda: ended.result(0)) == 0
        assert job.result(120).success


def test_a_forked_process_runs_what_needs_no_executor():
    run(noise_sampling="shared")
    assert exit_code(lambda: run(noise_sampling="shared")) == 0


def test_a_forked_process_connects_to_a_cluster_that_it_has_and_needs_a_client_of_its_own(
    cluster, client
):
    def refuse():
        with pytest.raises(ExecutorError, match=r"Make a client in it, or start processes by"):
            run(executor=client)

    run(executor=client)
    run(executor=cluster)
    address = portable.packed(client)
    with session._sessions_lock, portable._connecting:  # as while another thread connects
        assert exit_code(refuse) == 0
        assert exit_code(lambda: run(executor=cluster)) == 0
        assert exit_code(lambda: run(executor=address)) == 0
    run(executor=client)


#: A job of two tasks on a pool, and a copy of this process that ends as a program does.
PROGRAM = """
import os, sys
from concurrent.futures import ProcessPoolExecutor
from tests.real.runs import start_run

with ProcessPoolExecutor(1) as pool:
    job = start_run(pool, max_shot_size=120)
    while not job.progress().done:
        pass
    if not (copy := os.fork()):
        sys.exit()
    os.waitpid(copy, 0)
    assert job.result(120).success
    print(job.attempts())
"""


def test_the_end_of_a_forked_process_leaves_a_process_pools_job_alone():
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, timeout=180, check=False
    )
    assert done.stdout == "[1, 1]\n", done.stderr
