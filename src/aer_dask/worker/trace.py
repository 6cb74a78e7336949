"""Who ran a task, and when: written behind its output, where it costs no message of its own."""

from __future__ import annotations

import struct
import time
from collections.abc import Callable
from typing import NamedTuple

from ..errors import WorkerLostError

#: What stands at the very end: begin, end, slots, and the length in bytes of the name before it.
_TAIL = struct.Struct("<ddHH")


class Trace(NamedTuple):
    """One run of a task.

    ``began`` and ``ended`` are seconds since 1970 on the clock that all workers of the executor
    share. ``slots`` are tasks that the worker runs at once; 0 if that is not known.
    """

    worker: str
    slots: int
    began: float
    ended: float


def traced(
    simulate: Callable[[], bytearray],
    worker: str,
    slots: int = 1,
    ahead: float = 0.0,
) -> bytearray:
    """Simulate, and write behind the output who did it and when.

    Args:
        simulate: gives the output of a task.
        worker: the name of who runs it.
        slots: tasks that it runs at once; 0 if that is not known.
        ahead: seconds by which the common clock is ahead of the one here.

    Raises:
        Exception: what ``simulate`` raises; a WorkerLostError says who and when in ``trace``.
    """
    began, ticks = time.time() + ahead, time.monotonic()

    def trace() -> Trace:
        return Trace(worker, slots, began, began + time.monotonic() - ticks)

    try:
        output = simulate()
    except WorkerLostError as error:
        error.trace = trace()
        raise
    output += _packed(trace())
    return output


def split(data: bytes | bytearray | memoryview) -> tuple[memoryview, Trace]:
    """The output of a task without what :func:`traced` has written behind it, and that."""
    view = memoryview(data)
    began, ended, slots, length = _TAIL.unpack(view[-_TAIL.size :])
    end = len(view) - _TAIL.size - length
    worker = str(view[end : -_TAIL.size], "utf8")
    return view[:end], Trace(worker, slots, began, ended)


def _packed(trace: Trace) -> bytes:
    name = trace.worker.encode()
    return name + _TAIL.pack(trace.began, trace.ended, trace.slots, len(name))
