"""The tree of patterns, walked depth first: what patterns have in common is evolved once.

A pattern goes through the same operations on the same numbers whatever else is walked with it, so
its shots come out the same however the patterns are divided: blocks are fused beforehand, and a
state that is taken out and put in again is the same state.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from .channels import Step
from .circuit import NoisyCircuit
from .control import Condition, Jump
from .draws import Draws
from .engine import Engine, State
from .readout import write
from .sampling import Pattern, Patterns
from .saves import Sum, add

Members = list[tuple[Pattern, np.ndarray]]


@dataclass
class Statistics:
    """What a walk took: blocks applied, final states, and choices by the state."""

    blocks: int = 0
    leaves: int = 0
    choices: int = 0


class _Node(NamedTuple):
    """A state from which some shots go on.

    ``steps`` of a block that has begun come first, then all that follows from ``block`` on. The
    members' patterns agree in their first ``depth`` faults, and have no others before ``block``.
    """

    state: State
    steps: Sequence[Step]
    block: int
    depth: int
    members: Members


class Traversal:
    """Walks patterns, and draws the outcome of each of their shots.

    ``bits`` has a row for each shot of the circuit, and a column for each of its classical bits.
    ``sums`` are of what is averaged.

    Args:
        circuit: whose shots they are.
        patterns: all of them, with the faults they are made of.
        draws: the random numbers of the experiment.
        threads: to multiply with; 0 for as many as OpenMP may have.
        precision: of the amplitudes.
    """

    def __init__(
        self,
        circuit: NoisyCircuit,
        patterns: Patterns,
        draws: Draws,
        threads: int = 1,
        precision: str = "double",
    ) -> None:
        self.statistics = Statistics()
        self.sums: dict[str, Sum] = {}
        self.bits = np.zeros((patterns.size, circuit.num_bits), np.uint8)
        self._circuit, self._draws = circuit, draws
        self._ideal, self._faults = patterns.ideal, patterns.faults
        self._engine = Engine(circuit.num_qubits, threads, precision)
        self._ground = State.ground(circuit.num_qubits, precision)
        self._numbers = draws.uniform("measurement", np.arange(patterns.size))
        self._stack: list[_Node] = []
        self._drawn: list[tuple[np.ndarray, np.ndarray]] = []

    def walk(self, members: Members) -> np.ndarray:
        """Simulate the shots of some patterns, and write their bits.

        Args:
            members: patterns with shots.

        Returns:
            Which shots these are.
        """
        if not members:
            return np.empty(0, int)
        self._stack = [_Node(self._ground, (), 0, 0, members)]
        while self._stack:
            self._descend(self._stack.pop())
        shots, outcomes = map(np.concatenate, zip(*self._drawn, strict=True))
        for number, measured in enumerate(self._circuit.measurements):
            if measured.is_final:
                values = (outcomes >> measured.qubit) & 1
                write(self.bits, shots, values, number, measured, self._draws)
        return shots

    def _descend(self, node: _Node) -> None:
        """From a node to where its members part, or to their end."""
        _, steps, block, depth, members = node
        self._engine.load(node.state)
        following = self._next(members, depth)
        while True:
            for number, step in enumerate(steps):
                if step.is_choice:
                    begun = _Node(self._engine.unload(), steps[number:], block, depth, members)
                    self._choose(begun)
                    return
                self._engine.apply(step.qubits, step.operators[0])
            if block == len(self._ideal):
                self._draw(members)
                return
            if isinstance(jump := self._circuit.blocks[block], Jump):
                if len(ways := self._ways(jump, block, depth, members)) > 1:
                    self._branch(_Node(self._engine.unload(), (), block, depth, []), ways)
                    return
                ((block, members),) = ways.items()
                steps, following = (), self._next(members, depth)
                continue
            if block == following:
                if len(classes := self._classes(block, depth, members)) > 1:
                    self._part(block, depth, classes)
                    return
                steps, depth = self._faults[members[0][0][depth]].steps, depth + 1
                following = self._next(members, depth)
            else:
                steps = self._ideal[block]
            block += 1
            self.statistics.blocks += 1

    def _ways(self, jump: Jump, block: int, depth: int, members: Members) -> dict[int, Members]:
        """Members by the block with which they go on at a jump in a block."""
        target = self._circuit.marks[jump.label]
        ways: dict[int, Members] = {}
        for pattern, shots in members:
            jumps = self._meets(jump.condition, shots)
            # what would have happened on the way does not
            left = tuple(fault for fault in pattern[depth:] if self._faults[fault].block >= target)
            for way, those, some in (
                (block + 1, pattern, shots[~jumps]),
                (target, pattern[:depth] + left, shots[jumps]),
            ):
                if len(some):
                    ways.setdefault(way, []).append((those, some))
        return ways

    def _meets(self, condition: Condition | None, shots: np.ndarray) -> np.ndarray:
        """Whether the classical bits of each shot meet a condition."""
        if condition is None:
            return np.ones(len(shots), bool)
        looked_at = [bit for bit in range(self.bits.shape[1]) if condition.mask >> bit & 1]
        wanted = [condition.value >> bit & 1 for bit in looked_at]
        met: np.ndarray = (self.bits[shots][:, looked_at] == wanted).all(axis=1)
        return met

    def _branch(self, node: _Node, ways: dict[int, Members]) -> None:
        """Members that go different ways go on from the same state."""
        for block, members in ways.items():
            self._stack.append(node._replace(block=block, members=members))

    def _next(self, members: Members, depth: int) -> int:
        """The first block in which one of the members has another fault; -1 for none."""
        faults = [pattern[depth] for pattern, _ in members if len(pattern) > depth]
        return self._faults[min(faults)].block if faults else -1

    def _classes(self, block: int, depth: int, members: Members) -> dict[int, Members]:
        """Members by their fault in a block; -1 for none."""
        classes: dict[int, Members] = {}
        for pattern, shots in members:
            fault = pattern[depth] if len(pattern) > depth else -1
            here = fault >= 0 and self._faults[fault].block == block
            classes.setdefault(fault if here else -1, []).append((pattern, shots))
        return classes

    def _part(self, block: int, depth: int, classes: dict[int, Members]) -> None:
        """Members that part in a block begin there anew, each class on its own."""
        state = self._engine.unload()
        # the last that is put on the stack is the first to be walked: those without a fault, which
        # part again and again, wait, so that few states do
        for fault in sorted(classes):
            steps = self._ideal[block] if fault < 0 else self._faults[fault].steps
            below = depth if fault < 0 else depth + 1
            self._stack.append(_Node(state, steps, block + 1, below, classes[fault]))
        self.statistics.blocks += len(classes)

    def _choose(self, node: _Node) -> None:
        """One of the Kraus operators of the first step, for each shot by a number of its own."""
        state, (qubits, operators, record) = node.state, node.steps[0]
        rest, members = node.steps[1:], node.members
        weights = probabilities(state, qubits, operators)
        edges = np.cumsum(weights) / weights.sum()
        # how many steps are left says which of its block's this is
        stream = f"choice {node.block} {len(rest)}"
        every = np.concatenate([shots for _, shots in members])
        chosen = np.searchsorted(edges, self._draws.uniform(stream, every), side="right")
        if record is not None:
            measured = self._circuit.measurements[record]
            write(self.bits, every, chosen, record, measured, self._draws)
        ends = np.cumsum([len(shots) for _, shots in members])[:-1]
        picks = list(zip(members, np.split(chosen, ends), strict=True))
        for number in np.flatnonzero(np.bincount(chosen)).tolist():
            step = Step(qubits, (operators[number] / math.sqrt(weights[number]),))
            kept = [
                (pattern, shots[pick == number])
                for (pattern, shots), pick in picks
                if number in pick
            ]
            self._stack.append(node._replace(steps=(step, *rest), members=kept))
        self.statistics.choices += 1

    def _draw(self, members: Members) -> None:
        """Outcomes of shots from the final state."""
        state = self._engine.state.vector()
        shots = np.concatenate([shots for _, shots in members])
        add(self.sums, self._circuit.averages, state, len(shots))
        self.statistics.leaves += 1
        if not self._circuit.is_sampled:
            self._drawn.append((shots, np.zeros_like(shots)))
            return
        sums = np.cumsum(state.real**2 + state.imag**2, dtype=float)
        numbers = self._numbers[shots] * sums[-1]
        outcomes = np.minimum(np.searchsorted(sums, numbers, side="right"), len(sums) - 1)
        self._drawn.append((shots, outcomes))


def probabilities(
    state: State, qubits: Sequence[int], operators: Sequence[np.ndarray]
) -> np.ndarray:
    """How probable each Kraus operator on some qubits is in a state."""
    amplitudes = state.rows(qubits)
    conjugated = amplitudes.conj()
    reduced = np.array([[(a * b).sum(dtype=complex) for b in conjugated] for a in amplitudes])
    every = np.array(operators)
    found: np.ndarray = ((every @ reduced) * every.conj()).sum(axis=(1, 2)).real
    return found.clip(0.0)
