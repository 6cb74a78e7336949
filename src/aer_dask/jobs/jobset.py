"""The job that ``run`` returns, as users see it; :mod:`aer_dask.jobs.driver` does its work."""

from __future__ import annotations

import contextlib
import logging
import uuid
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

from qiskit import QuantumCircuit
from qiskit.providers import JobError, JobStatus, JobV1
from qiskit.result import Result

from ..executors.base import Dispatcher
from ..runs.plan import Plan
from ..runs.run import Run
from ..store.entries import JobRecord
from . import progress as progress_bar
from . import report as reports
from .driver import Driver, Timeout
from .errors import JobCancelledError
from .keeping import Keeping
from .plot import plot
from .report import JobReport

if TYPE_CHECKING:
    from matplotlib.axes import Axes

logger = logging.getLogger(__name__)


class Progress(NamedTuple):
    """How many tasks are done, of how many; ``total`` is 0 until there is a plan."""

    done: int
    total: int


class AerJobSet(JobV1):
    """A run that is spread over an executor.

    What ``AerSimulator.run`` returns when it has an executor; nobody makes one by hand. ``worker``
    in the names of some methods is the word of Qiskit Aer 0.9 to 0.14, where it meant the index of
    a task.
    """

    def __init__(
        self,
        run: Run,
        dispatcher: Dispatcher,
        executor: Any,
        resumed: JobRecord | None = None,
    ) -> None:
        super().__init__(run.backend, resumed.job_id if resumed else str(uuid.uuid4()))
        self._run, self._executor = run, executor
        store = run.options.store
        keeping = Keeping(run, store, self.job_id(), resumed) if store else None
        self._driver = Driver(run, dispatcher, self.job_id(), keeping)
        self._submitted = False
        self._interrupts = 0

    def submit(self) -> None:
        """Send the tasks. ``AerSimulator.run`` has done this already.

        Raises:
            JobError: if they were sent before.
            VersionMismatchError: if the cluster runs other versions than this process.
            InsufficientMemoryError: if a circuit fits in no worker.
        """
        if self._submitted:
            raise JobError("This job set has been submitted already.")
        self._driver.start()
        self._submitted = True

    def result(self, timeout: float | None = None, progress: bool = False) -> Result:
        """Wait for the Result of all circuits.

        Ctrl-C, or the stop button of a notebook, ends the waiting and not the job, and says so:
        `result()` may be called again. The second one that meets this job cancels it. Both raise
        KeyboardInterrupt, and where that ends Python, the job ends as well.

        Args:
            timeout: seconds to wait over all; None for ever. The job goes on after a timeout.
            progress: whether to show a progress bar, in a terminal a line and in a notebook a
                widget: tasks that are done, time taken and left, workers, and what the job waits
                for if none of its tasks runs.

        Raises:
            KeyboardInterrupt: at Ctrl-C.
            JobTimeoutError: if the result is not there in time.
            JobCancelledError: if the job was cancelled.
            WorkerLostError: if a task was lost again and again.
            InsufficientMemoryError: if a task was killed for lack of memory on the largest worker.
            ExecutorError: if the executor was closed or broke, or the scheduler stayed away.
            AerError: what Aer raised in a task.
        """
        return self.results(timeout, progress)[0]

    def results(self, timeout: float | None = None, progress: bool = False) -> list[Result]:
        """One Result for each batch: one of an ordinary run, several of ``run_batches``.

        Args:
            timeout: seconds to wait over all, as for :meth:`result`; None for ever.
            progress: whether to show a progress bar.

        Raises:
            Exception: as :meth:`result`.
        """
        self._require_submitted()
        limit = Timeout(timeout)
        with self.interruptible():
            if progress:
                progress_bar.show(self._driver, limit)
            self._driver.wait(lambda: False, limit)
        return self._driver.outcome.result()

    def status(self) -> JobStatus:
        """Where the job stands."""
        if not self._submitted:
            return JobStatus.INITIALIZING
        if not self._driver.outcome.done():
            return JobStatus.QUEUED if self._driver.plan is None else JobStatus.RUNNING
        error = self._driver.outcome.exception()
        if isinstance(error, JobCancelledError):
            return JobStatus.CANCELLED
        return JobStatus.DONE if error is None else JobStatus.ERROR

    def cancel(self) -> bool:
        """Stop all tasks, running ones too. Says whether there was anything to stop.

        Of an executor that is neither Dask's nor a pool of ``concurrent.futures``, tasks that run
        already come to their end.
        """
        self._require_submitted()
        return self._driver.cancel()

    def progress(self) -> Progress:
        """How many tasks are done, and how many there are."""
        return Progress(len(self._driver.done_tasks), self._driver.total())

    def attempts(self) -> list[int]:
        """How often each task was sent: once, unless it was lost."""
        return list(self._driver.sendings)

    def report(self) -> JobReport:
        """What the job has done so far, or in all: a table, and numbers in its fields."""
        self._require_submitted()
        return reports.report(self._run, self._driver, self.status().name.lower())

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw who ran what and when, with matplotlib: one row a worker.

        Idle time is grey; tasks that were repeated, and runs that were lost, have colours of their
        own. Tasks that run now are not in it: when they began is known once they have ended.

        Args:
            ax: the Axes to draw on; default those of a new figure.

        Returns:
            The Axes.

        Raises:
            ImportError: if matplotlib is not installed.
        """
        return plot(self.report(), ax)

    @contextlib.contextmanager
    def interruptible(self) -> Iterator[None]:
        """Around what waits for this job: the first Ctrl-C ends the waiting, the second the job."""
        try:
            yield
        except KeyboardInterrupt:
            self._interrupts += 1
            if self._interrupts == 1:
                logger.warning(
                    "Job %s goes on, as long as this Python does: result() waits for it again; "
                    "cancel() ends it, and so does a second Ctrl-C while you wait for it.",
                    self.job_id(),
                )
            elif self._driver.cancel():
                logger.warning("Job %s is cancelled.", self.job_id())
            raise

    def as_completed(self, timeout: float | None = None) -> Iterator[tuple[int, Result]]:
        """Results of single circuits, each as soon as all its shots are there.

        Args:
            timeout: seconds for all of them together; None for ever.

        Yields:
            The circuit's index in the result of the run, and a Result of this circuit alone.

        Raises:
            Exception: as :meth:`result`; JobError if Aer could not load a circuit, and with it the
                whole run.
        """
        self._require_submitted()
        driver, limit = self._driver, Timeout(timeout)
        for position in range(len(self._run.experiments)):
            with self.interruptible():
                driver.wait(lambda position=position: len(driver.complete) > position, limit)
            if len(driver.complete) <= position:
                # raises what ended the job early
                raise JobError(driver.outcome.result()[0].status)
            index = driver.complete[position]
            yield index, driver.partial(index)

    def plan(self) -> Plan:
        """What is sent: tasks, circuits, shots, bytes, methods.

        Raises:
            JobError: while the job waits for its first worker.
        """
        if self._driver.plan is None:
            raise JobError("There is no plan yet: the job waits for its first worker.")
        return self._driver.plan

    def executor(self) -> Any:
        """The executor that runs the tasks, as it was given."""
        return self._executor

    def worker(self, experiment: int | str | QuantumCircuit) -> int | list[int]:
        """The index of the task that runs a circuit, or of all tasks that share its shots.

        Args:
            experiment: index in the result, name, or the circuit itself.

        Raises:
            JobError: if no such circuit is part of the job, or all of it came from the store.
        """
        index = self._index_of(experiment)
        tasks = [i for i, task in enumerate(self.plan().tasks) if index in task.experiments()]
        if not tasks:
            raise JobError(f"No task runs circuit {index}: its result came from the store.")
        return tasks[0] if len(tasks) == 1 else tasks

    def worker_job(self, worker: int | Iterable[int] | None = None) -> Any:
        """The :class:`TaskJob` of one task, or a list of them.

        Args:
            worker: index of a task, or several of them. Default None: all.

        Raises:
            JobError: if there is no such task, or no plan yet.
        """
        if isinstance(worker, int):
            return TaskJob(self, self._driver, self._valid_task(worker))
        indices = range(len(self.plan().tasks)) if worker is None else worker
        return [TaskJob(self, self._driver, self._valid_task(index)) for index in indices]

    def worker_results(
        self, worker: int | Iterable[int] | None = None, timeout: float | None = None
    ) -> Result | list[Result]:
        """What one task has given, or a list of what several have.

        Args:
            worker: index of a task, or several of them. Default None: all.
            timeout: seconds for all of them together; None for ever.

        Raises:
            Exception: as :meth:`TaskJob.result`; JobError if there is no such task, or no plan yet.
        """
        limit = Timeout(timeout)
        jobs = self.worker_job(worker)
        if isinstance(jobs, TaskJob):
            return jobs.result(timeout)
        return [job._result(limit) for job in jobs]

    def job(self, experiment: int | str | QuantumCircuit) -> Any:
        """The :class:`TaskJob` that runs a circuit, or a list where its shots are shared.

        Args:
            experiment: index in the result, name, or the circuit itself.

        Raises:
            JobError: as :meth:`worker`.
        """
        return self.worker_job(self.worker(experiment))

    def _require_submitted(self) -> None:
        if not self._submitted:
            raise JobError("This job set has not been submitted; call submit() first.")

    def _index_of(self, experiment: int | str | QuantumCircuit) -> int:
        if isinstance(experiment, int) and 0 <= experiment < len(self._run.experiments):
            return experiment
        names = self._run.names()
        name = experiment.name if isinstance(experiment, QuantumCircuit) else experiment
        if name in names:
            return names.index(name)
        raise JobError(
            f"No circuit {name!r} in this job; it has {len(names)}, from {names[0]!r} to "
            f"{names[-1]!r}."
        )

    def _valid_task(self, index: int) -> int:
        total = len(self.plan().tasks)
        if not 0 <= index < total:
            raise JobError(f"There is no task {index}: this job has {total}, counted from 0.")
        return index


class TaskJob(JobV1):
    """One task of a job set, as a job."""

    def __init__(self, jobset: AerJobSet, driver: Driver, index: int) -> None:
        super().__init__(jobset.backend(), f"{jobset.job_id()}-{index}")
        self._jobset, self._driver, self._index = jobset, driver, index

    def submit(self) -> None:
        """A task is sent with its job set.

        Raises:
            JobError: always.
        """
        raise JobError("This task was submitted with its job set.")

    def status(self) -> JobStatus:
        """Where the task stands; once the set has failed or is cancelled, so is its rest."""
        return JobStatus.DONE if self._is_done() else self._jobset.status()

    def result(self, timeout: float | None = None) -> Result:
        """What the task gave: its circuits, or its slice of a circuit's shots.

        Args:
            timeout: seconds to wait; None for ever.

        Raises:
            Exception: as :meth:`AerJobSet.result`.
        """
        return self._result(Timeout(timeout))

    def _result(self, limit: Timeout) -> Result:
        """As :meth:`result`, with a timeout that has begun before."""
        with self._jobset.interruptible():
            self._driver.wait(self._is_done, limit)
        if not self._is_done():
            self._driver.outcome.result()
        return self._driver.task_result(self._index, self.job_id())

    def cancel(self) -> bool:
        """Cancel the whole job set: without one of its tasks it has no result."""
        return self._jobset.cancel()

    def _is_done(self) -> bool:
        return self._index in self._driver.done_tasks
