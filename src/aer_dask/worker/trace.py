"""Who ran a task, and when: written behind its output, where it costs no message of its own."""

from __future__ import annotations

import struct
import time
from collections.abc import Callable
from typing import NamedTuple

from ..errors import WorkerLostError

#: What stands at the very end: begin, end, slots, and the lengths in bytes of name and address.
_TAIL = struct.Struct("<ddHHH")


class Trace(NamedTuple):
    """One run of a task.

    ``began`` and ``ended`` are seconds since 1970 on the clock that all workers of the executor
    share. ``slots`` are tasks that the worker runs at once; 0 if that is not known.
    """

    worker: str
    address: str
    slots: int
    began: float
    ended: float


def traced(
    simulate: Callable[[], bytearray],
    worker: str,
    address: str = "",
    slots: int = 1,
    ahead: float = 0.0,
) -> bytearray:
    """Simulate, and write behind the output who did it and when.

    Args:
        simulate: gives the output of a task.
        worker: the name of who runs it.
        address: of that worker, where it has one.
        slots: tasks that it runs at once; 0 if that is not known.
        ahead: seconds by which the common clock is ahead of the one here.

    Raises:
        Exception: what ``simulate`` raises; a WorkerLostError says who and when in ``trace``.
    """
    began, ticks = time.time() + ahead, time.monotonic()

    def trace() -> Trace:
        return Trace(worker, address, slots, began, began + time.monotonic() - ticks)

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
    began, ended, slots, *lengths = _TAIL.unpack(view[-_TAIL.size :])
    end = len(view) - _TAIL.size - sum(lengths)
    middle = end + lengths[0]
    worker, address = str(view[end:middle], "utf8"), str(view[middle : -_TAIL.size], "utf8")
    return view[:end], Trace(worker, address, slots, began, ended)


def _packed(trace: Trace) -> bytes:
    names = trace.worker.encode(), trace.address.encode()
    tail = _TAIL.pack(trace.began, trace.ended, trace.slots, *map(len, names))
    return b"".join([*names, tail])
