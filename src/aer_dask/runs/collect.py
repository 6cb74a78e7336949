"""Outputs of tasks, as they come in, to the Result of a run."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from itertools import groupby

from qiskit.result import Result
from qiskit_aer import AerError

from ..burst import burst
from ..compile import codec
from ..compile.program import NAME
from ..trajectories.results import finished
from . import merge
from .kept import Kept
from .merge import RawOutput, RawResult
from .plan import Piece, Task
from .run import Run

#: What in a header could be changed in place, and is each result's own.
_SIZES = ("qreg_sizes", "creg_sizes")


class _Collected:
    """What is there of one experiment: slices of its shots, by their first, or the whole."""

    __slots__ = ("_divisible", "_shots", "_whole", "has_failed", "slices")

    def __init__(self) -> None:
        self.slices: dict[int, RawResult] = {}
        self._whole = False
        # kept up with each slice: there may be a hundred thousand
        self._shots = 0
        self._divisible = True
        self.has_failed = False

    def add(self, first_shot: int, result: RawResult, whole: bool) -> None:
        """Take in a slice, or a whole that replaces all slices, earlier and later ones."""
        if whole:
            self.slices, self._whole, self.has_failed = {0: result}, True, False
        elif not self._whole and first_shot not in self.slices:
            self.slices[first_shot] = result
            self.has_failed |= not result["success"]
            self._shots += result.get("shots", 0)  # a failed experiment reports none
            some_other = next(iter(self.slices.values()))
            self._divisible &= merge.were_divisible([some_other, result])

    def is_complete(self, shots: int) -> bool:
        return self._whole or self._shots == shots

    def were_divisible(self) -> bool:
        return self._whole or self._divisible

    def slice(self, first_shot: int) -> RawResult:
        """A slice; the whole where the shots turned out not to be divisible."""
        return self.slices[0 if self._whole else first_shot]

    def merged(self) -> RawResult:
        parts = [self.slices[first] for first in sorted(self.slices)]
        return parts[0] if len(parts) == 1 else merge.merge_shots(parts)


class Collector:
    """Takes the outputs of a run's tasks in, in any order, and makes Results of them.

    Args:
        run: whose tasks they are.
    """

    def __init__(self, run: Run) -> None:
        self._run = run
        with burst():
            self._collected = [_Collected() for _ in run.experiments]
        batches = groupby(range(len(run.experiments)), key=lambda i: run.experiments[i].batch)
        self._indices = {batch: list(indices) for batch, indices in batches}
        #: of each batch, the controller's outputs by the first experiment of the call
        self._outputs: dict[int, dict[int, RawOutput]] = {batch: {} for batch in self._indices}
        self._not_loaded: set[int] = set()

    def add(self, task: Task, data: codec.Buffer) -> list[int]:
        """Take in the output of a task.

        Returns:
            The experiments that have to be run again as a whole: their shots were split, and
            Aer's metadata says that this was not exact.
        """
        with burst():
            outputs: list[RawOutput] = codec.decode_all(data)
        for piece, output in zip(task.pieces, outputs, strict=True):
            _check_shots(piece, output)
            self._add_piece(piece, output)
        self._learn(task, outputs)
        return [index for index in task.experiments() if self._is_misjudged(index)]

    def take(self, kept: Kept) -> None:
        """Take in what is there from before."""
        for index, results in kept.results.items():
            for piece, result, output in results:
                self._outputs[self._run.experiments[index].batch][piece.start] = output
                whole = piece.is_whole(self._run.experiments[index].shots)
                self._collected[index].add(piece.key, result, whole)

    def is_complete(self, index: int) -> bool:
        """Whether all shots of an experiment are there."""
        return self._collected[index].is_complete(self._run.experiments[index].shots)

    def results(self, job_id: str, seconds: float) -> list[Result]:
        """The Result of each batch.

        Args:
            job_id: of the job set.
            seconds: wall-clock time of the run.

        Raises:
            AerError: if shots are missing, which would be a fault of aer_dask.
        """
        with burst():
            return [
                self._batch_result(batch, job_id, seconds)
                for batch in range(len(self._run.batches))
            ]

    def partial(self, indices: Iterable[int], job_id: str) -> Result:
        """A Result of some experiments only, complete ones of one batch."""
        indices = list(indices)
        output = next(iter(self._outputs[self._run.experiments[indices[0]].batch].values()))
        return self._part(output, [self._result(index) for index in indices], job_id)

    def task_result(self, task: Task, job_id: str) -> Result:
        """A Result of what one task has given, its slice of the shots only."""
        first = task.pieces[0].start
        output = self._outputs[self._run.experiments[first].batch][first]
        if not self._not_loaded.isdisjoint(task.experiments()):
            return self._format({**output, "results": []}, job_id, 0.0)
        results = [
            self._with_metadata(self._collected[index].slice(piece.key), index)
            for piece in task.pieces
            for index in range(piece.start, piece.stop)
        ]
        return self._part(output, results, job_id)

    def _add_piece(self, piece: Piece, output: RawOutput) -> None:
        self._outputs[self._run.experiments[piece.start].batch][piece.start] = output
        results = output["results"]
        if len(results) < piece.stop - piece.start:
            self._not_loaded.update(range(piece.start, piece.stop))
            return
        for index, result in zip(range(piece.start, piece.stop), results, strict=True):
            whole = piece.is_whole(self._run.experiments[index].shots)
            self._collected[index].add(piece.key, result, whole)

    def _is_misjudged(self, index: int) -> bool:
        if index in self._not_loaded:
            return False
        if self._run.options.independent:  # which says nothing about bits
            return self._collected[index].has_failed
        return not self._collected[index].were_divisible()

    def _learn(self, task: Task, outputs: list[RawOutput]) -> None:
        experiments = self._run.experiments
        methods = {experiments[index].prediction.method for index in task.experiments()}
        if len(methods) == 1:
            taken = sum(e["time_taken"] for output in outputs for e in output["results"])
            expected = sum(
                experiments[index].prediction.duration.seconds(piece.shots) * piece.share
                for piece in task.pieces
                for index in range(piece.start, piece.stop)
            )
            self._run.costs.learn(methods.pop(), expected, taken)

    def _batch_result(self, batch: int, job_id: str, seconds: float) -> Result:
        by_start = self._outputs.get(batch, {})
        outputs = [by_start[start] for start in sorted(by_start)]
        if failed := [start for start in sorted(by_start) if start in self._not_loaded]:
            # as in an unsplit run: one circuit that cannot be loaded fails them all
            return self._format({**by_start[failed[0]], "results": []}, job_id, seconds)
        results = [self._result(index) for index in self._indices.get(batch, [])]
        return self._format(merge.merge_outputs(outputs, results), job_id, seconds)

    def _result(self, index: int) -> RawResult:
        if not self.is_complete(index):
            raise AerError(
                f"Shots of circuit {index} are missing. This is a fault of aer_dask; please "
                "report it with the circuits and options of this run."
            )
        return self._with_metadata(self._collected[index].merged(), index)

    def _with_metadata(self, result: RawResult, index: int) -> RawResult:
        """The result with its circuit's own header, which never left the client."""
        experiment = self._run.experiments[index]
        batch = self._run.batches[experiment.batch]
        circuit = batch.circuits[experiment.circuit]
        if experiment.trajectories is not None:
            written = bool(batch.config.get("memory"))
            result = finished(result, experiment.trajectories, memory=written)
            result["seed_simulator"] = experiment.seed
        status = result["status"].replace(NAME, circuit.name)
        result = {**result, "status": status, "data": dict(result.get("data", {}))}
        if "header" not in result:
            return {**result, "circ_id": experiment.circuit}
        result.pop("circ_id", None)
        sizes = {name: [list(size) for size in circuit.header[name]] for name in _SIZES}
        return {**result, "header": {**circuit.header, **sizes}}

    def _part(self, output: RawOutput, results: list[RawResult], job_id: str) -> Result:
        seconds = sum(result["time_taken"] for result in results)
        return self._format(merge.merge_outputs([output], results), job_id, seconds)

    def _format(self, output: RawOutput, job_id: str, seconds: float) -> Result:
        backend = self._run.backend
        output |= {
            "job_id": job_id,
            "date": datetime.now().isoformat(),
            "backend_name": backend.name,
            "backend_version": backend.configuration().backend_version,
            "time_taken": seconds,
        }
        return backend._format_results(output)


def _check_shots(piece: Piece, output: RawOutput) -> None:
    """An output of other shots is that of another task; parts of shared trajectories have any."""
    shots = {result["shots"] for result in output["results"] if result["success"]}
    if piece.parts <= 1 and not shots <= {piece.shots}:
        raise AerError(
            f"A task of {piece.shots} shots has given {sorted(shots)}. This is a fault of "
            "aer_dask; please report it with the circuits and options of this run."
        )
