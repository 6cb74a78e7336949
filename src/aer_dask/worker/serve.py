"""The process behind :mod:`aer_dask.worker.child`: takes tasks from a pipe until the pipe ends."""

from __future__ import annotations

import pickle
import signal
import sys
from multiprocessing.connection import Connection
from typing import Any

from .child import die_with_parent
from .execute import simulate


def serve(connection: Connection) -> None:
    """Answer each (task, shared, limits) with (True, result) or (False, exception)."""
    while True:
        try:
            request = connection.recv()
        except EOFError:
            return
        connection.send(_answer(*request))


def _answer(*request: Any) -> tuple[bool, Any]:
    try:
        return True, simulate(*request)
    except Exception as error:  # noqa: BLE001 (whatever it is belongs to who asked)
        return False, _portable(error)


def _portable(error: Exception) -> Exception:
    """The error, or its text where it would not survive the way: not each can be pickled."""
    try:
        pickle.loads(pickle.dumps(error))  # noqa: S301 (made a moment ago)
    except Exception:  # noqa: BLE001 (its own code runs here)
        return RuntimeError(f"{type(error).__name__}: {error}")
    return error


if __name__ == "__main__":
    # Ctrl-C and a pod's SIGTERM go to the whole process group; the parent decides
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    die_with_parent()  # while it simulates it does not read the pipe, and would not see it end
    serve(Connection(int(sys.argv[1])))
