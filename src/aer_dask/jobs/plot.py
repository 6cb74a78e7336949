"""A picture of a job: who ran what, and when."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from .report import JobReport, TaskRun, in_order

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_IDLE = "#e6e6e6"
_TASK, _REPEAT, _LOST = ("task", "#3b6ea8"), ("repeated task", "#e08a1e"), ("lost run", "#b5262b")
#: The part of a row that is filled.
_HEIGHT = 0.8


def plot(report: JobReport, ax: Axes | None = None) -> Axes:
    """Draw a report, one row a worker.

    Args:
        report: of the job.
        ax: where to; default a new figure.

    Raises:
        ImportError: if there is no matplotlib.
    """
    lost = {run.ended for run in report.runs if run.lost}
    # a worker that was lost with its tasks told nobody when they began
    ends = [repeat for repeat in report.repeats if repeat.when not in {None, *lost}]
    workers = in_order({*report.workers, *(repeat.worker for repeat in ends)})
    ax = _new_axes(len(workers)) if ax is None else ax
    # without any run that is known, from the first worker that was lost
    known = [run.began for run in report.runs] or [repeat.when for repeat in ends if repeat.when]
    start = min(known, default=0.0)
    duration = max((run.ended - start for run in report.runs), default=0.0)
    ax.barh(range(len(workers)), duration, _HEIGHT, color=_IDLE, label="idle", zorder=0)
    for row, worker in enumerate(workers):
        mine = [run for run in report.runs if run.worker == worker]
        for (label, colour), low, height, spans in _bars(mine, start):
            ax.broken_barh(spans, (row + low, height), facecolors=colour, edgecolors="white",
                           linewidth=0.5, label=label)  # fmt: skip
        when = [repeat.when - start for repeat in ends if repeat.worker == worker and repeat.when]
        if when:
            ax.plot(when, [row] * len(when), "x", color=_LOST[1], markersize=9,
                    markeredgewidth=2.5, label="worker lost with its task")  # fmt: skip
    ax.set_yticks(range(len(workers)), workers)
    ax.invert_yaxis()
    since = "the first task began" if report.runs else "a worker was lost first"
    ax.set_xlabel(f"seconds since {since}")
    ax.set_ylabel("worker")
    handles, labels = ax.get_legend_handles_labels()
    once = dict(zip(labels, handles, strict=True))
    ax.legend(once.values(), once.keys(), loc="lower center", bbox_to_anchor=(0.5, 1.0),
              ncols=len(once), frameon=False)  # fmt: skip
    return ax


def _new_axes(rows: int) -> Axes:
    try:
        from matplotlib import pyplot
    except ImportError as error:
        raise ImportError(
            'plot() draws with matplotlib, which is not installed: pip install "aer-dask[notebook]"'
            " or pip install matplotlib."
        ) from error
    height = min(1.6 + 0.35 * rows, 20.0)
    return pyplot.subplots(figsize=(9.0, height), layout="constrained")[1]


def _bars(
    runs: Sequence[TaskRun], start: float
) -> Iterator[tuple[tuple[str, str], float, float, list[tuple[float, float]]]]:
    """Label and colour, lower edge and height within the row, and (begin, length) of each bar."""
    spans = defaultdict(list)
    lanes: list[float] = []  # when the last run in each ended, where a worker runs several at once
    for run in sorted(runs, key=lambda run: run.began):
        free = [i for i, end in enumerate(lanes) if end <= run.began]
        lane = free[0] if free else len(lanes)
        if lane == run.slots > 0:  # where clocks were corrected meanwhile
            lane = lanes.index(min(lanes))
        lanes[lane : lane + 1] = [run.ended]
        kind = _LOST if run.lost else _REPEAT if run.repeat else _TASK
        spans[kind, lane].append((run.began - start, run.ended - run.began))
    height = _HEIGHT / max(len(lanes), 1)
    for (kind, lane), bars in spans.items():
        yield kind, lane * height - _HEIGHT / 2, height, bars
