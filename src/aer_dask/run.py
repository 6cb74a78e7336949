"""One ``run`` call: compiled circuits in, a plan and encoded tasks out, then outputs to a Result.

Knows no executor and no thread; :mod:`aer_dask.jobset` gives it life.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import Any

from qiskit.result import Result
from qiskit_aer import AerError, AerSimulator
from qiskit_aer.backends.controller_wrappers import AerConfig

from . import codec, execute, merge
from .analysis import CostModel, depends_on_order
from .assemble import Batch, Binding, Compiled
from .errors import InsufficientMemoryError
from .plan import Experiment, Piece, Planner, Task

SEED_POLICIES = ("aer", "independent")

#: Bytes of a state (44 qubits) from which on no worker will do. Aer fails such a circuit by itself,
#: and runs the others of its batch, so that is left to Aer.
BEYOND_ANY_WORKER = 2**48

#: What all runs of this process have learnt about how long simulations take.
costs = CostModel()


def _positive(name: str, value: Any) -> int | None:
    if value is None:
        return None
    if int(value) != value or value < 1:
        raise AerError(f"{name} must be a whole number of at least 1, not {value!r}.")
    return int(value)


class Run:
    """Everything about one run that is settled on the client.

    An ordinary run has one batch. Those of a primitive have several, each with seeds as if it were
    run alone.

    Args:
        backend: whose name and version the results bear.
        batches: the compiled circuits.
        max_job_size: circuits per task; None to choose.
        max_shot_size: shots per task; None to choose.
        seed_policy: "aer" for the bits of plain Aer, "independent" for hashed seeds.

    Raises:
        AerError: for sizes or seeds out of range.
    """

    def __init__(
        self,
        backend: AerSimulator,
        batches: Sequence[Batch],
        *,
        max_job_size: int | None = None,
        max_shot_size: int | None = None,
        seed_policy: str = "aer",
    ) -> None:
        if seed_policy not in SEED_POLICIES:
            raise AerError(f"seed_policy must be one of {SEED_POLICIES}, not {seed_policy!r}.")
        self.backend, self.batches = backend, batches
        self._max_job_size = _positive("max_job_size", max_job_size)
        self._max_shot_size = _positive("max_shot_size", max_shot_size)
        self._independent = seed_policy == "independent"
        self.seed = self._base_seed()
        self.experiments = self._expand()
        self.shared = codec.encode(self._shared())
        self._parts: dict[int, dict[int, merge.Experiment]] = {}
        self._outputs: dict[int, merge.Output] = {}
        self._whole: set[int] = set()
        self._not_loaded: set[int] = set()

    # --- before: plan and encode -------------------------------------------------------

    def planner(self, slots: int) -> Planner:
        """The planner of this run for an executor with so many slots."""
        return Planner(
            self.experiments,
            self.seed,
            slots,
            costs.seconds,
            self._max_job_size,
            self._max_shot_size,
            self._independent,
        )

    def payload(self, task: Task) -> bytes:
        """The task as it travels."""
        return codec.encode([self._encode_piece(piece) for piece in task.pieces])

    def check_memory(self, available: int | None) -> int:
        """The memory in bytes that the largest simulation takes.

        Raises:
            InsufficientMemoryError: if it is more than ``available``; but not where the user has
                set ``max_memory_mb`` and thereby left the decision to Aer.
        """
        possible = [e for e in self.experiments if e.profile.memory <= BEYOND_ANY_WORKER]
        if not possible or "max_memory_mb" in self.batches[0].config:
            return 0
        experiment = max(possible, key=lambda e: e.profile.memory)
        largest = experiment.profile
        if available is not None and largest.memory > available:
            raise InsufficientMemoryError(
                f"circuit {experiment.circuit} ({largest.qubits} qubits, {largest.method}) needs "
                f"{_gib(largest.memory)}; workers have {_gib(available)} for a simulation. Give "
                'the workers more memory, or use fewer qubits, precision="single" or '
                'method="matrix_product_state".'
            )
        return largest.memory

    def _base_seed(self) -> int:
        seed = self.batches[0].config.get("seed_simulator")
        if seed is None:
            return secrets.randbits(32)
        if not -(2**63) <= seed < 2**63:
            raise AerError(f"seed_simulator must fit in 64 bits, and {seed} does not.")
        return int(seed)

    def _expand(self) -> list[Experiment]:
        experiments = [e for number in range(len(self.batches)) for e in self._expand_batch(number)]
        if not experiments:
            raise AerError("parameter_binds has no values for any circuit: nothing to run.")
        return experiments

    def _expand_batch(self, number: int) -> Iterator[Experiment]:
        batch = self.batches[number]
        if batch.shots < 0:
            raise AerError(f"shots must not be negative, and {batch.shots} is.")
        rows = [(c, row) for c, circuit in enumerate(batch.circuits) for row in range(circuit.rows)]
        inseparable = depends_on_order(
            [c.profile for c in batch.circuits], batch.config, batch.noise
        )
        at_run_time = batch.config.get("runtime_parameter_bind_enable")
        for ordinal, (circuit, row) in enumerate(rows):
            # rows that Aer binds at run time share one execution, and their metadata says so
            tied = ordinal > 0 if inseparable else bool(at_run_time and row)
            facts = batch.circuits[circuit].profile
            yield Experiment(number, circuit, row, ordinal, batch.shots, facts, tied)

    def _shared(self) -> list[tuple[dict[str, Any], dict[str, Any]]]:
        """Options and noise of each batch, without what differs between the tasks of a batch."""
        noises: list[dict[str, Any]] = []
        for batch in self.batches:
            # the same object where it is the same noise, so that it is pickled once
            noises.append(next((noise for noise in noises if noise == batch.noise), batch.noise))
        return [
            ({k: v for k, v in batch.config.items() if k not in ("seed_simulator", "shots")}, noise)
            for batch, noise in zip(self.batches, noises, strict=True)
        ]

    def _encode_piece(self, piece: Piece) -> execute.Piece:
        number = self.experiments[piece.start].batch
        spans: dict[int, list[int]] = {}
        for experiment in self.experiments[piece.start : piece.stop]:
            spans.setdefault(experiment.circuit, []).append(experiment.row)
        circuits = self.batches[number].circuits
        return execute.Piece(
            number,
            [circuits[index].data for index in spans],
            [_rows(circuits[index].bindings, r[0], r[-1] + 1) for index, r in spans.items()],
            [_phase(circuits[index], r[0]) for index, r in spans.items()],
            piece.seed,
            piece.shots,
        )

    # --- after: collect and merge ------------------------------------------------------

    def collect(self, task: Task, data: bytes) -> list[int]:
        """Take in the output of a task.

        Returns:
            The experiments that have to be run again as a whole: their shots were split, and
            Aer's metadata says that this was not exact.
        """
        outputs: list[merge.Output] = codec.decode(data)
        for piece, output in zip(task.pieces, outputs, strict=True):
            self._collect_piece(piece, output)
        self._learn(task, outputs)
        return [index for index in task.experiments() if self._is_misjudged(index)]

    def _collect_piece(self, piece: Piece, output: merge.Output) -> None:
        self._outputs[piece.start] = output
        if len(output["results"]) < piece.stop - piece.start:
            self._not_loaded.add(piece.start)
            return
        results = output["results"]
        for index, experiment in zip(range(piece.start, piece.stop), results, strict=True):
            if piece.shots == self.experiments[index].shots:
                self._whole.add(index)
                self._parts[index] = {0: experiment}
            elif index not in self._whole:  # a slice may come later than the whole that replaced it
                self._parts.setdefault(index, {})[piece.first_shot] = experiment

    def _is_misjudged(self, index: int) -> bool:
        if index in self._whole or self._independent or index in self._not_loaded:
            return False
        return not merge.is_additive(list(self._parts.get(index, {}).values()))

    def _learn(self, task: Task, outputs: list[merge.Output]) -> None:
        methods = {self.experiments[index].profile.method for index in task.experiments()}
        if len(methods) == 1:
            taken = sum(e["time_taken"] for output in outputs for e in output["results"])
            expected = sum(
                self.experiments[index].profile.seconds(piece.shots)
                for piece in task.pieces
                for index in range(piece.start, piece.stop)
            )
            costs.learn(methods.pop(), expected, taken)

    def is_complete(self, index: int) -> bool:
        """Whether all shots of an experiment are there."""
        parts = self._parts.get(index, {})
        shots = sum(part.get("shots", 0) for part in parts.values())
        # a failed experiment reports no shots
        return index in self._whole or shots == self.experiments[index].shots

    def results(self, job_id: str, seconds: float) -> list[Result]:
        """The Result of each batch.

        Args:
            job_id: of the job set.
            seconds: wall-clock time of the run.

        Raises:
            AerError: if shots are missing, which would be a fault of aer_dask.
        """
        return [self._batch_result(n, job_id, seconds) for n in range(len(self.batches))]

    def _batch_result(self, number: int, job_id: str, seconds: float) -> Result:
        indices = [i for i, e in enumerate(self.experiments) if e.batch == number]
        starts = sorted(self._outputs.keys() & set(indices))
        if failed := [start for start in starts if start in self._not_loaded]:
            # as in an unsplit run: one circuit that cannot be loaded fails them all
            return self._format({**self._outputs[failed[0]], "results": []}, job_id, seconds)
        experiments = [self._experiment(index) for index in indices]
        outputs = [self._outputs[start] for start in starts]
        return self._format(merge.merge_outputs(outputs, experiments), job_id, seconds)

    def partial(self, indices: Iterable[int], job_id: str) -> Result:
        """A Result of some experiments only, complete ones."""
        experiments = [self._experiment(index) for index in indices]
        seconds = sum(experiment["time_taken"] for experiment in experiments)
        output = next(iter(self._outputs.values()))
        return self._format(merge.merge_outputs([output], experiments), job_id, seconds)

    def task_result(self, task: Task, job_id: str) -> Result:
        """A Result of what one task has given, its slice of the shots only."""
        experiments = [
            self._with_metadata(self._part(index, piece.first_shot), index)
            for piece in task.pieces
            for index in range(piece.start, piece.stop)
        ]
        seconds = sum(experiment["time_taken"] for experiment in experiments)
        output = self._outputs[task.pieces[0].start]
        return self._format(merge.merge_outputs([output], experiments), job_id, seconds)

    def _part(self, index: int, first_shot: int) -> merge.Experiment:
        """A slice of an experiment's shots; all of them where they turned out not divisible."""
        parts = self._parts[index]
        return parts[first_shot] if first_shot in parts else parts[0]

    def _experiment(self, index: int) -> merge.Experiment:
        if not self.is_complete(index):
            raise AerError(
                f"Shots of circuit {index} are missing. This is a fault of aer_dask; please "
                "report it with the circuits and options of this run."
            )
        parts = self._parts[index]
        ordered = [parts[first] for first in sorted(parts)]
        merged = ordered[0] if len(ordered) == 1 else merge.merge_shots(ordered)
        return self._with_metadata(merged, index)

    def _with_metadata(self, experiment: merge.Experiment, index: int) -> merge.Experiment:
        """The experiment with its circuit's own metadata, which never left the client."""
        batch, circuit = self.experiments[index].batch, self.experiments[index].circuit
        experiment = {**experiment, "data": dict(experiment.get("data", {}))}
        if "header" not in experiment:
            return {**experiment, "circ_id": circuit}
        experiment.pop("circ_id", None)
        header = {
            **experiment["header"],
            "metadata": self.batches[batch].circuits[circuit].metadata,
        }
        return {**experiment, "header": header}

    def _format(self, output: merge.Output, job_id: str, seconds: float) -> Result:
        output |= {
            "job_id": job_id,
            "date": datetime.now().isoformat(),
            "backend_name": self.backend.name,
            "backend_version": self.backend.configuration().backend_version,
            "time_taken": seconds,
        }
        return self.backend._format_results(output)


def _phase(circuit: Compiled, first_row: int) -> float:
    """The global phase that Aer's template has when it comes to this row.

    Aer 0.18 writes a row's phase into the template after copying it, so each row runs with the
    phase of the row before (controllers/controller_execute.hpp). A slice that starts later has to
    start where that leaves it.
    """
    if first_row > 0:
        for (instruction, _), values in circuit.bindings:
            if instruction == AerConfig.GLOBAL_PHASE_POS:
                return float(values[first_row - 1])
    return circuit.phase


def _rows(bindings: list[Binding], start: int, stop: int) -> list[Binding]:
    """Some rows of the bindings; one object for one set of values, so that it is pickled once."""
    slices = {id(values): values[start:stop] for _, values in bindings}
    return [(where, slices[id(values)]) for where, values in bindings]


def _gib(size: int) -> str:
    return f"{size / 2**30:.1f} GiB"
