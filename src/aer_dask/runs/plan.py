"""Which circuits and which shots go into which task. Pure: nothing here runs or sends anything.

Seeds follow Aer's own rule (:mod:`aer_dask.compile.seeds`): a task that is given the seed of shot a
of circuit k repeats shots a, a + 1, ... of circuit k bit for bit.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain
from typing import NamedTuple

from qiskit_aer import AerError

from ..compile.prediction import Prediction
from ..compile.seeds import seed_of
from .experiments import Experiment
from .options import RunOptions

TASKS_PER_SLOT = 4
#: The same of circuits whose rows share what they have in common, which are more in a longer task.
SHARING_TASKS_PER_SLOT = 2
#: A task shorter than this would spend over 5 % on its dispatch (about 15 ms).
SHORTEST_TASK = 0.3
#: No tasks shorter than this for each slot where they could be longer: a scheduler of 1000 workers
#: has 1.5 ms to do for a task (docs/scaling.md), and all of them wait for it.
SCHEDULING = 0.01
#: A run shorter than this would be over on one worker before the others had answered.
ROUND_TRIP = 0.01
#: A task longer than this costs too much to repeat when its worker is lost.
LONGEST_TASK = 60.0
#: Into how many separately seeded blocks ``seed_policy="independent"`` cuts a circuit's shots.
#: Fixed, so that the results do not depend on the cluster.
INDEPENDENT_BLOCKS = 16
#: More tasks than this are refused: at about 2 ms each, sending them alone would take minutes.
MOST_TASKS = 100_000

Seconds = Callable[[Prediction, int], float]


@dataclass(frozen=True)
class Piece:
    """Experiments ``start`` to ``stop``, of one batch, each from shot ``first_shot`` on.

    ``shares`` says that they are rows of one circuit that may share what they have in common.
    Where shots share trajectories, the piece is one of so many ``parts`` of them; where they do
    not there are 0.
    """

    start: int
    stop: int
    first_shot: int
    shots: int
    seed: int
    shares: bool = False
    part: int = 0
    parts: int = 0

    @property
    def key(self) -> int:
        """What tells the pieces of an experiment apart, and orders them."""
        return self.part if self.parts else self.first_shot

    @property
    def share(self) -> float:
        """Which part of the work of its shots it is."""
        return 1 / max(self.parts, 1)

    def is_whole(self, shots: int) -> bool:
        """Whether it is all of experiments of so many shots."""
        return self.share == 1.0 and self.shots == shots


@dataclass(frozen=True)
class Task:
    """What one worker is given at once.

    ``seconds`` is the estimate for one thread, ``memory`` the bytes that the worker must have: for
    the largest of its simulations, which come one after the other, and for what all of them give.
    """

    pieces: tuple[Piece, ...]
    seconds: float
    memory: int = 0

    def experiments(self) -> range:
        """The experiments that the task contributes to."""
        return range(self.pieces[0].start, self.pieces[-1].stop)


class Missing(NamedTuple):
    """What is missing of an experiment of which something is there from before.

    ``intervals`` are of its shots, from the first to before the last, in order; of the parts of
    them where they share trajectories and were cut into so many ``parts``. ``share`` says which
    part of the work they are.
    """

    intervals: tuple[tuple[int, int], ...]
    share: float
    parts: int = 0


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
            counts[experiment.prediction.method] = counts.get(experiment.prediction.method, 0) + 1
        return counts

    def with_bytes(self, payloads: Sequence[bytes], shared: bytes) -> Plan:
        """The plan, with the sizes of what is sent."""
        return replace(self, payload_bytes=tuple(map(len, payloads)), shared_bytes=len(shared))

    def _trajectories(self) -> Iterator[str]:
        """A line about circuits whose shots share trajectories, if there are any."""
        shared = [(e.trajectories, e.shots) for e in self.experiments if e.trajectories]
        if shared:
            alone = sum(forecast.blocks * shots for forecast, shots in shared)
            work = sum(forecast.share * forecast.blocks * shots for forecast, shots in shared)
            patterns = sum(forecast.patterns for forecast, _ in shared)
            yield (
                f"shared trajectories: about {patterns:,.0f} patterns of errors, and "
                f"{work / alone:.1%} of the work of the same shots one by one"
            )

    def __str__(self) -> str:
        methods = ", ".join(f"{count} {name}" for name, count in self.methods.items())
        lines = [
            f"{len(self.experiments)} circuits ({methods}), {self.shots} shots in all, "
            f"in {len(self.tasks)} tasks: {sum(self.payload_bytes):,} bytes, "
            f"and {self.shared_bytes:,} bytes once per worker",
            *self._trajectories(),
            "task  circuits     shots  seconds     bytes",
        ]
        for index, task in enumerate(self.tasks):
            circuits = task.experiments()
            span = f"{circuits[0]}-{circuits[-1]}" if len(circuits) > 1 else f"{circuits[0]}"
            shots = round(sum((p.stop - p.start) * p.shots * p.share for p in task.pieces))
            size = self.payload_bytes[index] if self.payload_bytes else 0
            lines.append(f"{index:>4}  {span:>8}  {shots:>8}  {task.seconds:>7.2g}  {size:>8,}")
        return "\n".join(lines)


@dataclass
class Planner:
    """Cuts a run into tasks.

    Args:
        experiments: in the order of their indices.
        slots: tasks that the executor runs at once.
        seconds: estimate for so many shots of a circuit.
        options: sizes that the user asked for, and where seeds come from.
        memory: bytes that the largest worker has for a task; None if that is not known.
        missing: of experiments of which something is there already, what is not.
    """

    experiments: Sequence[Experiment]
    slots: int
    seconds: Seconds
    options: RunOptions = field(default_factory=RunOptions)
    memory: int | None = None
    missing: Mapping[int, Missing] = field(default_factory=dict)
    #: what the next task will have, its seconds, and the memory of its results
    _group: list[int] = field(default_factory=list, init=False)
    _filled: float = field(default=0.0, init=False)
    _results: int = field(default=0, init=False)
    _planned: float = field(default=0.0, init=False)
    _asked_for: int = field(default=0, init=False)
    #: how many tasks there are already
    _cut: int = field(default=0, init=False)

    def plan(self) -> Plan:
        """The tasks of all experiments, in the order in which they should be run.

        Raises:
            AerError: if ``max_shot_size`` makes more than :data:`MOST_TASKS`.
        """
        anew, indices = replace(self), range(len(self.experiments))
        tasks = [*anew.tasks(indices, 1.0), *anew.rest()]
        return Plan(tuple(tasks), tuple(self.experiments))

    def tasks(self, indices: range, known: float) -> Iterator[Task]:
        """The tasks that some more experiments fill; what they leave over goes with the next ones.

        Args:
            indices: those that follow the ones before.
            known: which part of all work they and those before them are.

        Raises:
            AerError: as :meth:`plan`.
        """
        self._refuse_too_many(indices)
        total = (self._planned + sum(map(self._left, indices))) / known
        share = self._share(total)
        for index in indices:
            seconds, missing = self._left(index), self.missing.get(index)
            if missing and not missing.intervals:
                yield from self.rest()  # no task spans what is there
                continue
            target = self._target(index, share, total)
            if known < 1.0 and not self._can_share(index):
                target = min(target, self._soon())
            self._planned += seconds
            pieces = list(self._pieces(index, share))
            if len(pieces) > 1 or missing:
                yield from self.rest()
                yield from self._packed(index, pieces, share)
                continue
            if self._group and self._is_full(index, seconds / 2, target):
                yield from self.rest()
            self._group.append(index)
            self._filled += seconds
            self._results += self._output(index)

    def rest(self) -> Iterator[Task]:
        """A task of what is left over, if there is any."""
        group, seconds = self._group, self._filled
        self._group, self._filled, self._results = [], 0.0, 0
        yield from self._grouped(group, seconds)

    def whole(self, index: int) -> Task:
        """One experiment with all its shots: what to run where split shots did not hold."""
        return self._grouped([index], self._seconds(index))[0]

    def fits(self, index: int, piece: Piece) -> bool:
        """Whether a piece of any plan of the run gives an experiment the bits that this one does.

        Those of another version may be cut where this one would not cut.
        """
        experiment = self.experiments[index]
        if (experiment.trajectories is not None) != (piece.parts > 0):
            return False
        if piece.parts:
            most = max(experiment.shots, 1)
            return 0 <= piece.part < piece.parts <= most and piece.shots == experiment.shots
        if piece.first_shot < 0 or piece.first_shot + piece.shots > experiment.shots:
            return False
        if self.options.independent:
            size = self._piece_shots(index, LONGEST_TASK)
            on_grid = min(size, experiment.shots - piece.first_shot)
            return piece.first_shot % size == 0 and piece.shots == on_grid
        return piece.shots == experiment.shots or (piece.shots > 0 and self._divisible(index))

    def _left(self, index: int) -> float:
        """Seconds of what is left to do of an experiment."""
        missing = self.missing.get(index)
        return self._seconds(index) * (missing.share if missing else 1.0)

    def _seconds(self, index: int, shots: int | None = None) -> float:
        experiment = self.experiments[index]
        # most further rows are simulated with the circuit that was made for the first
        making = 0.0 if experiment.row else experiment.prediction.duration.making
        shots = experiment.shots if shots is None else shots
        return making + self.seconds(experiment.prediction, shots)

    def _target(self, index: int, share: float, total: float) -> float:
        """Seconds of a task of whole experiments, of so many in all.

        Shorter towards the end, so that workers end at about the same time.
        """
        if self._can_share(index):
            each = total / (max(self.slots, 1) * SHARING_TASKS_PER_SLOT)
            return min(max(share, each), LONGEST_TASK)
        left = total - self._planned
        if share <= SHORTEST_TASK:
            return self._even_target(share, left + self._filled)
        shortest = max(share / 4, SHORTEST_TASK, min(share, self.slots * SCHEDULING))
        return max(min(share, left / (2 * max(self.slots, 1))), shortest)

    def _soon(self) -> float:
        """Seconds of a task that is sent before workers have done what was sent to them."""
        sent = self._planned - self._filled
        return max(2 * sent / max(self.slots, 1), SHORTEST_TASK / 10)

    def _even_target(self, share: float, left: float) -> float:
        """The same of few short tasks: all slots end with the last one of a round of equal ones."""
        slots = max(self.slots, 1)
        tasks = slots - self._cut % slots
        tasks += slots * max(0, math.ceil((left / share - tasks) / slots - 1e-6))
        return max(left / tasks, SHORTEST_TASK / 10)

    def _share(self, total: float) -> float:
        """Seconds of one task."""
        if total <= ROUND_TRIP:
            return ROUND_TRIP
        share = total / (max(self.slots, 1) * TASKS_PER_SLOT)
        if self.slots > 1:
            # few long tasks beat many short ones, but every slot should have one
            share = max(share, min(SHORTEST_TASK, total / self.slots))
        return min(max(share, SHORTEST_TASK / 10), LONGEST_TASK)

    def _refuse_too_many(self, indices: range) -> None:
        """No plan of more tasks than a scheduler can hold, which takes hours without a word."""
        size = self.options.max_shot_size
        if size is None:
            return
        self._asked_for += sum(
            math.ceil(self.experiments[i].shots / size) for i in indices if self._divisible(i)
        )
        if (tasks := self._asked_for) > MOST_TASKS:
            least = math.ceil(size * tasks / MOST_TASKS)
            raise AerError(
                f"max_shot_size={size} would make {tasks:,} tasks; {MOST_TASKS:,} is the most. "
                f"Give max_shot_size={least} or more, or leave it out to have it chosen."
            )

    def _is_full(self, index: int, seconds: float, target: float) -> bool:
        if self.experiments[index].inseparable:
            return False
        if not self._fits(index, self._results + self._output(index)):
            return True
        if self.options.max_job_size is not None:
            return len(self._group) >= self.options.max_job_size
        # not left to rounding: from Python 3.12 on, sum() adds floats otherwise than before
        return self._filled + seconds > target * (1 + 1e-9)

    def _output(self, index: int) -> int:
        experiment = self.experiments[index]
        return experiment.memory.output(experiment.shots)

    def _fits(self, index: int, output: int) -> bool:
        """Whether an experiment can join others in a task whose results would take so much."""
        return self.memory is None or self.experiments[index].memory.working + output <= self.memory

    def _divisible(self, index: int) -> bool:
        """Whether the shots of an experiment may be cut at all."""
        prediction = self.experiments[index].prediction
        if any(e.inseparable for e in self.experiments[index : index + 2]):
            return False
        return prediction.divisible or (self.options.independent and prediction.samplable)

    def _pieces(self, index: int, target: float) -> Iterator[Piece]:
        """The shots of one experiment, cut where that is exact (or asked for) and worth it."""
        if self.experiments[index].trajectories is not None:
            yield from self._parts(index, target)
            return
        size, total = self._piece_shots(index, target), self.experiments[index].shots
        missing = self.missing.get(index)
        for start, stop in missing.intervals if missing else [(0, max(total, 1))]:
            for first in range(start, stop, size):
                shots = min(size, stop - first, total - first)
                yield Piece(index, index + 1, first, shots, self._seed(index, first))

    def _parts(self, index: int, target: float) -> Iterator[Piece]:
        """Parts of the shots that share trajectories; each begins anew, so few for one worker."""
        experiment = self.experiments[index]
        target = LONGEST_TASK if self.slots <= 1 else target
        if missing := self.missing.get(index):
            parts = missing.parts
            left = chain.from_iterable(range(*interval) for interval in missing.intervals)
        else:
            parts = max(1, min(experiment.shots, round(self._seconds(index) / target)))
            left = chain(range(parts))
        for part in left:
            yield Piece(
                index, index + 1, 0, experiment.shots, experiment.seed, part=part, parts=parts
            )

    def _piece_shots(self, index: int, target: float) -> int:
        whole = max(self.experiments[index].shots, 1)
        if not self._divisible(index):
            return whole
        if self.options.max_shot_size is not None:
            return self.options.max_shot_size
        if self.options.independent:
            return math.ceil(whole / INDEPENDENT_BLOCKS)
        chunks = max(1, min(whole, round(self._seconds(index, whole) / target)))
        return min(math.ceil(whole / chunks), self._most_shots(index))

    def _most_shots(self, index: int) -> int:
        """The shots of which a worker can hold the results, and at least one."""
        experiment = self.experiments[index]
        memory = experiment.memory
        if self.memory is None or not memory.shot:
            return max(experiment.shots, 1)
        room = self.memory - memory.working - memory.saved
        return max(int(room / memory.shot), 1)

    def _packed(self, index: int, pieces: list[Piece], target: float) -> Iterator[Task]:
        """Tasks of one experiment's pieces: one each, or several where blocks are small."""
        one_each = (
            pieces[0].parts > 0
            or not self.options.independent
            or self.options.max_shot_size is not None
        )
        batch: list[Piece] = []
        filled = 0.0
        for piece in pieces:
            if batch and (one_each or filled >= target):
                yield self._task(batch, filled)
                batch, filled = [], 0.0
            batch.append(piece)
            filled += self._seconds(index, piece.shots) * piece.share
        yield self._task(batch, filled)

    def _grouped(self, group: list[int], seconds: float) -> list[Task]:
        """One task of whole experiments that follow one another; no task for none."""
        if not group:
            return []
        starts: list[int] = []
        for index in group:
            if not starts or self._starts_piece(index, index - starts[-1]):
                starts.append(index)
        pieces = [
            Piece(
                start, stop, 0, self.experiments[start].shots, self._seed(start, 0),
                shares=stop > start + 1 and self._can_share(start),
                parts=int(self.experiments[start].trajectories is not None),
            )
            for start, stop in zip(starts, [*starts[1:], group[-1] + 1], strict=True)
        ]  # fmt: skip
        return [self._task(pieces, seconds)]

    def _can_share(self, index: int) -> bool:
        """Whether the row of an experiment shares what it has in common with its neighbours.

        Not where a worker has no room for the states that they keep for each other.
        """
        memory, shared = self.experiments[index].memory, self.experiments[index].shared
        needed = memory.working + self._output(index) + shared
        return shared > 0 and (self.memory is None or needed <= self.memory)

    def _task(self, pieces: list[Piece], seconds: float) -> Task:
        self._cut += 1
        parts = [(self.experiments[index].memory, piece.shots)
                 for piece in pieces for index in range(piece.start, piece.stop)]  # fmt: skip
        working = max(memory.working for memory, _ in parts)
        states = max(self.experiments[p.start].shared if p.shares else 0 for p in pieces)
        output = sum(memory.output(shots) for memory, shots in parts)
        return Task(tuple(pieces), seconds, working + states + output)

    def _starts_piece(self, index: int, length: int) -> bool:
        """Whether an experiment does not belong to the piece of so many before it.

        It needs a seed that does not follow from theirs, or they are many.
        """
        before, experiment = self.experiments[index - 1], self.experiments[index]
        if before.batch != experiment.batch or experiment.trajectories is not None:
            return True
        if before.circuit != experiment.circuit and any(map(self._can_share, (index - 1, index))):
            return True
        is_full = self.options.independent or length >= experiment.together
        return is_full and not experiment.inseparable

    def _seed(self, index: int, first_shot: int) -> int:
        experiment = self.experiments[index]
        if not self.options.independent:
            return seed_of(experiment.seed, experiment.ordinal, first_shot)
        words = f"{experiment.seed} {experiment.ordinal} {first_shot}".encode()
        return int.from_bytes(hashlib.sha256(words).digest()[:8], "big") >> 1
