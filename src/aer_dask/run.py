"""One ``run`` call: compiled circuits in, a plan and encoded tasks out, then outputs to a Result.

Knows no executor and no thread; :mod:`aer_dask.jobset` gives it life.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from datetime import datetime
from typing import Any

from qiskit.result import Result
from qiskit_aer import AerError, AerSimulator
from qiskit_aer.backends.controller_wrappers import AerConfig

from . import codec, execute, merge
from .analysis import CostModel, NoiseFacts, Profile, profile
from .assemble import Batch
from .errors import InsufficientMemoryError
from .plan import Experiment, Piece, Plan, Planner, Task

SEED_POLICIES = ("aer", "independent")

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

    Args:
        backend: whose name and version the result bears.
        batch: the compiled circuits.
        max_job_size: circuits per task; None to choose.
        max_shot_size: shots per task; None to choose.
        seed_policy: "aer" for the bits of plain Aer, "independent" for hashed seeds.

    Raises:
        AerError: for sizes or seeds out of range.
    """

    def __init__(
        self,
        backend: AerSimulator,
        batch: Batch,
        *,
        max_job_size: int | None = None,
        max_shot_size: int | None = None,
        seed_policy: str = "aer",
    ) -> None:
        if seed_policy not in SEED_POLICIES:
            raise AerError(f"seed_policy must be one of {SEED_POLICIES}, not {seed_policy!r}.")
        if batch.shots < 0:
            raise AerError(f"shots must not be negative, and {batch.shots} is.")
        self.backend, self.batch = backend, batch
        self._max_job_size = _positive("max_job_size", max_job_size)
        self._max_shot_size = _positive("max_shot_size", max_shot_size)
        self._independent = seed_policy == "independent"
        self.seed = self._base_seed()
        self.experiments = self._expand()
        self.shared = codec.encode((_without_seed(batch.config), batch.noise))
        self._programs: dict[int, bytes] = {}
        self._parts: dict[int, dict[int, merge.Experiment]] = {}
        self._outputs: dict[int, merge.Output] = {}
        self._whole: set[int] = set()
        self._not_loaded: dict[int, merge.Output] = {}

    # --- before: plan and encode -------------------------------------------------------

    def planner(self, slots: int) -> Planner:
        """The planner of this run for an executor with so many slots."""
        return Planner(
            self.experiments,
            self.batch.shots,
            self.seed,
            slots,
            costs.seconds,
            self._max_job_size,
            self._max_shot_size,
            self._independent,
            frozenset(self._tied()),
        )

    def payload(self, task: Task) -> bytes:
        """The task as it travels."""
        return codec.encode([self._encode_piece(piece) for piece in task.pieces])

    def check_memory(self, available: int | None) -> int:
        """The memory in bytes that the largest simulation takes.

        Raises:
            InsufficientMemoryError: if it is more than ``available``, and the user has not set
                ``max_memory_mb`` and thereby left the decision to Aer.
        """
        index, largest = max(
            enumerate(e.profile for e in self.experiments), key=lambda item: item[1].memory
        )
        if available is not None and largest.memory > available:
            if "max_memory_mb" not in self.batch.config:
                raise InsufficientMemoryError(
                    f"circuit {self.experiments[index].circuit} ({largest.qubits} qubits, "
                    f"{largest.method}) needs {_gib(largest.memory)}; workers have "
                    f"{_gib(available)} for a simulation. Give the workers more memory, or use "
                    'fewer qubits, precision="single" or method="matrix_product_state".'
                )
            return 0
        return largest.memory

    def _base_seed(self) -> int:
        seed = self.batch.config.get("seed_simulator")
        if seed is None:
            return secrets.randbits(32)
        if not -(2**63) <= seed < 2**63:
            raise AerError(f"seed_simulator must fit in 64 bits, and {seed} does not.")
        return int(seed)

    def _expand(self) -> list[Experiment]:
        noise = NoiseFacts.of(self.batch.noise)
        experiments: list[Experiment] = []
        for index, program in enumerate(self.batch.programs):
            bound = bool(self.batch.bindings[index])
            facts = profile(program, self.batch.config, noise, bound=bound)
            experiments += [Experiment(index, row, facts) for row in range(self.batch.rows(index))]
        if not experiments:
            raise AerError("parameter_binds has no values for any circuit: nothing to run.")
        return experiments

    def _tied(self) -> Iterable[int]:
        """Experiments that must stay with the one before them."""
        if self.batch.raw_bindings:
            return range(1, len(self.experiments))
        if not self.batch.config.get("runtime_parameter_bind_enable"):
            return ()
        # rows that Aer binds at run time share one execution, and their metadata says so
        return [index for index, experiment in enumerate(self.experiments) if experiment.row > 0]

    def _encode_piece(self, piece: Piece) -> execute.Piece:
        spans: dict[int, list[int]] = {}
        for experiment in self.experiments[piece.start : piece.stop]:
            spans.setdefault(experiment.circuit, []).append(experiment.row)
        return execute.Piece(
            [self._program(circuit) for circuit in spans],
            [
                [(where, values[rows[0] : rows[-1] + 1])
                 for where, values in self.batch.bindings[circuit]]
                for circuit, rows in spans.items()
            ],
            [self._phase(circuit, rows[0]) for circuit, rows in spans.items()],
            piece.seed,
            piece.shots,
        )  # fmt: skip

    def _program(self, circuit: int) -> bytes:
        if circuit not in self._programs:
            self._programs[circuit] = codec.encode(self.batch.programs[circuit])
        return self._programs[circuit]

    def _phase(self, circuit: int, first_row: int) -> float:
        """The global phase that Aer's template has when it comes to this row.

        Aer 0.18 writes a row's phase into the template after copying it, so each row runs with the
        phase of the row before (controllers/controller_execute.hpp). A slice that starts later has
        to start where that leaves it.
        """
        if first_row > 0:
            for (instruction, _), values in self.batch.bindings[circuit]:
                if instruction == AerConfig.GLOBAL_PHASE_POS:
                    return float(values[first_row - 1])
        return self.batch.programs[circuit].global_phase_angle

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
            self._not_loaded[piece.start] = output
            return
        results = output["results"]
        for index, experiment in zip(range(piece.start, piece.stop), results, strict=True):
            self._parts.setdefault(index, {})[piece.first_shot] = experiment
            if piece.shots == self.batch.shots:
                self._whole.add(index)
                self._parts[index] = {0: experiment}

    def _is_misjudged(self, index: int) -> bool:
        if index in self._whole or self._independent or index in self._not_loaded:
            return False
        return not merge.is_additive(list(self._parts.get(index, {}).values()))

    def _learn(self, task: Task, outputs: list[merge.Output]) -> None:
        methods = {self.experiments[index].profile.method for index in task.experiments()}
        if len(methods) == 1:
            taken = sum(e["time_taken"] for output in outputs for e in output["results"])
            costs.learn(methods.pop(), task.seconds, taken)

    def is_complete(self, index: int) -> bool:
        """Whether all shots of an experiment are there."""
        parts = self._parts.get(index, {})
        return sum(part.get("shots", 0) for part in parts.values()) == self.batch.shots or (
            index in self._whole  # a failed experiment reports no shots
        )

    def result(self, job_id: str, seconds: float) -> Result:
        """The Result of the whole run.

        Args:
            job_id: of the job set.
            seconds: wall-clock time of the run.

        Raises:
            AerError: if shots are missing, which would be a fault of aer_dask.
        """
        outputs = [self._outputs[start] for start in sorted(self._outputs)]
        if self._not_loaded:
            # as in an unsplit run: one circuit that cannot be loaded fails them all
            failure = self._not_loaded[min(self._not_loaded)]
            return self._format({**failure, "results": []}, job_id, seconds)
        experiments = [self._experiment(index) for index in range(len(self.experiments))]
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
            self._parts[index].get(piece.first_shot, self._parts[index].get(0))
            for piece in task.pieces
            for index in range(piece.start, piece.stop)
        ]
        experiments = [
            self._with_metadata(experiment, index)
            for experiment, index in zip(experiments, _indices(task), strict=True)
            if experiment is not None
        ]
        seconds = sum(experiment["time_taken"] for experiment in experiments)
        output = self._outputs[task.pieces[0].start]
        return self._format(merge.merge_outputs([output], experiments), job_id, seconds)

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
        circuit = self.experiments[index].circuit
        experiment = {**experiment, "data": dict(experiment.get("data", {}))}
        if "header" not in experiment:
            return {**experiment, "circ_id": circuit}
        experiment.pop("circ_id", None)
        header = {**experiment["header"], "metadata": self.batch.metadata[circuit]}
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


def _indices(task: Task) -> list[int]:
    return [index for piece in task.pieces for index in range(piece.start, piece.stop)]


def _without_seed(config: dict[str, Any]) -> dict[str, Any]:
    """The configuration without what differs between tasks, so that equal runs share it."""
    return {name: value for name, value in config.items() if name not in ("seed_simulator", "shots")}


def _gib(size: int) -> str:
    return f"{size / 2**30:.1f} GiB"
