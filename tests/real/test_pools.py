"""Pools of concurrent.futures: cancelling, dying, and several of them in one process."""

import concurrent.futures
import contextlib
import os
import signal
import subprocess
import sys
import time

import psutil
import pytest
from qiskit.providers import JobStatus

from aer_dask import AerSimulator, ExecutorError
from aer_dask.testing import differences
from tests.circuits import bell
from tests.waiting import wait_until

from .processes import simulations
from .runs import expected, start_run

POOLS = {
    "threads": concurrent.futures.ThreadPoolExecutor,
    "processes": concurrent.futures.ProcessPoolExecutor,
}


@pytest.fixture
def busy():
    """A function that gives the processes that have simulated a while since the test began."""
    before = {child.pid: spent(child) for child in simulations(os.getpid())}
    return lambda: [
        child for child in simulations(os.getpid()) if spent(child) - before.get(child.pid, 1) > 1
    ]


def spent(child):
    """Seconds that a process has simulated."""
    with contextlib.suppress(psutil.NoSuchProcess):  # it may end while it is looked at
        return child.cpu_times().user
    return 0.0


@pytest.mark.parametrize("kind", POOLS)
def test_cancel_ends_the_simulation_within_two_seconds(kind, busy):
    with POOLS[kind](1) as pool:
        for _ in range(3):  # the machine may stand still for a moment
            job = start_run(pool, shots=1_000_000, max_shot_size=1_000_000)
            wait_until(busy, "it simulates")
            started = time.monotonic()
            assert job.cancel()
            wait_until(lambda: not busy(), "nothing simulates")
            if (took := time.monotonic() - started) < 2:
                break
        assert took < 2
        assert job.status() is JobStatus.CANCELLED
        assert AerSimulator(executor=pool).run(bell()).result(60).success


@pytest.mark.parametrize("kind", POOLS)
def test_a_killed_simulation_is_repeated(kind, busy):
    with POOLS[kind](1) as pool:
        for _ in range(5):
            job = start_run(pool, shots=8000, max_shot_size=8000)
            for child in wait_until(busy, "it simulates"):
                child.kill()
            assert differences(job.result(120), expected(8000)) == []
            if job.attempts() != [1]:  # the simulation was over before it was killed
                break
        assert job.attempts() == [2]


def test_a_process_of_a_pool_that_is_killed_is_named_in_a_sentence(busy):
    with concurrent.futures.ProcessPoolExecutor(1) as pool:
        member = pool.submit(os.getpid).result()
        job = start_run(pool, shots=1_000_000, max_shot_size=1_000_000)
        wait_until(busy, "it simulates")
        os.kill(member, signal.SIGKILL)
        with pytest.raises(ExecutorError, match=r"pool is broken.*Make a new one"):
            job.result(60)
        wait_until(lambda: not busy(), "its simulation is gone, too")


def test_the_end_of_one_pool_leaves_simulations_of_others_alone(busy):
    first = concurrent.futures.ThreadPoolExecutor(1)
    assert AerSimulator(executor=first).run(bell()).result(60).success
    with concurrent.futures.ThreadPoolExecutor(1) as second:
        job = start_run(second, shots=8000, max_shot_size=8000)
        wait_until(busy, "it simulates")
        first.shutdown()
        assert job.result(120).success
        assert job.attempts() == [1]


def test_a_broken_pool_is_named():
    with concurrent.futures.ProcessPoolExecutor(1) as pool:
        pool.submit(os.kill, os.getpid(), 0).result()
    with pytest.raises(ExecutorError, match="takes no more work"):
        AerSimulator(executor=pool).run(bell()).result(30)


def test_a_forked_process_has_children_of_its_own():
    with concurrent.futures.ThreadPoolExecutor(1) as threads:
        assert AerSimulator(executor=threads).run(bell()).result(60).success
    with concurrent.futures.ProcessPoolExecutor(1) as pool:  # forks this process as it is now
        assert AerSimulator(executor=pool).run(bell()).result(30).success


#: A job of minutes on a pool; it says which processes the pool has.
PROGRAM = """
import sys, time
from concurrent.futures import ProcessPoolExecutor
from tests.real.runs import start_run

with ProcessPoolExecutor(2) as pool:
    job = start_run(pool, shots=1_000_000, max_shot_size=1_000_000)
    job2 = start_run(pool)
    while not job2.progress().done:
        time.sleep(0.01)
    print(*pool._processes, flush=True)
    time.sleep(600)
"""


def test_a_process_pool_ends_with_the_process_that_has_it_even_if_that_is_killed():
    program = subprocess.Popen([sys.executable, "-c", PROGRAM], stdout=subprocess.PIPE, text=True)
    try:
        members = [psutil.Process(int(pid)) for pid in program.stdout.readline().split()]
        simulating = [child for member in members for child in member.children()]
        assert len(members) == len(simulating) == 2
    finally:
        program.kill()
        program.wait()
    left = psutil.wait_procs([*members, *simulating], timeout=20)[1]
    assert not left
