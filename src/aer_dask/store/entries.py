"""What is in a store, and under which names.

* ``runs/<address>/request``: all that decides the bits of a run, whose digest is the address
* ``runs/<address>/labels-<digest>``: names, headers and metadata of its circuits
* ``runs/<address>/tasks-<digest>``: what one task has given, or several
* ``jobs/<time>-<job id>``: which run a job is of, and how it has ended
"""

from __future__ import annotations

import hashlib
import logging
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, fields, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from ..burst import burst
from ..errors import StoreError
from . import format as form
from .format import Buffer, FormatError
from .location import Found, Store, reason

logger = logging.getLogger(__name__)

#: How often whoever works on a job says so, and after how long without that nobody does.
ALIVE, GONE = timedelta(minutes=1), timedelta(minutes=10)
_TIME = "%Y%m%dT%H%M%S.%fZ"
_TASKS, _LABELS, _REQUEST = "tasks-", "labels-", "request"
#: Names of objects that are ours; whatever else is in the place of a store is left alone.
_IN_RUN = re.compile(r"runs/([0-9a-f]{64})/(request|(?:labels|tasks)-[0-9a-f]{16})")
_JOB = re.compile(r"jobs/\d{8}T\d{6}\.\d{6}Z-[^/]+")
_ADDRESS, _DIGEST = re.compile(r"[0-9a-f]{64}"), re.compile(r"[0-9a-f]{16}")
#: Bytes of a record, decompressed, and letters of why a job has ended.
_MOST_OF_RECORD, _MOST_WHY = 2**16, 2000

#: Start, stop, first shot, shots, part and parts of a piece, and the controller's output of it.
Piece = tuple[int, int, int, int, int, int]


@dataclass(frozen=True)
class JobRecord:
    """What a store knows of a job.

    Attributes:
        job_id: as the job had it.
        address: of its run.
        created: when it was first started, in UTC.
        alive: when a client that works on it last said so.
        ended: how it has ended: ``"done"``, ``"cancelled"`` or ``"error"``; ``""`` while it runs,
            or where its client died.
        why: what ended it early.
        labels: digest of the names, headers and metadata of its circuits.
        circuits: how many results it has; rows of parameters count as circuits.
        shots: of all of them together.
        backend: name and version, as results bear them.
        versions: of the packages that client and workers had.
    """

    job_id: str
    address: str
    created: datetime
    alive: datetime
    ended: str
    why: str
    labels: str
    circuits: int
    shots: int
    backend: tuple[str, str]
    versions: dict[str, str | None]

    @property
    def is_running(self) -> bool:
        """Whether a client works on it, as far as is known: it has said so within ten minutes."""
        return not self.ended and datetime.now(UTC) - self.alive < GONE

    @property
    def name(self) -> str:
        """Of its object."""
        return f"jobs/{self.created.strftime(_TIME)}-{self.job_id}"

    def alive_now(self, **changes: Any) -> JobRecord:
        """The record with the time of now, and other changes."""
        return replace(self, alive=datetime.now(UTC), **changes)


class Entries:
    """The entries of a store.

    Args:
        store: where they are.
    """

    def __init__(self, store: Store) -> None:
        self.store = store

    def in_run(self, address: str) -> list[Found]:
        """The objects of a run.

        Raises:
            StoreError: if the store cannot be read.
        """
        return [each for each in self.store.list(f"runs/{address}") if _IN_RUN.fullmatch(each.name)]

    def runs(self) -> dict[str, list[Found]]:
        """The objects of all runs, by address.

        Raises:
            StoreError: as :meth:`in_run`.
        """
        runs: dict[str, list[Found]] = {}
        for each in self.store.list("runs"):
            if ours := _IN_RUN.fullmatch(each.name):
                runs.setdefault(ours[1], []).append(each)
        return runs

    def tasks(
        self,
        address: str,
        found: list[Found],
        most: int | None = None,
        tell: Callable[[str], None] = logger.warning,
    ) -> Iterator[tuple[Piece, Any]]:
        """The pieces of a run that are among its objects, with the output of each.

        An object that is cut off, changed, or of another run is named in the log, and removed.

        Args:
            address: of the run.
            found: its objects.
            most: bytes that one of them may hold, decompressed; None for any number.
            tell: is told which of them cannot be read, and why.

        Raises:
            StoreError: as :meth:`in_run`.
        """
        objects = [each for each in found if is_tasks(each)]
        for name, data in self.store.read(objects):
            if isinstance(data, FileNotFoundError):
                continue  # it was pruned meanwhile
            if isinstance(data, Exception):
                tell(f"{name} in {self.store} cannot be read: {reason(data)}")
                continue
            try:
                with burst():
                    value = form.decode(data, most)
                yield from _pieces(value, address)
            except FormatError as error:
                self._discard(name, data, error)

    def request(self, address: str) -> Any:
        """All that decides the bits of a run.

        Raises:
            StoreError: if it is not there, or not what it was.
        """
        parts = self._parts(f"runs/{address}/{_REQUEST}")
        if form.digest(parts) != address:
            raise StoreError(f"runs/{address} in {self.store} was changed: run the circuits anew.")
        return _value(parts)

    def labels(self, record: JobRecord) -> Any:
        """The names, headers and metadata of a job's circuits.

        Raises:
            StoreError: as :meth:`request`.
        """
        parts = self._parts(f"runs/{record.address}/{_LABELS}{record.labels}")
        if form.digest(parts)[:16] != record.labels:
            raise StoreError(f"The labels of job {record.job_id} in {self.store} were changed.")
        return _value(parts)

    def jobs(self) -> list[Found]:
        """The objects of all jobs, newest first.

        Raises:
            StoreError: as :meth:`in_run`.
        """
        return [each for each in self.store.list("jobs")[::-1] if _JOB.fullmatch(each.name)]

    def records(self, found: Sequence[Found], *, all_of_them: bool = False) -> list[JobRecord]:
        """What is known of jobs; one whose record is damaged is named in the log, and left out.

        Args:
            found: the objects of the jobs.
            all_of_them: whether to raise instead of leaving one out.

        Raises:
            StoreError: as :meth:`in_run`.
        """
        records = []
        for name, data in self.store.read(found):
            if isinstance(data, FileNotFoundError):
                continue  # it was pruned meanwhile
            try:
                if isinstance(data, Exception):
                    raise FormatError(f"it cannot be read: {reason(data)}")
                records.append(_record(form.decode(data, _MOST_OF_RECORD), name))
            except FormatError as error:
                what = f"{name} in {self.store} is no job that could be used: {error}"
                if all_of_them:
                    raise StoreError(
                        f"{what.rstrip('.')}. Its run may be in use. Mend or remove that object."
                    ) from error
                logger.warning("%s", what)
        return records

    def record(self, job_id: str) -> JobRecord:
        """What is known of a job.

        Raises:
            StoreError: if there is none of this name.
        """
        found = [each for each in self.jobs() if each.name.endswith(f"Z-{job_id}")]
        records = self.records(found) if job_id else []
        if not records:
            raise StoreError(f"There is no job {job_id!r} in {self.store}.")
        return records[0]

    def _parts(self, name: str) -> list[Buffer]:
        found = [each for each in self.in_run(name.split("/")[1]) if each.name == name]
        for _, data in self.store.read(found):
            return self._opened(name, data)
        raise StoreError(f"{name} is not in {self.store}.")

    def _opened(self, name: str, data: Buffer | Exception) -> list[Buffer]:
        try:
            if isinstance(data, Exception):
                raise StoreError(f"{name} in {self.store} cannot be read: {reason(data)}") from data
            return form.opened(data)
        except FormatError as error:
            raise StoreError(f"{name} in {self.store} cannot be used: {error}.") from error

    def _discard(self, name: str, data: Buffer, error: FormatError) -> None:
        digest = hashlib.sha256(data).hexdigest()
        logger.warning(
            "%s in %s (SHA-256 %s) is not used: %s. What it should hold is computed anew.",
            name, self.store, digest, error,
        )  # fmt: skip
        try:
            self.store.remove([name])
        except StoreError as problem:
            logger.info("%s", problem)


def request_object(parts: list[Buffer]) -> tuple[str, str, list[Buffer]]:
    """The address of a run, and name and content of the object of what decides its bits."""
    address = form.digest(parts)
    return address, f"runs/{address}/{_REQUEST}", form.sealed(parts)


def labels_object(address: str, parts: list[Buffer]) -> tuple[str, str, list[Buffer]]:
    """The digest of labels, and name and content of their object."""
    digest = form.digest(parts)[:16]
    return digest, f"runs/{address}/{_LABELS}{digest}", form.sealed(parts)


def tasks_object(address: str, pieces: Sequence[tuple[Piece, Any]]) -> tuple[str, list[Buffer]]:
    """Name and content of the object of some tasks.

    The name follows from the pieces and from which results of theirs are any good, so that the same
    ones take each other's place, and no worse ones that of better ones.
    """
    cut = [list(piece) for piece, _ in pieces]
    good = [[bool(result["success"]) for result in output["results"]] for _, output in pieces]
    digest = hashlib.sha256(repr((cut, good)).encode()).hexdigest()[:16]
    value = {"address": address, "pieces": cut, "outputs": [output for _, output in pieces]}
    return f"runs/{address}/{_TASKS}{digest}", form.encode(value)


def record_object(record: JobRecord) -> tuple[str, list[Buffer]]:
    """Name and content of the object of a job."""
    plain = asdict(replace(record, why=record.why[:_MOST_WHY]))
    for moment in ("created", "alive"):
        plain[moment] = plain[moment].strftime(_TIME)
    return record.name, form.encode(plain)


def _pieces(value: Any, address: str) -> Iterator[tuple[Piece, Any]]:
    if not isinstance(value, dict) or value.get("address") != address:
        raise FormatError("it is of another run")
    cut, outputs = value.get("pieces"), value.get("outputs")
    if not isinstance(cut, list) or not isinstance(outputs, list) or len(cut) != len(outputs):
        raise FormatError("it has no pieces")
    for piece in cut:
        if not isinstance(piece, list) or [type(number) for number in piece] != [int] * 6:
            raise FormatError("a piece in it is none")
    yield from zip(map(tuple, cut), outputs, strict=True)


def _record(value: Any, name: str) -> JobRecord:
    try:
        moments = {
            key: datetime.strptime(value[key], _TIME).replace(tzinfo=UTC)
            for key in ("created", "alive")
        }
        kinds = {"circuits": int, "shots": int, "backend": tuple, "versions": dict}
        for each in fields(JobRecord):
            if each.name not in moments and type(value[each.name]) is not kinds.get(each.name, str):
                raise FormatError(f"its {each.name} is none")
        if not (_ADDRESS.fullmatch(value["address"]) and _DIGEST.fullmatch(value["labels"])):
            raise FormatError("its run or its labels have no such name")
        record = JobRecord(**{**value, **moments})
    except (TypeError, KeyError, ValueError) as error:
        raise FormatError(f"it is no record: {error}") from error
    if record.name != name:
        raise FormatError("it is of another job")
    return record


def _value(parts: list[Buffer]) -> Any:
    try:
        return form.value_of(parts)
    except FormatError as error:
        raise StoreError(f"What the store holds cannot be read: {error}.") from error


def is_tasks(found: Found) -> bool:
    """Whether an object of a run holds what tasks have given."""
    return found.name.rpartition("/")[2].startswith(_TASKS)
