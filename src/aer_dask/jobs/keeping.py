"""What a job has to do with the store of its backend: what is there, and what it adds."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

from ..compile import codec
from ..executors.base import Output
from ..runs.kept import Kept
from ..runs.plan import Piece, Task
from ..runs.request import labels_of, request_of
from ..runs.run import Run
from ..store.entries import Entries, JobRecord, labels_object, request_object
from ..store.entries import Piece as Span
from ..store.keeper import Keeper
from ..store.location import Found, Store, reason
from ..versions import installed

logger = logging.getLogger(__name__)

#: Seconds that a job that was stopped waits for what is not written yet.
_STOPPED = 5.0
#: Bytes of a result's metadata, of that of a slice of shots, and of all slices in an object.
_RESULT, _SLICE, _SLICES = 2**20, 2**12, 2**25


class Keeping:
    """A job's part of a store.

    Args:
        run: of the job.
        store: where its results are kept.
        job_id: of the job.
        resumed: what the store knew of the job, if it is resumed.
    """

    def __init__(
        self, run: Run, store: Store, job_id: str, resumed: JobRecord | None = None
    ) -> None:
        self.store = store
        #: What is there from before.
        self.kept = Kept(run.planner(1))
        self._run, self._job_id, self._resumed = run, job_id, resumed
        self._keeper: Keeper | None = None
        self._why_not = ""

    @property
    def tasks_kept(self) -> int:
        """How many tasks of this job are in the store."""
        return self._keeper.kept if self._keeper else 0

    @property
    def why_not(self) -> str:
        """Why something is not kept or could not be taken from the store; "" where all is well."""
        return " ".join(filter(None, [self._why_not, self._keeper.why_not if self._keeper else ""]))

    def begin(self) -> None:
        """Look up what is there, once all circuits are compiled, and be ready to add to it.

        A store that does not answer is waited for, 15 seconds for the names of what is there; then
        the job does without.
        """
        try:
            address, name, content = request_object(request_of(self._run))
            labels, labels_name, labels_content = labels_object(address, labels_of(self._run))
        except Exception as error:  # noqa: BLE001 (of a user's circuits, which can run)
            why = reason(error)
            self._warn(f"The results of job {self._job_id} are not kept in {self.store}: {why}")
            return
        # written even if they are there: they may be damaged, or about to be pruned
        first = [(name, content), (labels_name, labels_content)]
        self._keeper = Keeper(self.store, self._record(address, labels), first)
        self._keeper.start()  # before others are read: the job says that it uses the run
        try:
            entries = Entries(self.store)
            found = entries.in_run(address)
            self.kept = kept_of(self._run, entries, address, found, tell=self._warn)
        except Exception as error:  # noqa: BLE001 (whatever is in the store)
            self._warn(f"{reason(error)} What is there is computed anew.")
        self._run.missing = self.kept.missing

    def keep(self, task: Task, output: Output) -> None:
        """Have the output of a task written; failed circuits are not kept."""
        if self._keeper is None:
            return

        def pieces() -> Iterator[tuple[Span, Any]]:
            for piece, decoded in zip(task.pieces, codec.decode_all(output.data), strict=True):
                if any(result["success"] for result in decoded["results"]):
                    yield _span(piece), decoded

        self._keeper.keep(output.size, pieces)

    def end(self, how: str, why: str = "", *, stopped: bool = False) -> None:
        """Write what is not written yet, for 30 seconds at the most; for 5 if the job was stopped.

        A job that was done once stays so, even if it could not be resumed.

        Args:
            how: the job has ended, as the store has it.
            why: it has, if early.
            stopped: whether somebody waits for it to end.
        """
        if how == "error" and self._resumed and self._resumed.ended == "done":
            how, why = "done", ""
        if self._keeper is not None:
            patience = {"patience": _STOPPED} if stopped else {}
            self._keeper.end(how, why, **patience)

    def _record(self, address: str, labels: str) -> JobRecord:
        backend, now = self._run.backend, datetime.now(UTC)
        return JobRecord(
            job_id=self._job_id,
            address=address,
            created=self._resumed.created if self._resumed else now,
            alive=now,
            ended="",
            why="",
            labels=labels,
            circuits=len(self._run.experiments),
            shots=sum(experiment.shots for experiment in self._run.experiments),
            backend=(str(backend.name), str(backend.configuration().backend_version)),
            versions=installed(),
        )

    def _warn(self, sentence: str) -> None:
        self._why_not = self._why_not or sentence
        logger.warning("%s", sentence)


def kept_of(
    run: Run,
    entries: Entries,
    address: str,
    found: list[Found],
    tell: Callable[[str], None] = logger.warning,
    *,
    data: bool = True,
) -> Kept:
    """What is there of a run, among these objects of a store.

    Args:
        run: of this address.
        entries: of the store.
        address: of the run.
        found: its objects.
        tell: as :meth:`Entries.tasks` has it.
        data: whether results are wanted with their data, or only to be counted.

    Raises:
        StoreError: if the store cannot be read.
    """
    pieces = (
        (_piece(span), output if data else _without_data(output))
        for span, output in entries.tasks(address, found, _most_bytes(run), tell)
    )
    return Kept(run.planner(1), pieces)


def _most_bytes(run: Run) -> int | None:
    """What an object of a run may hold: many times what is predicted, and never less than it does.

    Each slice of shots has metadata of its own, but few are in one object. Nothing is predicted of
    matrix product states.
    """
    if any(each.prediction.method == "matrix_product_state" for each in run.experiments):
        return None
    return sum(
        _RESULT + min(each.shots * _SLICE, _SLICES) + 256 * each.memory.output(each.shots)
        for each in run.experiments
    )


def _without_data(output: Any) -> Any:
    try:
        return {**output, "results": [{**each, "data": {}} for each in output["results"]]}
    except (TypeError, KeyError):
        return None


def _span(piece: Piece) -> Span:
    return piece.start, piece.stop, piece.first_shot, piece.shots, piece.part, piece.parts


def _piece(span: Span) -> Piece:
    start, stop, first_shot, shots, part, parts = span
    return Piece(start, stop, first_shot, shots, 0, part=part, parts=parts)
