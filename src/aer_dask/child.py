"""Aer in a process of its own, because Aer holds Python's global lock for a whole simulation.

In a worker's own process the event loop would stop meanwhile: no heartbeat, no health check, no
cancellation, and Dask ends a worker that is silent for ``worker-ttl`` (5 minutes by default). So a
thread hands its task to a child process and waits, with the lock free. A child serves one task at
a time and stays for the next one. Killing it is how a running simulation is cancelled, and one that
dies (out of memory, a crash in C++) costs its task and nothing else.

``subprocess`` rather than ``multiprocessing``: workers under a nanny are daemonic processes, which
``multiprocessing`` does not allow to have children.
"""

from __future__ import annotations

import atexit
import os
import signal
import subprocess
import sys
import threading
from collections import deque
from multiprocessing import Pipe

from .errors import WorkerLostError

_SERVER = "aer_dask.serve"


class Child:
    """One child process and the connection to it."""

    def __init__(self, environment: dict[str, str]) -> None:
        self._connection, theirs = Pipe()
        with theirs:
            self._process = subprocess.Popen(  # noqa: S603 (a module of this package)
                [sys.executable, "-m", _SERVER, str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                env={**os.environ, **environment},
                stdin=subprocess.DEVNULL,
            )

    def alive(self) -> bool:
        """Whether the process still runs."""
        return self._process.poll() is None

    def run(self, task: bytes, shared: bytes, limits: dict[str, int]) -> bytes:
        """Run a task in the child and wait for its result.

        Raises:
            WorkerLostError: if the child dies meanwhile.
            Exception: whatever the task raises.
        """
        try:
            self._connection.send((task, shared, limits))
            succeeded, value = self._connection.recv()
        except (EOFError, OSError) as error:
            raise WorkerLostError(self._obituary()) from error
        if not succeeded:
            raise value
        return value  # type: ignore[no-any-return]

    def kill(self) -> None:
        """End the process at once."""
        self._process.kill()

    def close(self) -> None:
        """End the process and forget it."""
        self.kill()
        self._process.wait()
        self._connection.close()

    def _obituary(self) -> str:
        status = self._process.wait()
        if status == -signal.SIGKILL:
            cause = "it was killed; if nobody did, it was out of memory"
        elif status < 0:
            cause = f"it died of {signal.Signals(-status).name}"
        else:
            cause = f"it exited with status {status}"
        return f"The process that simulated this task is gone: {cause}."


class Children:
    """The children of this process: one for each task that runs here, idle ones kept.

    Args:
        threads: OpenMP threads of a child, or None for what the environment says.
        memory_mb: memory that a simulation may take, or None for Aer's own limit.
    """

    def __init__(self, threads: int | None = None, memory_mb: int | None = None) -> None:
        self.threads, self.memory_mb = threads, memory_mb
        self._idle: list[Child] = []
        self._running: dict[str, Child] = {}
        self._unwanted: deque[str] = deque(maxlen=1000)
        self._lock = threading.Lock()
        atexit.register(self.close)

    def configure(self, threads: int, memory_mb: int | None) -> None:
        """Set the limits of children started from now on, and end the idle ones."""
        self.threads, self.memory_mb = threads, memory_mb
        with self._lock:
            idle, self._idle = self._idle, []
        for child in idle:
            child.close()

    def start(self, count: int) -> None:
        """Have so many children ready, so that the first tasks do not wait for imports."""
        while len(self._idle) < count:
            self._idle.append(Child(self._environment()))

    def run(self, key: str, task: bytes, shared: bytes) -> bytes:
        """Run a task in a child; ``key`` names it for :meth:`kill`."""
        child = self._take(key)
        try:
            limits = {"max_memory_mb": self.memory_mb} if self.memory_mb else {}
            result = child.run(task, shared, limits)
        except WorkerLostError:
            self._release(key, None)
            child.close()
            raise
        except BaseException:
            self._release(key, child)
            raise
        self._release(key, child)
        return result

    def kill(self, key: str) -> None:
        """End the child that runs a task; if none does yet, the task ends when it comes."""
        with self._lock:
            if key in self._running:
                self._running[key].kill()
            else:
                self._unwanted.append(key)

    def close(self) -> None:
        """End all children."""
        with self._lock:
            children = [*self._idle, *self._running.values()]
            self._idle = []
        for child in children:
            child.kill()

    def _take(self, key: str) -> Child:
        with self._lock:
            if key in self._unwanted:
                raise WorkerLostError("This task was cancelled before it began.")
            while self._idle:
                child = self._idle.pop()
                if child.alive():
                    break
                child.close()
            else:
                child = Child(self._environment())
            self._running[key] = child
        return child

    def _release(self, key: str, child: Child | None) -> None:
        with self._lock:
            self._running.pop(key, None)
            if child is not None:
                self._idle.append(child)

    def _environment(self) -> dict[str, str]:
        # the nanny sets OMP_NUM_THREADS=1 for the worker, which is not meant for Aer
        return {} if self.threads is None else {"OMP_NUM_THREADS": str(self.threads)}


#: The children of this process, whoever runs tasks in it: a Dask worker or a thread pool.
children = Children()


def run_task(key: str, task: bytes, shared: bytes) -> bytes:
    """Run a task in a child of this process; see :func:`aer_dask.execute.run_task`."""
    return children.run(key, task, shared)
