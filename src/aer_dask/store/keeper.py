"""The thread that writes what a job has taken in, so that a slow store holds nobody up.

The client writes, and not the workers: ``file:///`` is then the user's disk, and workers need
neither credentials nor a volume that all of them reach. What a worker has finished and the client
not fetched yet is lost with the client; that is milliseconds.
"""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from typing import Any

from ..burst import burst
from .entries import ALIVE, JobRecord, Piece, record_object, tasks_object
from .format import Buffer, FormatError
from .location import Store, is_final, reason

logger = logging.getLogger(__name__)

#: Seconds for which a store may refuse everything before a job no longer tries, and for which
#: the end of a job waits for what is not written yet.
PATIENCE = 30.0
#: Seconds for which all outputs of a job together wait for such room.
_HELD_UP = 10.0
#: Seconds that a job waits at its end for a store that has refused before.
_LAST_WORD = 2.0
#: Bytes that may wait or be written, unless one output alone has more: what a store that takes
#: 10 MB/s takes within that time.
_MOST_WAITING = 256 * 2**20
#: Bytes of tasks that are written as one object, if they wait together.
_TOGETHER = 8 * 2**20
_PAUSES = (0.2, 0.5, 1.0, 2.0)

#: What the output of a task holds, made from its bytes when it is written.
Task = Callable[[], Iterable[tuple[Piece, Any]]]


class Keeper:
    """Keeps the results of one job.

    Args:
        store: where.
        record: of the job.
        first: names and contents of what is written before all else.
    """

    def __init__(
        self, store: Store, record: JobRecord, first: Iterable[tuple[str, list[Buffer]]]
    ) -> None:
        self.store = store
        #: Tasks whose outputs are in the store.
        self.kept = 0
        #: Why some of the results are not kept, in a sentence; "" if all are.
        self.why_not = ""
        self._may_wait = _HELD_UP
        self._record, self._first = record, list(first)
        self._waiting: deque[tuple[int, Task]] = deque()
        self._bytes = 0
        self._changed = threading.Condition()
        self._ending = self._given_up = False
        self._thread = threading.Thread(
            target=self._main, name=f"aer-store-{record.job_id}", daemon=True
        )

    def start(self) -> None:
        """Begin to write."""
        self._thread.start()

    def keep(self, size: int, task: Task) -> None:
        """Have the output of a task written, soon.

        Waits for room while others are written that have much, all calls together for ten seconds;
        so a slow store takes neither the job's time nor its memory.

        Args:
            size: bytes that wait meanwhile.
            task: makes its pieces and their outputs.
        """
        with self._changed:
            if self._given_up:
                return
            began = time.monotonic()
            has_room = self._changed.wait_for(lambda: self._has_room(size), self._may_wait)
            self._may_wait = max(0.0, self._may_wait - (time.monotonic() - began))
            if self._given_up:
                return
            if not has_room:
                self._refuse("it takes less than what comes in")
                return
            self._waiting.append((size, task))
            self._bytes += size
            self._changed.notify_all()

    def end(self, how: str, why: str = "", patience: float = PATIENCE) -> None:
        """Write what is not written yet, and how the job has ended.

        Args:
            how: as :attr:`JobRecord.ended`.
            why: as :attr:`JobRecord.why`.
            patience: seconds that this may take.
        """
        with self._changed:
            self._record = self._record.alive_now(ended=how, why=why)
            self._ending = True
            self._changed.notify_all()
        self._thread.join(min(patience, _LAST_WORD) if self._given_up else patience)
        with self._changed:
            if self._thread.is_alive():
                self._give_up(f"it has not taken everything within {patience:.0f} s")

    def _has_room(self, size: int) -> bool:
        return self._given_up or not self._bytes or self._bytes + size <= _MOST_WAITING

    def _main(self) -> None:
        try:
            self._write_all()
        except Exception as error:  # whatever it is, the job has its results
            logger.debug("The store's thread has ended.", exc_info=True)
            with self._changed:
                self._give_up(reason(error))
        if self._given_up:
            self._write_last_word()

    def _write_last_word(self) -> None:
        """How the job has ended, tried once though the rest was refused."""
        with self._changed:
            self._changed.wait_for(lambda: self._ending)
        with contextlib.suppress(Exception):
            self.store.write(*record_object(self._record))

    def _write_all(self) -> None:
        for name, parts in [record_object(self._record), *self._first]:
            self._write(name, parts)
        said = time.monotonic()
        while not self._given_up:
            with self._changed:
                self._changed.wait_for(
                    lambda: self._waiting or self._ending, said + ALIVE.total_seconds()
                    - time.monotonic(),
                )  # fmt: skip
                size, tasks = self._next()
            if tasks:
                self._write_tasks(tasks)
                with self._changed:
                    self._bytes -= size
                    self._changed.notify_all()
            elif self._ending:
                self._write(*record_object(self._record))
                return
            if time.monotonic() - said >= ALIVE.total_seconds():
                self._write(*record_object(self._record.alive_now()))
                said = time.monotonic()

    def _next(self) -> tuple[int, list[Task]]:
        """What waits, as much of it as becomes one object, and its bytes."""
        size = 0
        tasks: list[Task] = []
        while self._waiting and (not tasks or size + self._waiting[0][0] <= _TOGETHER):
            more, task = self._waiting.popleft()
            size += more
            tasks.append(task)
        return size, tasks

    def _write_tasks(self, tasks: list[Task]) -> None:
        try:
            with burst():
                pieces = [piece for task in tasks for piece in task()]
                written = tasks_object(self._record.address, pieces) if pieces else None
            if written:
                self._write(*written)
        except FormatError as error:
            with self._changed:
                self._refuse(f"{error}")
            return
        if not self._given_up:
            self.kept += len(tasks)

    def _write(self, name: str, parts: list[Buffer]) -> None:
        """Write an object, again and again while the store is away, unless it stays away."""
        deadline = time.monotonic() + PATIENCE
        attempt = 0
        while not self._given_up:
            try:
                self.store.write(name, parts)
            except Exception as error:  # of any file system there is
                logger.debug("%s could not be written to %s.", name, self.store, exc_info=True)
                pause = _PAUSES[min(attempt, len(_PAUSES) - 1)]
                attempt += 1
                if is_final(error) or time.monotonic() + pause > deadline:
                    with self._changed:
                        self._give_up(reason(error))
                    return
                time.sleep(pause)
            else:
                return

    def _give_up(self, why: str) -> None:
        self._given_up = True
        self._waiting.clear()
        self._changed.notify_all()
        self._refuse(why)

    def _refuse(self, why: str) -> None:
        """Say once that something is not kept."""
        if not self.why_not:
            self.why_not = (
                f"Some results of job {self._record.job_id} are not kept in {self.store}: "
                f"{why.rstrip('.')}."
            )
            logger.warning("%s", self.why_not)
