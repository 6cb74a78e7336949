"""Whose the Kubernetes of this machine is that tests run on."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.kubernetes import claim

#: A session that lives until it is killed.
SESSION = """
import sys, time
from pathlib import Path
from tests.kubernetes import claim
claim.STATE, claim.OWNER, claim.SESSION, claim.LOCK = map(Path, sys.argv[1:])
with claim.session():
    claim.take()
    print("begun", flush=True)
    time.sleep(600)
"""


@pytest.fixture
def state(tmp_path, monkeypatch):
    folder = tmp_path / "cluster"
    monkeypatch.setattr(claim, "LOCK", tmp_path / "lock")
    monkeypatch.delenv(claim.VARIABLE, raising=False)
    for name, path in {"STATE": folder, "OWNER": folder / "o", "SESSION": folder / "s"}.items():
        monkeypatch.setattr(claim, name, path)
    return folder


def test_a_cluster_is_abandoned_once_the_session_that_made_it_is_killed(state):
    paths = map(str, (claim.STATE, claim.OWNER, claim.SESSION, claim.LOCK))
    with subprocess.Popen(
        [sys.executable, "-c", SESSION, *paths], stdout=subprocess.PIPE, text=True
    ) as session:
        try:
            assert session.stdout.readline() == "begun\n"
            assert not claim.is_abandoned()
            refusal = pytest.raises(SystemExit, match="Another `make test-cluster` runs")
            with refusal, claim.session():
                pass
        finally:
            session.kill()
    assert claim.is_abandoned()


def test_a_cluster_that_was_brought_up_by_hand_stays_up(state):
    assert not claim.is_abandoned()
    assert not claim.is_mine()
    claim.take()
    assert claim.is_mine()
    assert not claim.is_abandoned()
    claim.refuse_others()


def test_a_cluster_of_another_checkout_is_refused_and_one_of_a_checkout_that_is_gone_is_not(
    state, tmp_path
):
    other = tmp_path / "other"
    other.mkdir()
    claim.take()
    claim.OWNER.write_text(str(other))
    assert not claim.is_abandoned()
    assert not claim.is_mine()
    with pytest.raises(SystemExit, match=rf"up from {other}: `make cluster-down` there first"):
        claim.refuse_others()
    other.rmdir()
    assert claim.is_abandoned()


def test_a_cluster_of_unknown_origin_is_abandoned(state):
    state.mkdir()
    assert claim.is_abandoned()
