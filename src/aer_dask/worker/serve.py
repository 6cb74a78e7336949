"""The process behind :mod:`aer_dask.worker.child`: takes tasks from a pipe until the pipe ends."""

from __future__ import annotations

import gc
import pickle
import signal
import sys
from multiprocessing.connection import Connection
from typing import Any

from .child import die_with_parent
from .execute import frames

#: Bytes that are sent at once: the receiver has them twice for a moment.
CHUNK = 2**20


def serve(connection: Connection) -> None:
    """Answer each (task, shared, limits) until the pipe ends.

    With (True, (number of bytes, what was simulated)) and then the bytes in chunks, or with
    (False, exception).
    """
    # what the imports have made stays, and need not be looked through again for every result
    gc.freeze()
    while True:
        try:
            request = connection.recv()
        except EOFError:
            return
        _answer(connection, *request)


def _answer(connection: Connection, *request: Any) -> None:
    try:
        result, work = frames(*request)
    except Exception as error:  # noqa: BLE001 (whatever it is belongs to who asked)
        connection.send((False, _portable(error)))
        return
    connection.send((True, (sum(map(len, result)), work)))
    for frame in result:
        for start in range(0, len(frame), CHUNK):
            connection.send_bytes(memoryview(frame)[start : start + CHUNK])


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
    # while it simulates it does not read the pipe, and would not see it end
    die_with_parent(int(sys.argv[2]))
    serve(Connection(int(sys.argv[1])))
