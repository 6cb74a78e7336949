"""Pools of concurrent.futures, and anything with their interface.

Tasks simulate in child processes: those of a ThreadPoolExecutor because threads would only take
turns, those of a ProcessPoolExecutor because a process of the pool that is killed breaks the pool.
Of other executors nothing is known but the interface; their tasks simulate in whatever process the
executor runs them, and once they run they cannot be stopped.
"""

from __future__ import annotations

import concurrent.futures
import os
import shutil
import signal
import socket
import tempfile
import threading
import time
import weakref
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

from ..errors import ExecutorError, WorkerLostError
from ..worker.child import children
from ..worker.execute import simulate
from ..worker.trace import traced
from .base import Callback, Capacity, Dispatcher, Lost, Outcome, Outlook, Output

#: Seconds between two looks of a pool's process whether its parent is there.
_WATCH = 1.0


class PoolDispatcher(Dispatcher):
    """Sends the tasks of one job to an executor of which only the interface is known."""

    def __init__(self, pool: concurrent.futures.Executor) -> None:
        self._pool = pool
        self._shared = b""

    def capacity(self) -> Capacity:
        return Capacity(int(getattr(self._pool, "_max_workers", None) or 1))

    def begin(self, shared: bytes) -> None:
        self._shared = shared

    def submit(self, key: str, task: bytes, memory: int, priority: int, done: Callback) -> Any:
        try:
            future = self._start(key, task, memory)
        except (concurrent.futures.BrokenExecutor, RuntimeError) as error:
            raise ExecutorError(
                f"The executor takes no more work ({error}); make a new one."
            ) from error
        future.add_done_callback(done)
        return future

    def fetch(self, futures: Sequence[Any]) -> list[Outcome]:
        return [_outcome(future) for future in futures]

    def cancel(self, futures: dict[str, Any]) -> None:
        for key, future in futures.items():
            if not future.cancel():
                self._kill(key)

    def outlook(self, futures: dict[str, Any], timeout: float) -> Outlook:
        runs = not futures or any(future.running() or future.done() for future in futures.values())
        workers = getattr(self._pool, "_max_workers", None)
        return Outlook(workers, "" if runs else "the executor is busy with other work")

    def _start(self, key: str, task: bytes, memory: int) -> concurrent.futures.Future[Any]:
        return self._pool.submit(_simulate_here, task, self._shared)

    def _kill(self, key: str) -> None:
        """Stop a task that runs, where that can be done."""


class ThreadPoolDispatcher(PoolDispatcher):
    """Sends the tasks of one job to children of this process."""

    def _start(self, key: str, task: bytes, memory: int) -> concurrent.futures.Future[Any]:
        return self._pool.submit(_simulate_in_thread, key, task, self._shared, memory)

    def _kill(self, key: str) -> None:
        children.kill(key)


class ProcessPoolDispatcher(PoolDispatcher):
    """Sends the tasks of one job to children of the pool's processes.

    Those processes are not ours to kill, and nothing reaches them but tasks; so a task is told to
    stop by a file that comes to be. A terminal's Ctrl-C, which goes to them too, would break the
    pool where it finds one idle: those that a task starts are born deaf to it, and others become
    so with their first task.
    """

    def __init__(self, pool: concurrent.futures.ProcessPoolExecutor) -> None:
        super().__init__(pool)
        self._folder = tempfile.mkdtemp(prefix="aer-dask-")
        weakref.finalize(self, _remove, self._folder, os.getpid())

    def _start(self, key: str, task: bytes, memory: int) -> concurrent.futures.Future[Any]:
        with _deaf_to_ctrl_c():  # which processes that this starts inherit
            return self._pool.submit(
                _simulate_in_process, key, task, self._shared, memory, self._mark(key)
            )

    def _kill(self, key: str) -> None:
        self._mark(key).touch()

    def _mark(self, key: str) -> Path:
        return Path(self._folder, key)


def _simulate_here(task: bytes, shared: bytes) -> bytearray:
    """Run by whatever the executor has; of how much it runs at once nothing is known."""
    worker = f"process {os.getpid()} on {socket.gethostname()}"
    return traced(lambda: bytearray(simulate(task, shared)), worker, slots=0)


def _simulate_in_thread(key: str, task: bytes, shared: bytes, memory: int) -> bytearray:
    """Run by a thread of the pool."""
    worker = threading.current_thread().name
    return traced(lambda: children.run(key, task, shared, memory), worker)


def _simulate_in_process(
    key: str, task: bytes, shared: bytes, memory: int, mark: Path
) -> bytearray:
    """Run by a process of the pool; a folder that is gone says that the job has ended."""

    def unwanted() -> bool:
        return mark.exists() or not mark.parent.exists()

    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    _end_with_parent()
    worker = f"process {os.getpid()}"
    return traced(lambda: children.run(key, task, shared, memory, unwanted), worker)


@cache
def _end_with_parent() -> None:
    """Have this process end soon after its parent: where that is killed, the pool's others wait on.

    Its parent is the process that has the pool, or multiprocessing's server, which ends with that.
    """
    parent = os.getppid()

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(_WATCH)
        os._exit(1)

    threading.Thread(target=watch, name="aer-dask-parent", daemon=True).start()


def _remove(folder: str, owner: int) -> None:
    """Remove a folder, but not at the end of a forked copy of the process that needs it."""
    if os.getpid() == owner:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _deaf_to_ctrl_c() -> Iterator[None]:
    """Have this thread hear no SIGINT: one that comes meanwhile is another's, or comes later."""
    former = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, former)


def _outcome(future: concurrent.futures.Future[Any]) -> Outcome:
    if future.cancelled():
        return Lost(concurrent.futures.CancelledError("Somebody has cancelled it."), begun=False)
    error = future.exception()
    if isinstance(error, concurrent.futures.BrokenExecutor):
        return ExecutorError(
            f"The pool is broken: {error} Make a new one and run the job again; a process of it "
            "was killed, perhaps for lack of memory."
        )
    if isinstance(error, KeyboardInterrupt):  # a terminal's Ctrl-C goes to the pool's processes too
        return Lost(WorkerLostError("Ctrl-C has reached the process that ran this task."))
    if isinstance(error, WorkerLostError):
        return Lost(error, deaths=1)
    return error or Output.of(future.result())
