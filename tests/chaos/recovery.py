"""What a fault has cost, read from what the clients have said."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from .clients import Line
from .load import TASKS
from .schedule import Kind

#: Seconds within which an output is in a store, and within which a client that was ended with its
#: node says, after the fault, that it has started again.
_KEPT, _STARTED = 2.0, 60.0


@dataclass
class Fault:
    """A fault that was done, and what it cost. Times are in seconds since 1970.

    Attributes:
        kind: of it.
        began: when.
        hit: whom or what, in words.
        goes_on: seconds from its beginning until every client had an output of a task that has
            begun since; None if it never came.
        whole: seconds until all pods were ready again.
        repeated: how many tasks had begun and were lost.
        again: seconds until the last one of these had begun again, where that is known.
        resent: how many were sent again of which nobody knows that they had begun.
        done: tasks whose outputs a client had had for two seconds when it was killed.
        kept: of these, what its store had of them when it was started again. What is missing then
            may be cut into other tasks than before, so these tell nothing.
        why: the reasons of `repeated` and `resent`, and how often.
        ended: when it was recovered from, or given up.
        trouble: sentences about what must not be.
    """

    kind: Kind
    began: float
    hit: str = ""
    goes_on: float | None = None
    whole: float | None = None
    repeated: int = 0
    again: float | None = None
    resent: int = 0
    done: int = 0
    kept: int = 0
    why: Counter[str] = field(default_factory=Counter)
    ended: float = 0.0
    trouble: list[str] = field(default_factory=list)


def goes_on(lines: Sequence[Line], since: float) -> float | None:
    """When the first output came of a task that has begun since then; None if none has come."""
    return next(
        (line["at"] for line in lines if line["what"] == "ran" and line["began"] > since), None
    )


def count(fault: Fault, lines: Sequence[Line]) -> None:
    """Add to a fault what one client has repeated because of it: what was lost meanwhile."""
    lost: set[tuple[str, int]] = set()  # tasks, by the job's beginning
    jobs: dict[str, list[Line]] = {}  # what each process has said of the job that it is at
    for line in lines:
        process = line["process"]
        if line["what"] == "begun":
            jobs[process] = []
        elif line["what"] == "ended":
            del jobs[process]
        job = jobs.setdefault(process, [])
        job.append(line)
        task = (process, line.get("task", 0))
        if line["what"] == "lost" and fault.began <= line["at"] < fault.ended:
            fault.why[line["why"]] += 1
            if line["begun"]:
                fault.repeated += 1
                lost.add(task)
            else:
                fault.resent += 1
        elif line["what"] == "ran" and task in lost and line["began"] > fault.began:
            lost.remove(task)
            fault.again = max(fault.again or 0.0, line["began"] - fault.began)
    if fault.kind.name == "client killed":
        for process, job in jobs.items():
            if job and -5 < job[-1]["at"] - fault.began < 1:  # what it was at when it died
                count_kept(fault, job, [line for line in lines if line["process"] != process])


def count_kept(fault: Fault, job: Sequence[Line], others: Sequence[Line]) -> None:
    """Add what a client had done of the job at which it was killed, and what was kept of that.

    Args:
        fault: that killed it.
        job: what it had said of that job.
        others: what its other processes have said, of which the next one goes on with the job.
    """
    done = sum(line["what"] == "ran" and line["at"] < fault.began - _KEPT for line in job)
    fault.done += done
    ended = (line for line in others if line["what"] == "ended" and line["at"] > fault.began)
    if first := next(ended, None):
        fault.kept += min(done, round(TASKS * first["stored"]))  # it has later ones, too


def died(client: str, lines: Sequence[Line], faults: Sequence[Fault]) -> list[str]:
    """The processes of a client that ended though no fault has ended them, in sentences."""
    starts = [line["at"] for line in lines if line["what"] == "started"]
    return [
        f"The client {client} ended by itself, before it was started again at {at:.0f}."
        for at in starts[1:]
        if not any(
            ends(fault, client) and fault.began - 1 < at < fault.ended + _STARTED
            for fault in faults
        )
    ]


def ends(fault: Fault, client: str) -> bool:
    """Whether a fault may end a client: as the one that it hits, or with the node of its pod."""
    if fault.kind.name == "client killed":
        return fault.hit == client
    return client == "inside" and fault.kind.name in ("node drained", "node lost")


def as_json(fault: Fault) -> dict[str, Any]:
    """A fault for build/chaos.json."""
    return {**vars(fault), "kind": str(fault.kind), "bound": fault.kind.bound}
