"""Whose the `host` cluster is: a machine has one at a time, and a checkout looks after it."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .common import CACHE, ROOT, STATE

OWNER = STATE / "checkout"
# There where a `make test-cluster` brought the cluster up, which holds the lock while it lives.
SESSION = STATE / "session"
LOCK = CACHE / "test-cluster.lock"
VARIABLE = "AER_DASK_TEST_SESSION"


def is_mine() -> bool:
    """Whether the cluster is up from this checkout."""
    return _owner() == ROOT


def refuse_others() -> None:
    """End with a sentence if the cluster is of another checkout."""
    if (owner := _owner()) not in (None, ROOT):
        raise SystemExit(
            f"The host cluster of this machine is up from {owner}: `make cluster-down` there first."
        )


def take() -> None:
    """Make the cluster that is being brought up one of this checkout, or of its session."""
    STATE.mkdir(parents=True, exist_ok=True)
    OWNER.write_text(str(ROOT))
    if VARIABLE in os.environ:
        SESSION.touch()


@contextmanager
def session() -> Iterator[None]:
    """What is brought up meanwhile ends with this process, however that ends."""
    LOCK.parent.mkdir(parents=True, exist_ok=True)
    with LOCK.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise SystemExit("Another `make test-cluster` runs on this machine.") from None
        os.environ[VARIABLE] = "1"
        yield


def is_abandoned() -> bool:
    """Whether a cluster is up that nobody looks after: its session or checkout is gone."""
    if not STATE.exists():
        return False
    owner = _owner()
    return owner is None or not owner.is_dir() or (SESSION.exists() and not _is_locked())


def _owner() -> Path | None:
    return Path(OWNER.read_text()) if OWNER.exists() else None


def _is_locked() -> bool:
    """Whether a session lives. (One that asks is not the one that left the cluster.)"""
    LOCK.parent.mkdir(parents=True, exist_ok=True)
    with LOCK.open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        return False
