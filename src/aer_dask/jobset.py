"""The job that ``run`` returns: sends tasks, keeps what comes back, and repeats what is lost.

One thread drives a job set. It owns the truth: a result is fetched as soon as it exists, so
whatever dies afterwards, a worker or the scheduler, costs only tasks that were not finished.
"""

from __future__ import annotations

import concurrent.futures
import logging
import queue
import threading
import time
import uuid
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

from qiskit import QuantumCircuit
from qiskit.providers import JobError, JobStatus, JobV1
from qiskit.providers import JobTimeoutError as QiskitJobTimeoutError
from qiskit.result import Result

from .dispatch import LOST, Dispatcher
from .errors import WorkerLostError
from .plan import Plan, Task
from .run import Run

logger = logging.getLogger(__name__)

#: How often a task is sent before the run gives up on it.
ATTEMPTS = 4
#: Seconds between two looks for workers while there are none.
_WORKER_POLL = 0.2
#: Seconds that a lost scheduler may stay away.
_RECONNECT = 300.0


class JobCancelledError(JobError, concurrent.futures.CancelledError):
    """The result of a cancelled job was asked for."""


class JobTimeoutError(QiskitJobTimeoutError, TimeoutError):
    """The result was not there within the timeout."""


class Progress(NamedTuple):
    """How many tasks are done, of how many; ``total`` is 0 until there is a plan."""

    done: int
    total: int


class AerJobSet(JobV1):
    """A run that is spread over an executor.

    What ``AerSimulator.run`` returns when it has an executor. ``worker`` in the names of some
    methods is the word of Qiskit Aer 0.9 to 0.14, where it meant the index of a task.
    """

    def __init__(self, run: Run, dispatcher: Dispatcher) -> None:
        super().__init__(run.backend, str(uuid.uuid4()))
        self._run, self._dispatcher = run, dispatcher
        self._tasks: list[Task] = []
        self._plan: Plan | None = None
        self._attempts: dict[int, int] = {}
        self._futures: dict[str, tuple[int, Any]] = {}
        self._done: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self._finished_tasks: set[int] = set()
        self._complete: list[int] = []
        self._changed = threading.Condition()
        self._ended = False
        self._cancelled = False
        self._error: BaseException | None = None
        self._results: list[Result] = []
        self._thread: threading.Thread | None = None
        self._started = 0.0

    # --- what users call ---------------------------------------------------------------

    def submit(self) -> None:
        """Send the tasks. ``AerSimulator.run`` has done this already.

        Raises:
            JobError: if they were sent before.
            VersionMismatchError: if the cluster runs other versions than this process.
            InsufficientMemoryError: if a circuit fits in no worker.
        """
        if self._thread is not None:
            raise JobError("This job set has been submitted already.")
        self._started = time.monotonic()
        if self._dispatcher.slots():
            self._prepare()
        self._thread = threading.Thread(
            target=self._drive, name=f"aer-job-{self.job_id()}", daemon=True
        )
        self._thread.start()

    def result(self, timeout: float | None = None, progress: bool = False) -> Result:
        """Wait for the Result of all circuits.

        Args:
            timeout: seconds to wait over all; None for ever. The job goes on after a timeout.
            progress: whether to show a progress bar, in a terminal or a notebook.

        Raises:
            JobTimeoutError: if the result is not there in time.
            JobCancelledError: if the job was cancelled.
            WorkerLostError: if a task was lost again and again.
            AerError: what Aer raised in a task.
        """
        return self.results(timeout, progress)[0]

    def results(self, timeout: float | None = None, progress: bool = False) -> list[Result]:
        """One Result for each batch: one of an ordinary run, several of ``run_batches``.

        Raises:
            Exception: as :meth:`result`.
        """
        self._require_submitted()
        deadline = _deadline(timeout)
        if progress:
            self._show_progress(deadline)
        self._wait(lambda: self._ended, deadline())
        return self._outcome()

    def status(self) -> JobStatus:
        """Where the job stands."""
        if self._thread is None:
            return JobStatus.INITIALIZING
        if self._cancelled:
            return JobStatus.CANCELLED
        if self._ended:
            return JobStatus.ERROR if self._error else JobStatus.DONE
        return JobStatus.RUNNING if self._tasks else JobStatus.QUEUED

    def cancel(self) -> bool:
        """Stop all tasks, running ones too. Says whether there was anything to stop."""
        self._require_submitted()
        with self._changed:
            if self._ended:
                return False
            self._cancelled = True
        self._done.put(None)
        assert self._thread is not None
        self._thread.join()
        return True

    def progress(self) -> Progress:
        """How many tasks are done, and how many there are."""
        return Progress(len(self._finished_tasks), len(self._tasks))

    def as_completed(self, timeout: float | None = None) -> Iterator[tuple[int, Result]]:
        """Results of single circuits, each as soon as all its shots are there.

        Args:
            timeout: seconds for all of them together; None for ever.

        Yields:
            The circuit's index in the result of the run, and a Result of this circuit alone.

        Raises:
            Exception: as :meth:`result`.
        """
        self._require_submitted()
        deadline = _deadline(timeout)
        for position in range(len(self._run.experiments)):
            self._wait(
                lambda position=position: self._ended or len(self._complete) > position, deadline()
            )
            if len(self._complete) <= position:
                self._outcome()  # raises what ended the job early
                return
            index = self._complete[position]
            yield index, self._run.partial([index], self.job_id())

    def plan(self) -> Plan:
        """What is sent: tasks, circuits, shots, bytes, methods.

        Raises:
            JobError: while the job waits for its first worker.
        """
        if self._plan is None:
            raise JobError("There is no plan yet: the job waits for its first worker.")
        return self._plan

    def executor(self) -> Any:
        """The executor that runs the tasks."""
        return self._run.backend._get_executor()

    def worker(self, experiment: int | str | QuantumCircuit) -> int | list[int]:
        """The index of the task that runs a circuit, or of all tasks that share its shots.

        Args:
            experiment: index in the result, name, or the circuit itself.

        Raises:
            JobError: if no such circuit is part of the job.
        """
        index = self._index_of(experiment)
        tasks = [i for i, task in enumerate(self.plan().tasks) if index in task.experiments()]
        return tasks[0] if len(tasks) == 1 else tasks

    def worker_job(self, worker: int | Iterable[int] | None = None) -> Any:
        """The :class:`TaskJob` of one task, or a list of them; None for all."""
        if isinstance(worker, int):
            return TaskJob(self, self._valid_task(worker))
        indices = range(len(self.plan().tasks)) if worker is None else worker
        return [TaskJob(self, self._valid_task(index)) for index in indices]

    def worker_results(
        self, worker: int | Iterable[int] | None = None, timeout: float | None = None
    ) -> Result | list[Result]:
        """What one task has given, or several; None for all. One deadline for them together."""
        deadline = _deadline(timeout)
        jobs = self.worker_job(worker)
        if isinstance(jobs, TaskJob):
            return jobs.result(timeout)
        return [job.result(deadline()) for job in jobs]

    def job(self, experiment: int | str | QuantumCircuit) -> Any:
        """The :class:`TaskJob` that runs a circuit, or a list where its shots are shared."""
        return self.worker_job(self.worker(experiment))

    # --- the thread that drives it -----------------------------------------------------

    def _prepare(self) -> None:
        """Plan, encode, and check the workers."""
        self._share()
        plan = self._run.planner(self._dispatcher.slots()).plan()
        self._payloads = [self._run.payload(task) for task in plan.tasks]
        self._plan = plan.with_bytes(self._payloads, self._run.shared)
        self._tasks = list(plan.tasks)

    def _share(self) -> None:
        """Check the workers, and give them what all tasks have in common."""
        memory = self._run.check_memory(self._dispatcher.memory())
        self._shared = self._dispatcher.prepare(self._run.shared, memory)

    def _drive(self) -> None:
        try:
            if not self._tasks:
                self._wait_for_workers()
            if not self._cancelled:
                self._run_tasks()
        except BaseException as error:  # noqa: BLE001 (raised by result())
            self._error = error
        finally:
            self._stop_tasks()
            with self._changed:
                self._ended = True
                self._changed.notify_all()

    def _wait_for_workers(self) -> None:
        logger.warning("Job %s waits: the cluster has no workers yet.", self.job_id())
        while not self._dispatcher.slots():
            if self._cancelled:
                return
            time.sleep(_WORKER_POLL)
        self._prepare()

    def _run_tasks(self) -> None:
        for index in range(len(self._tasks)):
            self._send(index)
        while self._futures:
            keys = self._done_keys()
            if self._cancelled:
                return
            self._take_in(keys)
        seconds = time.monotonic() - self._started
        self._results = self._run.results(self.job_id(), seconds)

    def _send(self, index: int) -> None:
        attempt = self._attempts[index] = self._attempts.get(index, 0) + 1
        key = f"aer-{self.job_id()}-{index}-{attempt}"
        future = self._dispatcher.submit(
            key, self._payloads[index], self._shared, -index, lambda _: self._done.put(key)
        )
        self._futures[key] = (index, future)

    def _done_keys(self) -> list[str]:
        """Wait for a task to be done; then all that are."""
        keys = [self._done.get()]
        while not self._done.empty():
            keys.append(self._done.get())
        return [key for key in keys if key is not None and key in self._futures]

    def _take_in(self, keys: list[str]) -> None:
        done = [self._futures.pop(key) for key in keys]
        outcomes = self._dispatcher.fetch([future for _, future in done])
        lost = []
        for (index, _), outcome in zip(done, outcomes, strict=True):
            if isinstance(outcome, BaseException):
                self._check_repeatable(index, outcome)
                lost.append(index)
            else:
                self._collect(index, outcome)
        if lost and not self._cancelled:
            self._repeat(lost)

    def _collect(self, index: int, outcome: bytes) -> None:
        task = self._tasks[index]
        misjudged = self._run.collect(task, outcome)
        known = set(self._complete)
        with self._changed:
            self._finished_tasks.add(index)
            self._complete += [
                experiment
                for experiment in task.experiments()
                if experiment not in known
                and experiment not in misjudged
                and self._run.is_complete(experiment)
            ]
            self._changed.notify_all()
        for experiment in misjudged:
            self._run_whole(experiment)

    def _run_whole(self, experiment: int) -> None:
        """Send a circuit again unsplit, once, in place of its slices that still run."""
        task = self._run.planner(1).whole(experiment)
        if task in self._tasks:
            return
        logger.warning("Circuit %d turned out not to be divisible; running it whole.", experiment)
        self._tasks.append(task)
        self._payloads.append(self._run.payload(task))
        self._send(len(self._tasks) - 1)

    def _check_repeatable(self, index: int, error: BaseException) -> None:
        if not isinstance(error, LOST):
            raise error
        if self._attempts[index] < ATTEMPTS:
            logger.warning("Task %d was lost and is sent again: %s", index, error)
            return
        circuits = self._tasks[index].experiments()
        raise WorkerLostError(
            f"Task {index} (circuits {circuits[0]} to {circuits[-1]}) was lost {ATTEMPTS} times, "
            f"the last time because: {error} Look at the workers' logs and memory; smaller tasks "
            "(max_job_size, max_shot_size) or larger workers help against lack of memory."
        ) from error

    def _repeat(self, lost: list[int]) -> None:
        self._dispatcher.recover(time.monotonic() + _RECONNECT)
        while not self._dispatcher.slots() and not self._cancelled:
            time.sleep(_WORKER_POLL)
        self._share()  # with the scheduler, that was lost too
        for index in lost:
            self._send(index)

    def _stop_tasks(self) -> None:
        if self._futures:
            self._dispatcher.cancel({key: future for key, (_, future) in self._futures.items()})
            self._futures.clear()

    # --- helpers -----------------------------------------------------------------------

    def _require_submitted(self) -> None:
        if self._thread is None:
            raise JobError("This job set has not been submitted; call submit() first.")

    def _outcome(self) -> list[Result]:
        if self._cancelled:
            raise JobCancelledError("The job was cancelled.")
        if self._error is not None:
            raise self._error
        return self._results

    def _wait(self, condition: Any, timeout: float | None) -> None:
        with self._changed:
            if self._changed.wait_for(condition, timeout):
                return
        done, total = self.progress()
        state = f"{done} of {total} tasks are done" if total else "the cluster has no workers yet"
        raise JobTimeoutError(
            f"No result after {timeout:g} s: {state}. The job goes on; ask again or cancel() it."
        )

    def _show_progress(self, deadline: Callable[[], float | None]) -> None:
        from tqdm.auto import tqdm  # looks for a notebook, which takes a while

        with tqdm(desc="tasks", unit="task", total=len(self._tasks) or None) as bar:
            while True:
                seen = bar.n
                self._wait(
                    lambda seen=seen: self._ended or len(self._finished_tasks) > seen, deadline()
                )
                bar.total = len(self._tasks)
                bar.update(len(self._finished_tasks) - bar.n)
                if self._ended:
                    return

    def _index_of(self, experiment: int | str | QuantumCircuit) -> int:
        experiments = self._run.experiments
        if isinstance(experiment, int) and 0 <= experiment < len(experiments):
            return experiment
        name = experiment.name if isinstance(experiment, QuantumCircuit) else experiment
        for index, candidate in enumerate(experiments):
            if candidate.profile.name == name:
                return index
        raise JobError(
            f"No circuit {name!r} in this job; it has {len(experiments)}, from "
            f"{experiments[0].profile.name!r} to {experiments[-1].profile.name!r}."
        )

    def _valid_task(self, index: int) -> int:
        total = len(self.plan().tasks)
        if not 0 <= index < total:
            raise JobError(f"There is no task {index}: this job has {total}, counted from 0.")
        return index


class TaskJob(JobV1):
    """One task of a job set, as a job."""

    def __init__(self, jobset: AerJobSet, index: int) -> None:
        super().__init__(jobset.backend(), f"{jobset.job_id()}-{index}")
        self._jobset, self._index = jobset, index

    def submit(self) -> None:
        """A task is sent with its job set.

        Raises:
            JobError: always.
        """
        raise JobError("This task was submitted with its job set.")

    def status(self) -> JobStatus:
        """Where the task stands; once the set has failed or is cancelled, so is its rest."""
        if self._index in self._jobset._finished_tasks:
            return JobStatus.DONE
        return self._jobset.status()

    def result(self, timeout: float | None = None) -> Result:
        """What the task gave: its circuits, or its slice of a circuit's shots.

        Args:
            timeout: seconds to wait; None for ever.

        Raises:
            Exception: as :meth:`AerJobSet.result`.
        """
        jobset = self._jobset
        jobset._wait(lambda: jobset._ended or self._index in jobset._finished_tasks, timeout)
        if self._index not in jobset._finished_tasks:
            jobset._outcome()
        return jobset._run.task_result(jobset.plan().tasks[self._index], self.job_id())

    def cancel(self) -> bool:
        """Cancel the whole job set: without one of its tasks it has no result."""
        return self._jobset.cancel()


def _deadline(timeout: float | None) -> Callable[[], float | None]:
    """A function that gives the seconds left of one overall timeout."""
    if timeout is None:
        return lambda: None
    end = time.monotonic() + timeout
    return lambda: max(0.0, end - time.monotonic())
