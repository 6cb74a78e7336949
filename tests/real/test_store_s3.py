"""A store in S3: a real server, that is slow, away, gone or refuses."""

import logging
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from aer_dask import AerSimulator
from aer_dask.store import prune
from aer_dask.testing import differences
from tests.circuits import bell, plain
from tests.s3 import S3Server
from tests.waiting import wait_until

from .runs import expected as of_runs
from .runs import start_run as start

pytestmark = pytest.mark.timeout(1800)  # the server may have to be compiled

#: More than those of a run elsewhere, so that something happens meanwhile.
SHOTS = 2400


def start_run(pool, **options):
    return start(pool, shots=SHOTS, max_shot_size=SHOTS // 8, **options)


def expected():
    return of_runs(SHOTS)


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    server = S3Server(tmp_path_factory.mktemp("s3"))
    yield server
    server.kill()


@pytest.fixture
def pool():
    with ThreadPoolExecutor(2) as pool:
        yield pool


@pytest.fixture(autouse=True)
def empty(server):
    yield
    prune(server.store(), older_than=0)
    wait_until(lambda: prune(server.store(), size=0) == [], "all is removed")


def check_kept(pool, store):
    """The run is taken from the store, all of it."""
    job = start_run(pool, store=store)
    assert differences(job.result(timeout=60), expected()) == []
    assert (job.progress().total, job.report().not_kept) == (0, "")


def test_a_run_is_kept_in_s3_and_taken_from_there(server, pool):
    first = start_run(pool, store=server.store())
    assert differences(first.result(timeout=120), expected()) == []
    assert (first.report().kept, first.report().not_kept) == (8, "")
    check_kept(pool, server.store())
    backend = AerSimulator(store=server.store())
    (_, stored) = backend.jobs()
    assert differences(stored.result(), expected()) == []
    assert backend.retrieve_job(first.job_id()).progress() == (1, 1)
    (removed,) = prune(server.store(), older_than=0)
    assert (len(removed.jobs), backend.jobs()) == (2, [])


def test_credentials_and_server_are_found_in_the_environment(server, pool, monkeypatch):
    options = server.store().storage_options
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", options["key"])
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", options["secret"])
    monkeypatch.setenv("AWS_ENDPOINT_URL", options["endpoint_url"])
    backend = AerSimulator(executor=pool, store="s3://results/some/prefix")
    job = backend.run(bell(), shots=10)
    job.result(timeout=60)
    assert (job.report().kept, job.report().not_kept) == (1, "")


@pytest.mark.parametrize(
    ("leave", "come_back"),
    [(S3Server.kill, S3Server.start), (S3Server.pause, S3Server.go_on)],
    ids=["killed", "does not answer"],
)
def test_a_server_that_is_away_for_a_while_loses_nothing(server, pool, leave, come_back):
    job = start_run(pool, store=server.store())
    wait_until(lambda: job.report().kept >= 1, "one is kept")
    leave(server)
    done = job.progress().done
    wait_until(lambda: job.progress().done >= min(done + 2, 8), "the job goes on")
    come_back(server)
    assert differences(job.result(timeout=120), expected()) == []
    assert (job.report().kept, job.report().not_kept) == (8, "")
    check_kept(pool, server.store())


def test_a_server_that_stays_away_costs_the_job_a_bounded_time(server, pool, caplog):
    caplog.set_level(logging.WARNING, logger="aer_dask")
    job = start_run(pool, store=server.store())
    wait_until(lambda: job.report().kept >= 1, "one is kept")
    server.pause()
    try:
        started = time.monotonic()
        assert differences(job.result(timeout=120), expected()) == []
        assert time.monotonic() - started < 60
        assert "are not kept in s3://results/some/prefix" in job.report().not_kept
        assert caplog.text.count("are not kept in") == 1
    finally:
        server.go_on()


def test_a_server_that_is_away_from_the_start_costs_the_job_a_bounded_time(server, pool):
    server.kill()
    try:
        started = time.monotonic()
        backend = AerSimulator(executor=pool, store=server.store())
        job = backend.run(bell(), shots=10, seed_simulator=1)
        assert time.monotonic() - started < 25
        alone = plain().run(bell(), shots=10, seed_simulator=1).result()
        assert differences(job.result(timeout=60), alone) == []
        why = job.report().not_kept
        assert "cannot be read" in why
        assert "are not kept in" in why
        assert time.monotonic() - started < 70
    finally:
        server.start()


@pytest.mark.parametrize("wrong", [{"secret": "other"}, {"key": "nobody"}, {"bucket": "missing"}],
                         ids=str)  # fmt: skip
def test_a_server_that_refuses_costs_the_job_nothing(server, pool, wrong):
    started = time.monotonic()
    backend = AerSimulator(executor=pool, store=server.store(**wrong))
    job = backend.run(bell(), shots=10, seed_simulator=1)
    assert job.result(timeout=30).success
    assert "are not kept in" in job.report().not_kept
    assert time.monotonic() - started < 20


def test_credentials_are_in_no_report_log_or_picture_of_a_backend(server, pool, caplog):
    caplog.set_level(logging.DEBUG, logger="aer_dask")
    store = server.store(secret="kept to ourselves")
    backend = AerSimulator(executor=pool, store=store)
    job = backend.run(bell(), shots=10)
    job.result(timeout=60)
    shown = f"{store} {store!r} {job.report()} {backend.options} {caplog.text}"
    assert "not kept" in shown
    assert "kept to ourselves" not in shown
