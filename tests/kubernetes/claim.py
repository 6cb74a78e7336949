"""Whose the `host` cluster is: a machine has one at a time, and a checkout looks after it."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .common import ROOT, STATE

OWNER = STATE / "checkout"
# Locked for as long as a `make test-cluster` lives that brought the cluster up.
SESSION = STATE / "session"


def refuse_others() -> None:
    """End with a sentence if the cluster is of another checkout."""
    if (owner := _owner()) not in (None, ROOT):
        raise SystemExit(
            f"The host cluster of this machine is up from {owner}: `make cluster-down` there first."
        )


def take() -> None:
    """Make the cluster that is being brought up one of this checkout."""
    STATE.mkdir(parents=True, exist_ok=True)
    OWNER.write_text(str(ROOT))


@contextmanager
def session() -> Iterator[None]:
    """The cluster is one of a session that ends with this process, however that ends."""
    take()
    with SESSION.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
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
    with SESSION.open() as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        return False
