"""One ``run`` call before it is sent: experiments, a plan, and each task as it travels.

Knows no executor and no thread; :mod:`aer_dask.runs.collect` takes the outputs in.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any

from qiskit_aer import AerSimulator

from ..compile import codec
from ..compile.assemble import Batch, Compiled
from ..compile.codec import ControllerCall, TrajectoryCall
from ..compile.columns import Columns
from ..compile.program import Program
from ..errors import InsufficientMemoryError
from .costs import CostModel
from .experiments import Experiment, expand
from .options import RunOptions
from .plan import Missing, Piece, Planner, Task

#: How much is compiled at a time, in about 5 ms, counted as :attr:`Batch.weights` are.
PORTION = 5000


class Run:
    """Everything about one run that is settled on the client.

    An ordinary run has one batch. Those of a primitive have several, each with seeds as if it were
    run alone.

    Args:
        backend: whose name and version the results bear.
        batches: the circuits.
        options: how to cut the run into tasks.
        costs: what is known of how long simulations take, and learns from this run.

    """

    def __init__(
        self,
        backend: AerSimulator,
        batches: Sequence[Batch],
        options: RunOptions | None = None,
        costs: CostModel | None = None,
    ) -> None:
        self.backend, self.batches = backend, batches
        self.options, self.costs = options or RunOptions(), costs or CostModel()
        #: of the circuits that are compiled
        self.experiments: list[Experiment] = []
        #: of experiments of which something is there from before, what is not
        self.missing: Mapping[int, Missing] = {}
        self._compiled, self._weight = 0, max(sum(sum(batch.weights) for batch in batches), 1)
        self._expanding = expand(
            batches,
            prefix_sharing=self.options.prefix_sharing,
            noise_sampling=self.options.noise_sampling,
        )
        self.shared = codec.encode(_configurations(batches))

    def tasks(self, planner: Planner) -> Iterator[list[Task]]:
        """The tasks of the run, each as soon as the circuits are compiled that fill it.

        Args:
            planner: of this run.

        Raises:
            AerError: for what Aer would refuse, or shots or seeds out of range.
        """
        begun = 0
        for indices in self._portions():
            tasks = list(planner.tasks(indices, self._compiled / self._weight))
            if begun < planner.slots:  # no worker waits for others to have more
                tasks += planner.rest()
            begun += len(tasks)
            yield tasks
        yield list(planner.rest())

    def compile(self) -> None:
        """Compile all circuits.

        Raises:
            AerError: as :meth:`tasks`.
        """
        for _ in self._portions():
            pass

    @property
    def is_compiled(self) -> bool:
        """Whether all circuits are compiled."""
        return self._compiled >= self._weight

    def _portions(self) -> Iterator[range]:
        """The experiments there are, and those of circuits that are compiled, some at a time."""
        first, before = 0, self._compiled
        for experiments in self._expanding:
            self.experiments += experiments
            weights = self.batches[experiments[0].batch].weights
            circuits = range(experiments[0].circuit, experiments[-1].circuit + 1)
            self._compiled += sum(weights[circuit] for circuit in circuits)
            if self._compiled - before >= PORTION:
                yield range(first, len(self.experiments))
                first, before = len(self.experiments), self._compiled
        self._compiled = self._weight
        if first < len(self.experiments):
            yield range(first, len(self.experiments))

    def names(self) -> list[str]:
        """The name of each experiment's circuit."""
        return [self.batches[e.batch].circuits[e.circuit].name for e in self.experiments]

    def planner(self, slots: int, memory: int | None = None) -> Planner:
        """The planner of this run for an executor.

        Args:
            slots: tasks that it runs at once.
            memory: bytes for simulations on the largest worker; None if that is not known.
        """
        return Planner(
            self.experiments, slots, self.costs.seconds, self.options, memory, self.missing
        )

    def payload(self, task: Task) -> bytes:
        """The task as it travels."""
        return codec.encode([self._call(piece) for piece in task.pieces])

    def check_memory(self, tasks: Sequence[Task], available: int | None) -> None:
        """Refuse tasks for which no worker is large enough.

        Args:
            tasks: those to be sent, no larger than they need be.
            available: bytes for simulations on the largest worker; None if that is not known.

        Raises:
            InsufficientMemoryError: naming the circuit, what it needs and what there is.
        """
        largest = max(tasks, key=lambda task: task.memory)
        if available is not None and largest.memory > available:
            raise InsufficientMemoryError(
                f"{self._needs(largest, available)}, results included; workers have "
                f"{_size(available)} for a task. Give the workers more memory, or use fewer "
                'qubits, fewer shots where each saves something, precision="single" or '
                'method="matrix_product_state"; where shots share trajectories, '
                'noise_sampling="aer".'
            )

    def _needs(self, task: Task, available: int) -> str:
        """What is too large: 'circuit 3 (25 qubits, statevector) needs 1.0 GiB'."""
        covered = [self.experiments[index] for index in task.experiments()]

        def alone(experiment: Experiment) -> int:
            return experiment.memory.working + experiment.memory.output(experiment.shots)

        largest = max(covered, key=alone)
        about = f"({largest.prediction.qubits} qubits, {largest.prediction.method})"
        if alone(largest) > available:
            size = _size(min(alone(largest), task.memory))
            return f"circuit {largest.circuit} {about} needs {size}"
        first, last = covered[0].circuit, covered[-1].circuit
        if first == last:
            return f"circuit {first} {about}, with all its rows, needs {_size(task.memory)}"
        return f"circuits {first} to {last} {about}, together, need {_size(task.memory)}"

    def _call(self, piece: Piece) -> ControllerCall | TrajectoryCall:
        number = self.experiments[piece.start].batch
        if piece.parts:
            experiment = self.experiments[piece.start]
            circuit = self.batches[number].circuits[experiment.circuit]
            return TrajectoryCall(
                number, _bound(circuit, experiment.row), experiment.seed, experiment.ordinal,
                piece.shots, piece.part, piece.parts,
            )  # fmt: skip
        spans: dict[int, list[int]] = {}
        for experiment in self.experiments[piece.start : piece.stop]:
            spans.setdefault(experiment.circuit, []).append(experiment.row)
        circuits = self.batches[number].circuits
        return ControllerCall(
            number,
            [circuits[index].data for index in spans],
            [circuits[index].bindings.part(r[0], r[-1] + 1) for index, r in spans.items()],
            [_phase(circuits[index], r[0]) for index, r in spans.items()],
            piece.seed,
            piece.shots,
            piece.shares,
        )


def _configurations(batches: Sequence[Batch]) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    """Options and noise of each batch, without what differs between the tasks of a batch."""
    noises: list[dict[str, Any]] = []
    configurations = []
    for batch in batches:
        # the same object where it is the same noise, so that it is pickled once
        noise = next((n for n in noises if n is batch.noise or n == batch.noise), None)
        if noise is None:
            noise = batch.noise
            noises.append(noise)
        config = {k: v for k, v in batch.config.items() if k not in ("seed_simulator", "shots")}
        configurations.append((config, noise))
    return configurations


def _bound(circuit: Compiled, row: int) -> bytes:
    """A circuit with one row of its parameter values, encoded."""
    if not circuit.bindings:
        return circuit.data
    bound = _decoded(circuit.data).bound(circuit.bindings.part(row, row + 1))
    return codec.encode(bound, compress=not isinstance(bound, Columns))


@lru_cache(maxsize=1)
def _decoded(program: bytes) -> Program | Columns:
    """The program of the rows that follow one another."""
    decoded: Program | Columns = codec.decode(program)
    return decoded


def _phase(circuit: Compiled, first_row: int) -> float:
    """The global phase that Aer's template has when it comes to this row.

    Aer 0.18 writes a row's phase into the template after copying it, so each row runs with the
    phase of the row before (controllers/controller_execute.hpp). A slice that starts later has to
    start where that leaves it.
    """
    phases = circuit.bindings.phases()
    return circuit.phase if phases is None or not first_row else float(phases[first_row - 1])


def _size(size: int) -> str:
    return f"{size / 2**30:.1f} GiB" if size >= 2**30 else f"{size / 2**20:.0f} MiB"
