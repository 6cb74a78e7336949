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
import contextlib
import ctypes
import os
import queue
import signal
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from multiprocessing import Pipe
from pathlib import Path

from ..errors import OutOfMemoryError, WorkerLostError
from .metrics import Tally, Work

_SERVER = "aer_dask.worker.serve"
#: Has glibc give arrays back when they are freed. By default it comes to keep those below 32 MiB,
#: and a state of 8 MiB, made anew for each shot, took 270 MiB where 75 were in use. Shots take as
#: long as before.
_ALLOCATION = {"MALLOC_MMAP_THRESHOLD_": str(2**20)}
_PR_SET_PDEATHSIG = 1  # linux/prctl.h
#: Seconds between two looks at whether a task is still wanted, where nobody can call `kill`.
_INTERVAL = 0.1
#: Seconds that a child has to end after its connection has.
_ENDING = 10.0
#: Where Linux counts the processes of this control group that were killed for lack of memory.
_MEMORY_EVENTS = (
    Path("/sys/fs/cgroup/memory.events"), Path("/sys/fs/cgroup/memory/memory.oom_control"),
)  # fmt: skip


def die_with_parent(parent: int) -> None:
    """Have the kernel end this process when the thread that started it ends (on Linux).

    If that is gone before it is asked, the process ends at once.

    Args:
        parent: the id of the process that started this one.
    """
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)


class _Starter:
    """A thread that starts processes and lives as long as this one.

    The kernel ends a child with the *thread* that started it; one of a thread pool may end at any
    time, while the child already simulates for another.
    """

    def __init__(self) -> None:
        self._wanted: queue.SimpleQueue[tuple[Callable[[], Child], Future[Child]]]
        self._wanted = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()

    def start(self, make: Callable[[], Child]) -> Child:
        """What ``make`` returns, or raises, in that thread."""
        with self._lock:
            if self._thread is None:
                self._thread = threading.Thread(
                    target=self._serve, name="aer-dask-starter", daemon=True
                )
                self._thread.start()
        made: Future[Child] = Future()
        self._wanted.put((make, made))
        return made.result()

    def _serve(self) -> None:
        while True:
            make, made = self._wanted.get()
            try:
                made.set_result(make())
            except BaseException as error:  # noqa: BLE001 (it belongs to who asked)
                made.set_exception(error)


class Child:
    """One child process and the connection to it."""

    def __init__(self, environment: dict[str, str]) -> None:
        #: Whether somebody here has ended it.
        self.was_killed = False
        self._kills = _memory_kills()  # before it, or before its task
        self._connection, theirs = Pipe()
        with theirs:
            self._process = subprocess.Popen(  # noqa: S603 (a module of this package)
                [sys.executable, "-m", _SERVER, str(theirs.fileno()), str(os.getpid())],
                pass_fds=[theirs.fileno()],
                env={**_ALLOCATION, **os.environ, **environment},
                stdin=subprocess.DEVNULL,
                start_new_session=True,  # Ctrl-C is for the parent
            )

    def alive(self) -> bool:
        """Whether the process still runs."""
        return self._process.poll() is None

    def run(
        self,
        task: bytes,
        shared: bytes,
        limits: dict[str, int],
        unwanted: Callable[[], bool] | None = None,
    ) -> tuple[bytearray, Work] | Exception:
        """Run a task in the child and wait for what it gives, and how much that was, or raises.

        Whoever is interrupted here must not use the child again: its answer is still to come.

        Args:
            task: the encoded task.
            shared: the encoded options and noise models of the run.
            limits: Aer options where the user set none.
            unwanted: asked now and then; once it is true the child is killed.

        Raises:
            OutOfMemoryError: if the child dies meanwhile, killed for lack of memory.
            WorkerLostError: if it dies of something else.
        """
        self._kills = _memory_kills()
        try:
            self._connection.send((task, shared, limits))
            while unwanted and not self._connection.poll(_INTERVAL):
                if unwanted():
                    self.kill()
            succeeded, value = self._connection.recv()
            if not succeeded:
                error: Exception = value
                return error
            size, work = value
            return self._receive(size), work
        except (EOFError, OSError) as error:
            raise self._loss() from error

    def _receive(self, size: int) -> bytearray:
        """The bytes that come in chunks, each put where it belongs."""
        data, received = bytearray(size), 0
        while received < size:
            received += self._connection.recv_bytes_into(data, received)
        return data

    def kill(self) -> None:
        """End the process at once."""
        self.was_killed = True
        self._process.kill()

    def cause_of_death(self) -> str:
        """How the process has died, as :mod:`aer_dask.worker.metrics` calls it."""
        if self._process.wait() != -signal.SIGKILL:
            return "crashed"
        return "memory" if _memory_kills() > self._kills else "killed"

    def close(self) -> None:
        """End the process and forget it."""
        self.kill()
        self._process.wait()
        self._connection.close()

    def _loss(self) -> WorkerLostError:
        try:
            status = self._process.wait(_ENDING)
        except subprocess.TimeoutExpired:
            self._process.kill()  # it is there, but the connection to it is not
            status = self._process.wait()
        cause = self.cause_of_death()
        gone = "The process that simulated this task is gone:"
        if cause == "memory":
            return OutOfMemoryError(f"{gone} it was killed for lack of memory.")
        if cause == "killed":
            return WorkerLostError(f"{gone} it was killed; if nobody did, it was out of memory.")
        if status < 0:
            return WorkerLostError(f"{gone} it died of {signal.Signals(-status).name}.")
        return WorkerLostError(f"{gone} it exited with status {status}.")


def _memory_kills() -> int:
    """How many processes beside this one were killed for lack of memory; 0 if nobody counts."""
    for file in _MEMORY_EVENTS:
        with contextlib.suppress(OSError):
            counts = dict(line.split() for line in file.read_text().splitlines())
            return int(counts.get("oom_kill", 0))
    return 0


class Children:
    """The children of this process: one for each task that runs here, idle ones kept.

    ``tally`` counts what becomes of them and of their tasks.

    Args:
        threads: OpenMP threads of a child, or None for what the environment says.
        memory: bytes that all simulations here may take together, or None for Aer's own limit.
        slots: how many of them run side by side.
    """

    def __init__(
        self, threads: int | None = None, memory: int | None = None, slots: int = 1
    ) -> None:
        self.threads, self.memory, self.slots = threads, memory, slots
        self._forget()
        atexit.register(self.close)
        # a process of a pool may be a copy of this one, and has no use for the children of this one
        os.register_at_fork(after_in_child=self._forget)

    def _forget(self) -> None:
        self.tally = Tally()
        self._idle: list[Child] = []
        self._running: dict[str, Child] = {}
        self._unwanted: deque[str] = deque(maxlen=1000)
        self._lock = threading.Lock()
        self._starter = _Starter()

    def configure(self, threads: int, memory: int | None, slots: int) -> None:
        """Set the limits of children started from now on, and have one ready for each slot."""
        self.threads, self.memory, self.slots = threads, memory, slots
        with self._lock:
            idle, self._idle = self._idle, []
        for child in idle:
            child.close()
        self._idle = [self._new_child() for _ in range(slots)]

    def run(
        self,
        key: str,
        task: bytes,
        shared: bytes,
        memory: int = 0,
        unwanted: Callable[[], bool] | None = None,
    ) -> bytearray:
        """Run a task in a child.

        Args:
            key: names the task for :meth:`kill`.
            task: the encoded task.
            shared: the encoded options and noise models of the run.
            memory: bytes that the task is expected to take; less than its slot's share is no limit.
            unwanted: see :meth:`Child.run`.

        Raises:
            Exception: what the task raises, and as :meth:`Child.run`; WorkerLostError if the task
                was cancelled before, or no process can be started.
        """
        child = self._take(key)
        try:
            answer = child.run(task, shared, self._limits(memory), unwanted)
        except OutOfMemoryError as error:
            alone = len(self._running) == 1
            self._lose(key, child, "memory")
            raise OutOfMemoryError(str(error), self.memory, alone) from error
        except WorkerLostError:
            self._lose(key, child, child.cause_of_death())
            raise
        except Exception:  # its answer cannot be taken in
            self._drop(key, child, "failed")
            raise
        except BaseException:
            self._drop(key, child, "cancelled")
            raise
        self._keep(key, child)
        if isinstance(answer, Exception):
            self.tally.add("tasks", "failed")
            raise answer
        output, work = answer
        self.tally.add("tasks", "done")
        self.tally.add_work(work)
        return output

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

    def _limits(self, memory: int) -> dict[str, int]:
        if self.memory is None:
            return {}
        return {"max_memory_mb": max(memory, self.memory // self.slots) // 2**20}

    def _take(self, key: str) -> Child:
        with self._lock:
            if key in self._unwanted:
                self._unwanted.remove(key)
                self.tally.add("tasks", "cancelled")
                raise WorkerLostError("This task was cancelled before it began.")
            while self._idle:
                child = self._idle.pop()
                if child.alive():
                    break
                self.tally.add("children_died", child.cause_of_death())
                child.close()
            else:
                try:
                    child = self._new_child()
                except WorkerLostError:
                    self.tally.add("tasks", "lost")
                    raise
            self._running[key] = child
        return child

    def _keep(self, key: str, child: Child) -> None:
        with self._lock:
            del self._running[key]
            self._idle.append(child)

    def _lose(self, key: str, child: Child, cause: str) -> None:
        """Forget a child that has died of its task, or was ended because of it."""
        if child.was_killed:
            self._drop(key, child, "cancelled")
        else:
            self.tally.add("children_died", cause)
            self._drop(key, child, "lost")

    def _drop(self, key: str, child: Child, outcome: str) -> None:
        """Forget a child that was left or ended in the middle of a task."""
        with self._lock:
            del self._running[key]
        self.tally.add("tasks", outcome)
        child.close()

    def _new_child(self) -> Child:
        # the nanny sets OMP_NUM_THREADS=1 for the worker, which is not meant for Aer
        limit = {} if self.threads is None else {"OMP_NUM_THREADS": str(self.threads)}
        try:
            return self._starter.start(lambda: Child(limit))
        except OSError as error:
            raise WorkerLostError(
                f"No process to simulate in could be started: {error}."
            ) from error


#: The children of this process, whoever runs tasks in it: a Dask worker or a pool.
children = Children()
