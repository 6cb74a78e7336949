"""The thread behind a job set: sends tasks, takes in what comes back, and repeats what is lost.

It owns the truth: an output is fetched as soon as it exists, so whatever dies afterwards, a worker
or the scheduler, costs only tasks that were not finished. And it ends in one way: ``outcome`` is
set, with results or with an error, whatever happens in the thread.
"""

from __future__ import annotations

import atexit
import contextlib
import logging
import os
import queue
import threading
import time
import uuid
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any
from weakref import WeakSet

from qiskit.providers import JobError
from qiskit.result import Result

from ..burst import burst
from ..errors import InsufficientMemoryError, OutOfMemoryError, WorkerLostError
from ..executors.base import Capacity, Dispatcher, Lost, LostWorker, Outlook, Output
from ..runs.collect import Collector
from ..runs.plan import Plan, Task
from ..runs.run import Run
from ..worker.trace import Trace
from .errors import JobCancelledError, JobTimeoutError
from .keeping import Keeping
from .record import Loss, Ran, Record

logger = logging.getLogger(__name__)

#: How many processes may die of a task before the run gives up on it. (Dask repeats the tasks of a
#: worker that dies by itself, and says so only after ``allowed-failures``.)
ATTEMPTS = 4
#: How often it is sent in all, losses of the scheduler and the like included.
SENDINGS = 40
#: Seconds that `cancel` waits for running tasks to be stopped.
_CANCEL = 10.0
#: Seconds between two looks for tasks that wait in vain.
_LOOK = 2.0
#: Seconds that somebody who looks at a job waits for what the executor says of it.
_ANSWER = 5.0


class Timeout:
    """A timeout for several steps together, that runs from when it is made.

    Args:
        seconds: as the user has said; None for ever.
    """

    def __init__(self, seconds: float | None) -> None:
        self.seconds = seconds
        self._end = None if seconds is None else time.monotonic() + seconds

    def left(self) -> float | None:
        """Seconds that are left, 0 once it is over; None for ever."""
        return None if self._end is None else max(0.0, self._end - time.monotonic())


class Driver:
    """Runs one job.

    Args:
        run: what is to be done.
        dispatcher: who does it.
        job_id: of the job, which names its tasks.
        keeping: what the job has to do with a store; None for nothing.
    """

    def __init__(
        self, run: Run, dispatcher: Dispatcher, job_id: str, keeping: Keeping | None = None
    ) -> None:
        #: A Result for each batch, or why there is none.
        self.outcome: Future[list[Result]] = Future()
        #: What is sent; None while the job waits for its first worker.
        self.plan: Plan | None = None
        #: Tasks that are done, and experiments of which all shots are there, in that order.
        self.done_tasks: set[int] = set()
        self.complete: list[int] = []
        #: How often each task was sent.
        self.sendings: list[int] = []
        #: Who ran what and when, and what was lost.
        self.record = Record()
        #: The job's part of a store.
        self.keeping = keeping
        self._run, self._dispatcher, self._job_id = run, dispatcher, job_id
        # of the keys of its tasks: what another driver of this job sends has other ones, or Dask
        # would give the output of one task for another
        self._prefix = f"aer-{job_id}-{uuid.uuid4().hex[:8]}-"
        self._collector: Collector  # once all circuits are compiled
        self._tasks: list[Task] = []
        self._payloads: list[bytes] = []
        self._not_sent: list[int] = []
        self._deaths: dict[int, int] = {}
        self._memory: dict[int, int] = {}
        self._is_complete: list[bool] = []
        self._run_again: set[int] = set()
        self._futures: dict[str, tuple[int, Any]] = {}
        self._ended_keys: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self._changed = threading.Condition()
        self._stop = threading.Event()
        self._recovering = False
        self._has_begun = False  # the executor was asked to; if in vain, it is recovered from
        self._thread = threading.Thread(target=self._main, name=f"aer-job-{job_id}", daemon=True)
        self._started = time.monotonic()
        self._seconds: float | None = None  # once it has ended

    # --- for the job set ---------------------------------------------------------------

    def start(self) -> None:
        """Check and plan, where there are workers already, and start the thread.

        Raises:
            Exception: what is wrong with the run or the workers.
        """
        self._started = time.monotonic()
        try:
            if self.keeping is not None:
                self._look_up(self.keeping)
            if self.plan is not None:
                pass  # all is there: nobody need be asked
            elif (capacity := self._dispatcher.capacity()).slots and self._begin():
                self._prepare(capacity)
            else:
                with burst():
                    self._run.compile()
        except BaseException as error:
            self._stop_tasks()
            self._end_keeping(error)
            raise
        _live.add(self)
        self._thread.start()

    def total(self) -> int:
        """How many tasks there are; 0 until there is a plan."""
        return len(self._tasks)

    def seconds(self) -> float:
        """How long the job has taken, so far or in all, by the clock on the wall."""
        ended = self._seconds
        return time.monotonic() - self._started if ended is None else ended

    def bytes_sent(self) -> int:
        """Bytes of all tasks as they were encoded, each as often as it was sent."""
        return sum(len(p) * n for p, n in zip(self._payloads, self.sendings, strict=False))

    def lost_workers(self) -> list[LostWorker]:
        """Workers that have gone with tasks of this job, which the executor repeats by itself."""
        return self._dispatcher.lost_workers(self._prefix)

    def sending_of(self, key: str) -> tuple[int, int]:
        """The task that a key names, and which sending of it."""
        task, sending = key.removeprefix(self._prefix).split("-")
        return int(task), int(sending)

    def outlook(self, timeout: Timeout | None = None) -> Outlook:
        """What workers there are, and what the job waits for, if it does; within five seconds.

        Args:
            timeout: of who asks, which may end before.
        """
        futures = {key: future for key, (_, future) in self._futures.copy().items()}
        left = timeout.left() if timeout else None
        return self._dispatcher.outlook(futures, _ANSWER if left is None else min(left, _ANSWER))

    def changes(self, condition: Callable[..., bool], timeout: float | None) -> bool:
        """Wait until the outcome is there or a condition holds; both are looked at on any change.

        Args:
            condition: looked at with every task that is done.
            timeout: seconds; None for ever.

        Returns:
            Whether one of them came in time.
        """
        with self._changed:
            return self._changed.wait_for(lambda: self.outcome.done() or condition(), timeout)

    def wait(self, condition: Callable[..., bool], timeout: Timeout) -> None:
        """Wait as :meth:`changes` does.

        Raises:
            JobTimeoutError: after what is left of the timeout.
        """
        if self.changes(condition, timeout.left()):
            return
        done, total = len(self.done_tasks), self.total()
        state = f"{done} of {total} tasks are done" if total else "the cluster has no workers yet"
        raise JobTimeoutError(
            f"No result after {timeout.seconds:g} s: {state}. "
            "The job goes on; ask again or cancel() it."
        )

    def cancel(self) -> bool:
        """Stop all tasks; whether there was anything to stop."""
        if not self._settle(error=JobCancelledError("The job was cancelled.")):
            return False
        self._stop.set()
        self._ended_keys.put(None)
        if not self._recovering:  # else nothing runs that could be waited for
            self._thread.join(_CANCEL)
        return True

    def abandon(self) -> None:
        """End in a copy of the process: the thread is not there, and locks may be held."""
        if self._seconds is not None:  # it had ended
            return
        self.outcome, self._changed = Future(), threading.Condition()
        self.outcome.set_exception(
            JobError(
                "This process is a copy of the one that runs the job; ask for its result there."
            )
        )

    def partial(self, index: int) -> Result:
        """A Result of one experiment, a complete one."""
        return self._collector.partial([index], self._job_id)

    def task_result(self, task: int, job_id: str) -> Result:
        """A Result of what one task has given."""
        return self._collector.task_result(self._tasks[task], job_id)

    # --- the thread --------------------------------------------------------------------

    def _main(self) -> None:
        try:
            try:
                results = self._work()
            finally:
                self._stop_tasks()
        except BaseException as error:  # noqa: BLE001 (raised by result())
            self._end_keeping(error)
            self._settle(error=error)
        else:
            self._end_keeping()
            self._settle(results=results)

    def _end_keeping(self, error: BaseException | None = None) -> None:
        if self.keeping is None:
            return
        if self.outcome.done():  # cancelled, and whoever has done that waits
            self.keeping.end("cancelled", stopped=True)
        elif error is not None:
            self.keeping.end("error", str(error), stopped=True)
        else:
            self.keeping.end("done")

    def _settle(
        self, *, results: list[Result] | None = None, error: BaseException | None = None
    ) -> bool:
        """Set the outcome; whether it was not set before."""
        with self._changed:
            if self.outcome.done():
                return False
            seconds = self.seconds()
            if error is not None:
                self.outcome.set_exception(error)
            else:
                self.outcome.set_result(results or [])
            self._seconds = seconds
            self._changed.notify_all()
            return True

    def _work(self) -> list[Result]:
        if self.plan is None:
            if not self._has_begun:
                logger.warning("Job %s waits: the cluster has no workers yet.", self._job_id)
            self._dispatcher.await_workers(self._stop)
            if not self._stop.is_set() and (self._has_begun or not self._begin()):
                self._recover()
            if self._stop.is_set():
                return []
            self._prepare(self._dispatcher.capacity())
        self._send(self._not_sent)
        while self._futures and not self._stop.is_set():
            self._take_in(self._next_ended())
        if self._stop.is_set():
            return []
        return self._collector.results(self._job_id, time.monotonic() - self._started)

    def _look_up(self, keeping: Keeping) -> None:
        """Take what is in the store: the plan is of the rest."""
        with burst():
            self._run.compile()
        keeping.begin()
        self._collect_from(keeping)
        if all(self._is_complete):
            self.plan = Plan((), tuple(self._run.experiments))

    def _collect_from(self, keeping: Keeping | None) -> None:
        """Make what takes outputs in, with those that are there from before."""
        self._collector = Collector(self._run)
        self._is_complete = [False] * len(self._run.experiments)
        if keeping is not None:
            self._collector.take(keeping.kept)
            for experiment in keeping.kept.complete:
                self._is_complete[experiment] = True
                self.complete.append(experiment)

    def _begin(self) -> bool:
        """Check the workers, and give them what tasks share; whether there was a connection."""
        self._has_begun = True
        try:
            self._dispatcher.begin(self._run.shared)
        except WorkerLostError as error:
            logger.warning("Job %s waits: %s", self._job_id, error)
            return False
        return True

    def _prepare(self, capacity: Capacity) -> None:
        """Compile, plan, encode and send, some at a time."""
        planner = self._run.planner(capacity.slots, capacity.memory)
        with burst():
            for tasks in filter(None, self._run.tasks(planner)):
                self._run.check_memory(tasks, capacity.memory)
                indices = [self._add(task) for task in tasks]
                # the last ones are left to the thread: a short run is not held up by sending
                last = self._run.is_compiled
                self._not_sent += [i for i in indices if last or not self._submit(i)]
        if self.keeping is None:
            self._collect_from(None)
        plan = Plan(tuple(self._tasks), tuple(self._run.experiments))
        self.plan = plan.with_bytes(self._payloads, self._run.shared)

    def _add(self, task: Task) -> int:
        self._tasks.append(task)
        self._payloads.append(self._run.payload(task))
        self.sendings.append(0)
        return len(self._tasks) - 1

    def _send(self, indices: list[int]) -> None:
        """Send tasks, and again those that were lost on the way there."""
        while indices and not self._stop.is_set():
            lost = [index for index in indices if not self._submit(index)]
            if lost:
                self._recover()
            indices = lost

    def _recover(self) -> None:
        self._recovering = True
        self._dispatcher.recover(self._stop)
        self._recovering = False

    def _submit(self, index: int) -> bool:
        if self._stop.is_set():
            return True
        self.sendings[index] += 1
        key = f"{self._prefix}{index}-{self.sendings[index]}"
        memory = self._memory.get(index, self._tasks[index].memory)
        try:
            future = self._dispatcher.submit(
                key, self._payloads[index], memory, -index, lambda _: self._ended_keys.put(key)
            )
        except WorkerLostError as error:
            self._note(index, str(error), begun=False)
            self._check_sendings(index, error)
            return False
        self._futures[key] = (index, future)
        return True

    def _next_ended(self) -> list[str]:
        """Wait until a task has ended; then all that have."""
        keys: list[str | None] = []
        while not keys:
            try:
                keys = [self._ended_keys.get(timeout=_LOOK)]
            except queue.Empty:
                self._send_stranded()
        while not self._ended_keys.empty():
            keys.append(self._ended_keys.get())
        return [key for key in keys if key is not None and key in self._futures]

    def _send_stranded(self) -> None:
        """Send again what waits for a worker that will not come."""
        futures = {key: future for key, (_, future) in self._futures.items()}
        if keys := self._dispatcher.stranded(futures):
            self._dispatcher.cancel({key: futures[key] for key in keys})
            indices = [self._futures.pop(key)[0] for key in keys]
            for index in indices:
                self._note(index, "It waited for workers that have gone.", begun=False)
            logger.warning("%d tasks wait for workers that have gone; sent again.", len(keys))
            self._recover()
            self._send(indices)

    def _take_in(self, keys: list[str]) -> None:
        if not keys:
            return
        ended = [self._futures.pop(key) for key in keys]
        outcomes = self._dispatcher.fetch([future for _, future in ended])
        lost = []
        for (index, _), outcome in zip(ended, outcomes, strict=True):
            if self._stop.is_set():
                return
            if isinstance(outcome, Lost):
                self._note(index, str(outcome.cause), outcome.trace, outcome.begun)
                self._check_repeatable(index, outcome)
                lost.append(index)
            elif isinstance(outcome, BaseException):
                raise outcome
            else:
                self._collect(index, outcome)
        if lost:
            self._recover()
            self._send(lost)

    def _note(self, index: int, why: str, trace: Trace | None = None, begun: bool = True) -> None:
        self.record.lost.append(Loss(index, self.sendings[index], why, trace, begun))

    def _collect(self, index: int, output: Output) -> None:
        task = self._tasks[index]
        misjudged = self._collector.add(task, output.data)
        if self.keeping is not None:
            self.keeping.keep(task, output)
        self.record.ran.append(Ran(index, self.sendings[index], output.trace))
        self.record.received += output.size
        with self._changed:
            self.done_tasks.add(index)
            for experiment in task.experiments():
                if not (self._is_complete[experiment] or experiment in misjudged):
                    self._is_complete[experiment] = self._collector.is_complete(experiment)
                    if self._is_complete[experiment]:
                        self.complete.append(experiment)
            self._changed.notify_all()
        for experiment in misjudged:
            self._run_whole(experiment, index)

    def _run_whole(self, experiment: int, index: int) -> None:
        """Send a circuit again unsplit, once; what its slices give counts no more."""
        if experiment in self._run_again:
            return
        self._run_again.add(experiment)
        logger.warning("Circuit %d turned out not to be divisible; running it whole.", experiment)
        self._note(index, f"Circuit {experiment} turned out not to be divisible.")
        self._send([self._add(self._run.planner(1).whole(experiment))])

    def _check_repeatable(self, index: int, loss: Lost) -> None:
        """Raise if a task that was lost is not to be sent again."""
        self._check_sendings(index, loss.cause)
        if isinstance(loss.cause, OutOfMemoryError) and loss.cause.limit is not None:
            self._ask_for_more(index, loss.cause, loss.cause.limit)
        elif loss.deaths:
            self._deaths[index] = self._deaths.get(index, 0) + loss.deaths
            if self._deaths[index] >= ATTEMPTS:
                raise self._given_up(index, self._deaths[index], loss.cause)
        logger.warning("Task %d was lost and is sent again: %s", index, loss.cause)

    def _check_sendings(self, index: int, cause: BaseException) -> None:
        if self.sendings[index] >= SENDINGS:
            raise self._given_up(index, SENDINGS, cause)

    def _ask_for_more(self, index: int, cause: OutOfMemoryError, limit: int) -> None:
        """Send a task only to workers with more memory than the one that could not hold it."""
        if not cause.alone and self._memory.get(index, 0) < limit:
            self._memory[index] = limit  # all of it
            return
        largest = self._dispatcher.capacity().memory
        if largest is not None and largest <= limit:
            raise InsufficientMemoryError(
                f"Task {index} ({self._circuits(index)}) was killed for lack of memory on a worker "
                f"with {limit / 2**30:.1f} GiB for simulations, and none has more. Give the "
                "workers more memory, or make smaller tasks (max_job_size, max_shot_size)."
            ) from cause
        self._memory[index] = limit + 1

    def _given_up(self, index: int, times: int, cause: BaseException) -> WorkerLostError:
        error = WorkerLostError(
            f"Task {index} ({self._circuits(index)}) was lost {times} times, the last time "
            f"because: {cause} Look at the workers' logs and memory; smaller tasks "
            "(max_job_size, max_shot_size) or larger workers help against lack of memory."
        )
        error.__cause__ = cause
        return error

    def _circuits(self, index: int) -> str:
        circuits = self._tasks[index].experiments()
        return f"circuits {circuits[0]} to {circuits[-1]}"

    def _stop_tasks(self) -> None:
        """Stop what still runs; a failure here changes nothing about the outcome."""
        futures = {key: future for key, (_, future) in self._futures.items()}
        self._futures.clear()
        for stop in (lambda: self._dispatcher.cancel(futures), self._dispatcher.end):
            try:
                stop()
            except Exception as error:  # noqa: BLE001 (of a closed client, or a lost scheduler)
                logger.info("Tasks of job %s could not be stopped: %s", self._job_id, error)


_live: WeakSet[Driver] = WeakSet()


def _cancel_all() -> None:
    """Leave no thread that sends tasks while Python takes the executors down."""
    for driver in list(_live):
        with contextlib.suppress(Exception):
            driver.cancel()


# before concurrent.futures waits for its threads, where Python has a hook for that; else at exit
getattr(threading, "_register_atexit", atexit.register)(_cancel_all)


def _abandon_all() -> None:
    """What a forked process does first."""
    for driver in list(_live):
        driver.abandon()
    _live.clear()


os.register_at_fork(after_in_child=_abandon_all)
