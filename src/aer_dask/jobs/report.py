"""What a job has done, in numbers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from html import escape
from typing import Any, NamedTuple

from ..runs.run import Run
from ..worker.trace import Trace
from .driver import Driver
from .keeping import Keeping
from .record import Loss

#: Reasons of repeats that a table has room for.
_REASONS = 5


class TaskRun(NamedTuple):
    """One run of a task on a worker, as that worker measured it.

    ``began`` and ``ended`` are seconds since 1970; ``repeat`` says that an earlier run of the task
    was lost, ``lost`` that this one was. ``slots`` are tasks that the worker runs at once; 0 if
    that is not known.
    """

    task: int
    worker: str
    began: float
    ended: float
    repeat: bool = False
    lost: bool = False
    slots: int = 0


class Repeat(NamedTuple):
    """A task that had to be done again, or to be sent again at least.

    ``worker`` is who had it, "" where that is not known; ``when`` is when its run was lost, in
    seconds since 1970 and None where nobody measured it.
    """

    task: int
    why: str
    worker: str = ""
    when: float | None = None


@dataclass(frozen=True)
class JobReport:
    """What a job has done so far, or in all once it has ended. Prints as a table.

    Attributes:
        status: as :meth:`AerJobSet.status` has it, in words.
        waits_for: what the job waits for, "" if for nothing.
        circuits: rows of parameters count as circuits; ``complete`` are those whose shots are all
            there.
        shots: of all circuits together.
        tasks: how many there are, 0 until there is a plan; ``done`` are those whose output is here.
        workers: names of those that ran a task that is done or lost, in order; those of a
            ThreadPoolExecutor are its threads. Tasks in progress are not known before they end.
        seconds: from ``run`` to the end, by the clock on the client's wall.
        worker_seconds: of all runs of tasks together, lost ones included, each measured by its
            worker, from when the task began there (Dask's wait in a queue does not count) to when
            its output was there.
        busy: ``worker_seconds`` divided by the seconds from the first begin to the last end, times
            the tasks that ``workers`` run at once. None where nothing has ended, or the executor
            does not tell how many tasks a worker runs at once.
        bytes_sent: tasks as encoded, each as often as it was sent. What Dask writes around them
            is not counted.
        shared_bytes: options and noise models as encoded, which each worker is given besides.
        bytes_received: outputs as they came.
        repeats: an entry for each time that a task had to be done again, because it was lost after
            it had begun. Dask repeats the tasks of a worker that dies by itself; of these the
            scheduler says which worker it was and what it had begun there: how many by its threads
            and resources, which ones by its last heartbeat and their order.
        resent: an entry for each time that a task was sent again of which nobody knows that it had
            begun: it waited for workers that have gone, or the scheduler was lost.
        store: where results are kept; "" for nowhere.
        stored_circuits: how many circuits the store had, with all their shots.
        stored_shots: how many shots it had, of all circuits together.
        stored_pieces: how many pieces these were cut into.
        kept: how many tasks of this job are in the store now.
        not_kept: why the others are not, or why the store could not be read, in sentences; "" if
            all is well.
        runs: an entry for each run of which begin and end are known, in the order of their ends.

    Begins and ends are on one clock: of a Dask cluster it is the scheduler's, to which each worker
    corrects its own with every heartbeat, up to half the time that one takes; of a pool it is this
    machine's. How long a run took is measured by a clock that nobody sets.
    """

    status: str
    waits_for: str
    circuits: int
    complete: int
    shots: int
    tasks: int
    done: int
    workers: tuple[str, ...]
    seconds: float
    worker_seconds: float
    busy: float | None
    bytes_sent: int
    shared_bytes: int
    bytes_received: int
    repeats: tuple[Repeat, ...]
    resent: tuple[Repeat, ...]
    runs: tuple[TaskRun, ...]
    store: str = ""
    stored_circuits: int = 0
    stored_shots: int = 0
    stored_pieces: int = 0
    kept: int = 0
    not_kept: str = ""

    def __str__(self) -> str:
        return "\n".join(f"{name:<9} {value}" for name, value in self._rows())

    __repr__ = __str__

    def _repr_html_(self) -> str:
        rows = "".join(
            f'<tr><th style="text-align: left">{name}</th>'
            f'<td style="text-align: left">{escape(value)}</td></tr>'
            for name, value in self._rows()
        )
        return f"<table>{rows}</table>"

    def _rows(self) -> Iterator[tuple[str, str]]:
        yield "status", self.status + (f"; waits for: {self.waits_for}" if self.waits_for else "")
        yield "circuits", f"{self.complete:,} of {self.circuits:,}, {self.shots:,} shots in all"
        yield "tasks", f"{self.done:,} of {self.tasks:,}"
        yield "workers", f"{len(self.workers):,}"
        yield "seconds", f"{self.seconds:.3g}, and {self.worker_seconds:.3g} of all workers"
        if self.busy is not None:
            yield "busy", f"{self.busy:.0%} of the workers' time, from the first task to the last"
        yield "sent", f"{self.bytes_sent:,} bytes, and {self.shared_bytes:,} to each worker"
        yield "received", f"{self.bytes_received:,} bytes"
        yield "repeats", f"{len(self.repeats):,}"
        yield from _reasons(self.repeats, "repeats")
        if self.resent:
            yield "resent", f"{len(self.resent):,}, of which nobody knows that they had begun"
            yield from _reasons(self.resent, "resent")
        if self.store:
            there = f"{self.stored_circuits:,} circuits and {self.stored_shots:,} shots"
            yield "store", f"{there} were there, in {self.stored_pieces:,} pieces"
            yield "", self.not_kept or f"{self.kept:,} tasks are kept in {self.store}"


def _reasons(repeats: tuple[Repeat, ...], field: str) -> Iterator[tuple[str, str]]:
    """The most frequent reasons, as rows of a table."""
    reasons = Counter((repeat.worker, repeat.why) for repeat in repeats).most_common()
    for (worker, why), count in reasons[:_REASONS]:
        yield "", f"{count:,} times" * (count > 1) + f" on {worker}" * bool(worker) + f": {why}"
    if len(reasons) > _REASONS:
        yield "", f"and {len(reasons) - _REASONS} other reasons, in .{field}"


def report(run: Run, driver: Driver, status: str) -> JobReport:
    """The report of a job.

    Args:
        run: what is done.
        driver: of the job.
        status: of the job, in words.
    """
    ran, lost = list(driver.record.ran), list(driver.record.lost)
    traces = [trace for *_, trace in ran] + [loss.trace for loss in lost if loss.trace]
    with_workers = lost_with_workers(driver, lost)
    planned = len(driver.plan.tasks) if driver.plan else 0
    # the first sending of a task that may be a repeat; the executor repeats without sending again
    again = [(loss.task, loss.sending + 1) for loss in lost if loss.begun]
    again += [(loss.task, loss.sending) for loss in with_workers]
    first: dict[int, int] = {}
    for task, sending in again:
        first[task] = min(sending, first.get(task, sending))

    def is_repeat(task: int, sending: int) -> bool:
        # circuits that turned out not to be divisible are run as tasks beyond the plan
        return task >= planned or (task in first and sending >= first[task])

    runs = [
        TaskRun(i, t.worker, t.began, t.ended, is_repeat(i, n), slots=t.slots) for i, n, t in ran
    ]
    runs += [
        TaskRun(i, t.worker, t.began, t.ended, is_repeat(i, n), lost=True, slots=t.slots)
        for i, n, _, t, _ in lost
        if t
    ]
    repeats = [repeat_of(loss) for loss in lost if loss.begun]
    repeats += [
        Repeat(loss.task, "The worker was lost.", loss.worker, loss.when) for loss in with_workers
    ]
    return JobReport(
        status=status,
        waits_for="" if driver.outcome.done() else driver.outlook().waits_for,
        circuits=len(run.experiments),
        complete=len(driver.complete),
        shots=sum(experiment.shots for experiment in run.experiments),
        tasks=driver.total(),
        done=len(driver.done_tasks),
        workers=tuple(in_order(run.worker for run in runs)),
        seconds=driver.seconds(),
        worker_seconds=sum(run.ended - run.began for run in runs),
        busy=busy(traces),
        bytes_sent=driver.bytes_sent(),
        shared_bytes=len(run.shared),
        bytes_received=driver.record.received,
        repeats=tuple(repeats),
        resent=tuple(repeat_of(loss) for loss in lost if not loss.begun),
        runs=tuple(sorted(runs, key=lambda run: run.ended)),
        **_of_store(driver.keeping),
    )


def _of_store(keeping: Keeping | None) -> dict[str, Any]:
    """The fields of a report that are about a store."""
    if keeping is None:
        return {}
    return {
        "store": str(keeping.store),
        "stored_circuits": len(keeping.kept.complete),
        "stored_shots": keeping.kept.shots,
        "stored_pieces": keeping.kept.pieces,
        "kept": keeping.tasks_kept,
        "not_kept": keeping.why_not,
    }


def repeat_of(loss: Loss) -> Repeat:
    """A loss as users see it."""
    trace = loss.trace
    return Repeat(loss.task, loss.why, trace.worker if trace else "", trace and trace.ended)


def in_order(workers: Iterable[str]) -> list[str]:
    """The names, each once, numbers by what they count."""
    return sorted(set(workers), key=lambda name: (len(name), name))


class _LostWithWorker(NamedTuple):
    task: int
    sending: int
    worker: str
    when: float


def lost_with_workers(driver: Driver, lost: list[Loss]) -> list[_LostWithWorker]:
    """What the executor lost with a worker and repeated by itself.

    Once it gives a sending up, it tells the driver; that last loss is among those already.
    """
    found = [
        _LostWithWorker(*driver.sending_of(key), lost_worker.worker, lost_worker.when)
        for lost_worker in driver.lost_workers()
        for key in lost_worker.keys
    ]
    last = {(loss.task, loss.sending): loss for loss in found}
    told = {last.get((loss.task, loss.sending)) for loss in lost if loss.begun}
    return [loss for loss in found if loss not in told]


def busy(traces: list[Trace]) -> float | None:
    """The share of the workers' time in which they ran tasks."""
    slots: dict[str, int] = {}
    for trace in traces:
        slots[trace.worker] = max(trace.slots, slots.get(trace.worker, 0))
    if not slots or not all(slots.values()):
        return None
    span = max(trace.ended for trace in traces) - min(trace.began for trace in traces)
    ran = sum(trace.ended - trace.began for trace in traces)
    return min(1.0, ran / (span * sum(slots.values()))) if span > 0 else None
