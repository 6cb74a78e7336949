"""Which circuits and which shots go into which task. Pure: nothing here runs or sends anything.

Seeds follow Aer's own rule (controllers/controller_execute.hpp, simulators/circuit_executor.hpp):
circuit k of a run, counted after parameter rows are expanded, has the seed ``s + 2113 k``; where
shots are simulated one by one, shot j is seeded with the circuit's seed plus j. So a task that is
given ``s + 2113 k + a`` repeats shots a, a + 1, ... of circuit k bit for bit.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from .analysis import Profile

#: Distance of the seeds of neighbouring circuits (controllers/controller_execute.hpp).
SEED_STRIDE = 2113
TASKS_PER_SLOT = 4
#: A task shorter than this would spend over 5 % on its dispatch (about 15 ms).
SHORTEST_TASK = 0.3
#: A task longer than this costs too much to repeat when its worker is lost.
LONGEST_TASK = 60.0
#: Into how many separately seeded blocks ``seed_policy="independent"`` cuts a circuit's shots.
#: Fixed, so that the results do not depend on the cluster.
INDEPENDENT_BLOCKS = 16

Seconds = Callable[[Profile, int], float]


@dataclass(frozen=True)
class Experiment:
    """One result to come: a circuit of a batch, with one row of its parameter values.

    ``ordinal`` counts the experiments of the batch and so decides the seed; ``tied`` says that the
    experiment cannot be separated from the one before it.
    """

    batch: int
    circuit: int
    row: int
    ordinal: int
    shots: int
    profile: Profile
    tied: bool = False


@dataclass(frozen=True)
class Piece:
    """Experiments ``start`` to ``stop``, of one batch, each from shot ``first_shot`` on."""

    start: int
    stop: int
    first_shot: int
    shots: int
    seed: int


@dataclass(frozen=True)
class Task:
    """What one worker is given at once; ``seconds`` is the estimate for one thread."""

    pieces: tuple[Piece, ...]
    seconds: float

    def experiments(self) -> range:
        """The experiments that the task contributes to."""
        return range(self.pieces[0].start, self.pieces[-1].stop)


@dataclass(frozen=True)
class Plan:
    """What a run sends: tasks in order, the experiments they cover, and the bytes of each task.

    ``payload_bytes`` has an entry per task; ``shared_bytes`` (options and noise model) travel once
    to each worker that takes part.
    """

    tasks: tuple[Task, ...]
    experiments: tuple[Experiment, ...]
    payload_bytes: tuple[int, ...] = ()
    shared_bytes: int = 0

    @property
    def shots(self) -> int:
        """Shots of all experiments together."""
        return sum(experiment.shots for experiment in self.experiments)

    @property
    def methods(self) -> dict[str, int]:
        """How many experiments each simulation method is expected to take."""
        counts: dict[str, int] = {}
        for experiment in self.experiments:
            counts[experiment.profile.method] = counts.get(experiment.profile.method, 0) + 1
        return counts

    def with_bytes(self, payloads: Sequence[bytes], shared: bytes) -> Plan:
        """The plan, with the sizes of what is sent."""
        return replace(
            self, payload_bytes=tuple(map(len, payloads)), shared_bytes=len(shared)
        )

    def __str__(self) -> str:
        methods = ", ".join(f"{count} {name}" for name, count in self.methods.items())
        lines = [
            f"{len(self.experiments)} circuits ({methods}), {self.shots} shots in all, "
            f"in {len(self.tasks)} tasks: {sum(self.payload_bytes):,} bytes, "
            f"and {self.shared_bytes:,} bytes once per worker",
            "task  circuits     shots  seconds     bytes",
        ]
        for index, task in enumerate(self.tasks):
            circuits = task.experiments()
            span = f"{circuits[0]}-{circuits[-1]}" if len(circuits) > 1 else f"{circuits[0]}"
            shots = sum((piece.stop - piece.start) * piece.shots for piece in task.pieces)
            size = self.payload_bytes[index] if self.payload_bytes else 0
            lines.append(f"{index:>4}  {span:>8}  {shots:>8}  {task.seconds:>7.2g}  {size:>8,}")
        return "\n".join(lines)


@dataclass
class Planner:
    """Cuts a run into tasks.

    Args:
        experiments: in the order of the results.
        seed: base seed of the run.
        slots: tasks that the executor runs at once.
        seconds: estimate for so many shots of a circuit.
        max_job_size: circuits per task, or None to choose.
        max_shot_size: shots per task, or None to choose.
        independent: whether every piece gets a hashed seed of its own.
    """

    experiments: Sequence[Experiment]
    seed: int
    slots: int
    seconds: Seconds
    max_job_size: int | None = None
    max_shot_size: int | None = None
    independent: bool = False

    def plan(self) -> Plan:
        """The tasks, in the order in which they should be run."""
        target = self._task_seconds()
        tasks: list[Task] = []
        group: list[int] = []
        for index in range(len(self.experiments)):
            pieces = list(self._pieces(index, target))
            if len(pieces) > 1:
                tasks += self._grouped(group)
                group = []
                tasks += self._packed(index, pieces, target)
                continue
            if group and self._is_full(group, index, target):
                tasks += self._grouped(group)
                group = []
            group.append(index)
        tasks += self._grouped(group)
        return Plan(tuple(tasks), tuple(self.experiments))

    def whole(self, index: int) -> Task:
        """One experiment with all its shots: what to run where split shots did not hold."""
        return self._grouped([index])[0]

    def _seconds(self, index: int, shots: int | None = None) -> float:
        experiment = self.experiments[index]
        return self.seconds(experiment.profile, experiment.shots if shots is None else shots)

    def _task_seconds(self) -> float:
        total = sum(map(self._seconds, range(len(self.experiments))))
        share = total / (max(self.slots, 1) * TASKS_PER_SLOT)
        if self.slots > 1:
            # few long tasks beat many short ones, but every slot should have one
            share = max(share, min(SHORTEST_TASK, total / self.slots))
        return min(max(share, SHORTEST_TASK / 10), LONGEST_TASK)

    def _is_full(self, group: list[int], index: int, target: float) -> bool:
        if self.experiments[index].tied:
            return False
        if self.max_job_size is not None:
            return len(group) >= self.max_job_size
        return sum(map(self._seconds, group)) + self._seconds(index) / 2 > target

    def _pieces(self, index: int, target: float) -> Iterator[Piece]:
        """The shots of one experiment, cut where that is exact (or asked for) and worth it."""
        size, total = self._piece_shots(index, target), self.experiments[index].shots
        for first in range(0, max(total, 1), size):
            shots = min(size, total - first)
            yield Piece(index, index + 1, first, shots, self._seed(index, first))

    def _piece_shots(self, index: int, target: float) -> int:
        experiment = self.experiments[index]
        profile, whole = experiment.profile, max(experiment.shots, 1)
        tied = any(e.tied for e in self.experiments[index : index + 2])
        if self.independent:
            if tied or not (profile.divisible or profile.samplable):
                return whole
            return self.max_shot_size or math.ceil(whole / INDEPENDENT_BLOCKS)
        if tied or not profile.divisible:
            return whole
        if self.max_shot_size is not None:
            return self.max_shot_size
        chunks = max(1, min(whole, round(self._seconds(index, whole) / target)))
        return math.ceil(whole / chunks)

    def _packed(self, index: int, pieces: list[Piece], target: float) -> Iterator[Task]:
        """Tasks of one experiment's pieces: one each, or several where blocks are small."""
        batch: list[Piece] = []
        for piece in pieces:
            filled = sum(self._seconds(index, p.shots) for p in batch)
            if batch and (not self.independent or self.max_shot_size or filled >= target):
                yield Task(tuple(batch), filled)
                batch = []
            batch.append(piece)
        yield Task(tuple(batch), sum(self._seconds(index, p.shots) for p in batch))

    def _grouped(self, group: list[int]) -> list[Task]:
        """One task of whole experiments that follow one another; no task for none."""
        if not group:
            return []
        starts = [index for index in group if index == group[0] or self._starts_piece(index)]
        pieces = tuple(
            Piece(start, stop, 0, self.experiments[start].shots, self._seed(start, 0))
            for start, stop in zip(starts, [*starts[1:], group[-1] + 1], strict=True)
        )
        return [Task(pieces, sum(map(self._seconds, group)))]

    def _starts_piece(self, index: int) -> bool:
        """Whether an experiment needs a seed that does not follow from the one before it."""
        before, experiment = self.experiments[index - 1], self.experiments[index]
        return before.batch != experiment.batch or (self.independent and not experiment.tied)

    def _seed(self, index: int, first_shot: int) -> int:
        ordinal = self.experiments[index].ordinal
        if not self.independent:
            return int64(self.seed + SEED_STRIDE * ordinal + first_shot)
        words = f"{self.seed} {ordinal} {first_shot}".encode()
        return int.from_bytes(hashlib.sha256(words).digest()[:8], "big") >> 1


def int64(value: int) -> int:
    """The value as C++ would wrap it into a signed 64-bit integer."""
    return (value + 2**63) % 2**64 - 2**63
