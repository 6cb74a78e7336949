"""Making a store smaller: what is oldest in it goes first."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from ..errors import StoreError
from .entries import Entries, JobRecord, is_tasks
from .location import Found, Store

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 7 * 86400}
_SIZES = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12,
          "ki": 2**10, "mi": 2**20, "gi": 2**30, "ti": 2**40}  # fmt: skip


@dataclass(frozen=True)
class Removed:
    """A run that was removed: its address, the bytes it took, its jobs, and when it was last used.

    ``used`` is in UTC; where no job names the run, it is when its last object was written.
    """

    address: str
    size: int
    jobs: tuple[str, ...]
    used: datetime


@dataclass
class _Stored:
    """A run as it is in a store."""

    address: str
    objects: list[Found]
    records: list[JobRecord]

    @property
    def size(self) -> int:
        return sum(each.size for each in self.objects)

    @property
    def used(self) -> datetime:
        """When a job last worked with it, or last wrote to it."""
        return max(
            [record.alive for record in self.records] or [each.changed for each in self.objects]
        )


def prune(
    store: Store | str | os.PathLike[str],
    *,
    older_than: timedelta | float | str | None = None,
    size: int | str | None = None,
) -> list[Removed]:
    """Remove the runs of a store that are old, or the oldest ones until it is small enough.

    A run is as old as its last use, which is whatever job last took results from it or added to
    it. One that a job works on is left: clients that do say so every minute, and count for ten
    minutes after they have last said it. With a run go the records of its jobs.

    Args:
        store: as for :class:`aer_dask.AerSimulator`.
        older_than: a timedelta, seconds, or words such as ``"12h"`` or ``"30d"``; runs that were
            not used since then are removed. Default None: age alone removes nothing.
        size: bytes, or words such as ``"500MB"`` or ``"10GB"``; the least recently used runs are
            removed until the others take no more. Default None: size removes nothing.

    Returns:
        What was removed, in that order.

    Raises:
        StoreError: if the store cannot be read or refuses; for ages and sizes that are none.
    """
    age, most = _age(older_than), _size(size)
    entries = Entries(Store.of(store))
    removed = []
    runs, seen = _runs(entries)
    total = sum(run.size for run in runs)
    for run in sorted(runs, key=lambda run: run.used):
        is_old = age is not None and datetime.now(UTC) - run.used > age
        is_too_much = most is not None and total > most
        if not (is_old or is_too_much) or _is_used(entries, run, seen):
            continue
        entries.store.remove(each.name for each in run.objects if is_tasks(each))
        if _is_used(entries, run, seen):  # since a moment ago, and it needs the rest
            continue
        rest = [each.name for each in run.objects if not is_tasks(each)]
        entries.store.remove([*rest, *(record.name for record in run.records)])
        total -= run.size
        ids = tuple(record.job_id for record in run.records)
        removed.append(Removed(run.address, run.size, ids, run.used))
    entries.store.tidy("jobs", f"runs/{'[0-9a-f]' * 64}")
    return removed


def _runs(entries: Entries) -> tuple[list[_Stored], set[str]]:
    """All runs of a store, and the names of the jobs that were looked at.

    Jobs of which nothing else is there are runs without objects.
    """
    objects = entries.runs()
    jobs = entries.jobs()  # after the runs: one that begins meanwhile is seen
    records: dict[str, list[JobRecord]] = {}
    for record in entries.records(jobs, all_of_them=True):
        records.setdefault(record.address, []).append(record)
    runs = [
        _Stored(address, objects.get(address, []), records.get(address, []))
        for address in dict.fromkeys([*objects, *records])
    ]
    return runs, {each.name for each in jobs}


def _is_used(entries: Entries, run: _Stored, seen: set[str]) -> bool:
    """Whether a job works with a run now, or has done so since it was looked at."""
    of_run = {record.name for record in run.records}
    jobs = [each for each in entries.jobs() if each.name in of_run or each.name not in seen]
    return any(
        record.address == run.address and (record.is_running or record.alive > run.used)
        for record in entries.records(jobs, all_of_them=True)
    )


def _age(given: timedelta | float | str | None) -> timedelta | None:
    if given is None or isinstance(given, timedelta):
        return given
    if isinstance(given, str):
        return timedelta(seconds=_number(given, _UNITS | {"": 1}, 'an age such as "12h" or "30d"'))
    return timedelta(seconds=given)


def _size(given: int | str | None) -> int | None:
    if not isinstance(given, str):
        return given
    return int(_number(given.lower().removesuffix("b"), _SIZES, 'a size such as "10GB"'))


def _number(text: str, units: dict[str, int], what: str) -> float:
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([a-z]*)\s*", text.lower())
    if not found or found[2] not in units:
        raise StoreError(f"{text!r} is not {what}.")
    return float(found[1]) * units[found[2]]
