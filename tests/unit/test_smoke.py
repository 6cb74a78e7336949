"""How the smoke checks fail: in time, and with a sentence."""

from __future__ import annotations

import pytest
from distributed import Client, LocalCluster
from qiskit_aer import AerError

from aer_dask import WorkerLostError, smoke
from aer_dask.__main__ import main
from aer_dask.clusters.settings import OWN_RELEASE
from aer_dask.jobs.errors import JobTimeoutError


@pytest.fixture(scope="module")
def cluster():
    """One worker, too slow for a tenth of a second: it has yet to import Aer."""
    with LocalCluster(1, threads_per_worker=1, processes=False, dashboard_address=":0") as cluster:
        yield cluster


@pytest.fixture
def client(cluster, monkeypatch):
    """A client of :func:`cluster`, which is enough for the checks to begin."""
    monkeypatch.setattr(smoke, "LEAST_WORKERS", 1)
    with Client(cluster) as client:
        yield client


def test_the_command_waits_as_long_as_it_was_told(cluster, monkeypatch):
    monkeypatch.setenv(OWN_RELEASE, "aer")
    monkeypatch.setenv("DASK_SCHEDULER_ADDRESS", cluster.scheduler_address)
    with pytest.raises(SystemExit, match=r"1 of 2 workers have come within 1\.0 s"):
        main(["--timeout=1", "smoke-test"])


@pytest.mark.parametrize("check", smoke.CHECKS)
def test_a_check_that_takes_too_long_ends_with_a_sentence(client, check):
    with pytest.raises(SystemExit, match=r"^FAILED: .*after 0\.\d+ s"):
        smoke.run(client, [check], 0.1)


def test_a_timeout_without_words_is_a_sentence_as_well(client, monkeypatch):
    def check(client, timeout):
        raise TimeoutError

    monkeypatch.setitem(smoke.CHECKS, "slow", check)
    with pytest.raises(SystemExit, match=r"^FAILED: No answer after 2 s\.$"):
        smoke.run(client, ["slow"], 2.0)


def test_one_worker_has_no_longer_than_all(client):
    circuits, settings = smoke.workloads()["ideal"]
    with pytest.raises(JobTimeoutError):
        smoke.seconds_of_one_worker(client, circuits, settings, 0.1)


@pytest.mark.parametrize("kind", [AerError, WorkerLostError])
def test_what_a_check_raises_is_a_sentence(client, monkeypatch, kind):
    def check(client, timeout):
        raise kind("It is broken.")

    monkeypatch.setitem(smoke.CHECKS, "broken", check)
    with pytest.raises(SystemExit, match=r"^FAILED: It is broken\.$"):
        smoke.run(client, ["broken"], 1.0)
