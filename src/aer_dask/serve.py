"""The child process of :mod:`aer_dask.child`: takes tasks from a pipe until the pipe ends."""

from __future__ import annotations

import signal
import sys
from multiprocessing.connection import Connection
from typing import Any

from .child import die_with_parent
from .execute import run_task


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
        return True, run_task(*request)
    except Exception as error:  # noqa: BLE001 (whatever it is belongs to who asked)
        return False, error


if __name__ == "__main__":
    # Ctrl-C and a pod's SIGTERM go to the whole process group; the parent decides
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    die_with_parent()  # while it simulates it does not read the pipe, and would not see it end
    serve(Connection(int(sys.argv[1])))
