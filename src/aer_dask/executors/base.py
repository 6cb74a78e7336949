"""An executor, as a job sees it: the interface that each kind implements in its own module."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from ..worker.trace import Trace, split


@dataclass(frozen=True)
class Output:
    """What a task gave, who ran it and when, and how many bytes came."""

    data: memoryview
    trace: Trace
    size: int

    @classmethod
    def of(cls, data: bytes | bytearray | memoryview) -> Output:
        """From the bytes that came."""
        return cls(*split(data), len(data))


@dataclass(frozen=True)
class Lost:
    """How a task ends through no fault of its own: it is sent again.

    ``deaths`` is how many processes have died of it, or may have; the loss of a connection is
    nobody's fault. ``begun`` is False where nobody knows whether it had begun.
    """

    cause: BaseException
    deaths: int = 0
    begun: bool = True

    @property
    def trace(self) -> Trace | None:
        """Who ran it, from when to when, if that is known."""
        return getattr(self.cause, "trace", None)


@dataclass(frozen=True)
class LostWorker:
    """A worker that has gone with tasks that it had begun, which the executor repeats by itself.

    ``when`` is on the clock that all workers share, in seconds since 1970.
    """

    worker: str
    keys: tuple[str, ...]
    when: float


@dataclass(frozen=True)
class Outlook:
    """How many workers there are (None if that is not known), and what a job waits for, if it does.

    ``waits_for`` is empty while a task of the job runs.
    """

    workers: int | None
    waits_for: str = ""

    def __str__(self) -> str:
        number = "" if self.workers is None else f"{self.workers} workers"
        if self.workers == 1:
            number = "1 worker"
        waits = f"waits: {self.waits_for}" if self.waits_for else ""
        return ", ".join(filter(None, [number, waits]))


@dataclass(frozen=True)
class Capacity:
    """What an executor has at one moment.

    ``slots`` are tasks that can run at once; 0 while there is no worker. ``memory`` is bytes for
    simulations on the largest worker; None if that is not known.
    """

    slots: int
    memory: int | None = None


#: How a task ends: with its output, lost, or with what it raised.
Outcome = Output | Lost | BaseException
Callback = Callable[[Any], None]


class Dispatcher(ABC):
    """Sends the tasks of one job to an executor."""

    @abstractmethod
    def capacity(self) -> Capacity:
        """What there is now."""

    @abstractmethod
    def begin(self, shared: bytes) -> None:
        """Check the workers, and make what all tasks share available to them.

        Args:
            shared: encoded options and noise models.

        Raises:
            VersionMismatchError: if a worker runs other versions than this process.
            ExecutorError: if none of the workers may be used.
            WorkerLostError: if there is no connection just now; then :meth:`recover` does it.
        """

    @abstractmethod
    def submit(self, key: str, task: bytes, memory: int, priority: int, done: Callback) -> Any:
        """Start a task, after :meth:`begin`.

        Args:
            key: names the task for :meth:`cancel`.
            task: the encoded task.
            memory: bytes that the worker must have for it.
            priority: tasks of a higher one start first.
            done: called with the returned future, in another thread, when it has ended.

        Raises:
            ExecutorError: if the executor takes no more work.
            WorkerLostError: if there is no connection just now; see :meth:`recover`.
        """

    @abstractmethod
    def fetch(self, futures: Sequence[Any]) -> list[Outcome]:
        """How tasks ended, in order."""

    @abstractmethod
    def cancel(self, futures: dict[str, Any]) -> None:
        """Stop tasks, by key, whether they wait or run."""

    def await_workers(self, stop: threading.Event) -> None:  # noqa: B027 (pools have theirs)
        """Wait until there is a worker, or ``stop`` is set.

        Raises:
            ExecutorError: if there is none for ten minutes.
        """

    def recover(self, stop: threading.Event) -> None:  # noqa: B027 (pools have nothing to wait for)
        """Wait until tasks can be sent again after some were lost, or ``stop`` is set.

        Raises:
            ExecutorError: if that does not happen within five minutes, or ten without a worker.
        """

    def stranded(self, futures: dict[str, Any]) -> list[str]:
        """Keys of the tasks that no worker will ever take up; asked now and then.

        Raises:
            ExecutorError: if the executor has given no sign of life for five minutes, or has had no
                worker for ten that can run them all.
        """
        return []

    def lost_workers(self, prefix: str) -> list[LostWorker]:
        """Workers that have gone with tasks whose keys begin so, and only with those tasks."""
        return []

    @abstractmethod
    def outlook(self, futures: dict[str, Any], timeout: float) -> Outlook:
        """What there is for tasks that have not ended; asked by any thread, now and then.

        Args:
            futures: of those tasks, by key.
            timeout: seconds that the answer may take.
        """

    def end(self) -> None:  # noqa: B027 (pools keep nothing)
        """Give up what the executor keeps for this job."""
