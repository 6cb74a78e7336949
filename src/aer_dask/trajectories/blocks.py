"""Operations fused into blocks of few qubits, and the places in them where errors may happen.

A block is what a trajectory applies at once, as one matrix unless the state has to decide about
something in it. Operations that follow one another on the qubits of a block become part of it;
blocks have two qubits, or as many as their widest gate.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, cached_property, reduce
from itertools import accumulate, count
from typing import NamedTuple

import numpy as np

from .channels import Mixture, Outcome, Step
from .control import Control


class Site(NamedTuple):
    """A place where an error may happen; ``places`` are its qubits among those of the block."""

    places: tuple[int, ...]
    mixture: Mixture


@dataclass
class Block:
    """Consecutive operations on a few qubits: matrices on all of them, and sites between these."""

    qubits: tuple[int, ...]
    parts: list[np.ndarray | Site] = field(default_factory=list)

    @property
    def sites(self) -> list[Site]:
        """The places where errors may happen, in order."""
        return [part for part in self.parts if isinstance(part, Site)]

    def add(self, qubits: Sequence[int], matrix: np.ndarray, mixtures: Sequence[Mixture]) -> None:
        """Append an operation on some of the qubits, and what may happen after it."""
        places = tuple(map(self.qubits.index, qubits))
        matrix = embedded(matrix, places, len(self.qubits))
        if self.parts and isinstance(before := self.parts[-1], np.ndarray):
            self.parts[-1] = matrix @ before
        else:
            self.parts.append(matrix)
        # what has one outcome, and that is nothing, can be left out
        self.parts += [Site(places, m) for m in mixtures if len(m) > 1 or m[0].steps]

    def steps(self, outcomes: Mapping[int, int]) -> tuple[Step, ...]:
        """What the block does: as a rule a single matrix on its qubits.

        Args:
            outcomes: which outcome each of its sites has, by number; those left out have the
                first one.
        """
        if len(outcomes) == 1 and self._around:
            ((number, which),) = outcomes.items()
            (places, mixture), before, after = self._around[number]
            if mixture[which].has_choice:
                within = _on(places, mixture[which])
                return self._joined([self._whole(before), *within, self._whole(after)])
            return (Step(self.qubits, (after @ self._matrix(places, mixture[which]) @ before,)),)
        return self._joined(self._each(outcomes))

    def _joined(self, steps: Iterable[Step]) -> tuple[Step, ...]:
        """Steps on places of the block as steps on its qubits, matrices multiplied."""
        done: list[Step] = []
        for step in steps:
            if step.is_choice:
                done.append(step)
                continue
            matrix = embedded(step.operators[0], step.qubits, len(self.qubits))
            if done and not done[-1].is_choice:
                matrix = matrix @ done.pop().operators[0]
            done.append(self._whole(matrix))
        return tuple(step.on(self.qubits) for step in done)

    def _each(self, outcomes: Mapping[int, int]) -> Iterator[Step]:
        number = count()
        for part in self.parts:
            if isinstance(part, Site):
                yield from _on(part.places, part.mixture[outcomes.get(next(number), 0)])
            else:
                yield self._whole(part)

    def _whole(self, matrix: np.ndarray) -> Step:
        return Step(tuple(range(len(self.qubits))), (matrix,))

    def _matrix(self, places: Sequence[int], outcome: Outcome) -> np.ndarray:
        """What an outcome without choices on some places does to all of them."""
        width = len(self.qubits)
        matrices = [embedded(s.operators[0], s.qubits, width) for s in _on(places, outcome)]
        return reduce(lambda product, matrix: matrix @ product, matrices or [np.eye(2**width)])

    @cached_property
    def _around(self) -> list[tuple[Site, np.ndarray, np.ndarray]]:
        """Each site, and what comes before and after it if all others have their first outcome.

        Nothing if something of that is a choice.
        """
        if any(site.mixture[0].has_choice for site in self.sites):
            return []
        matrices = [
            self._matrix(part.places, part.mixture[0]) if isinstance(part, Site) else part
            for part in self.parts
        ]
        products = {"initial": np.eye(2 ** len(self.qubits), dtype=complex)}
        befores = accumulate(matrices, lambda product, matrix: matrix @ product, **products)
        afters = accumulate(matrices[:0:-1], lambda product, matrix: product @ matrix, **products)
        around = zip(self.parts, befores, [*afters][::-1], strict=False)
        return [(part, before, after) for part, before, after in around if isinstance(part, Site)]


def _on(places: Sequence[int], outcome: Outcome) -> Iterator[Step]:
    """The steps of an outcome on some places of a block."""
    return (step.on(places) for step in outcome.steps)


class Fusion:
    """Puts operations into blocks, in order; :meth:`blocks` gives them.

    Between them there may be jumps and marks, across which nothing is fused.
    """

    def __init__(self) -> None:
        self._blocks: list[Block | Control] = []
        self._last: dict[int, Block] = {}  # of each qubit
        #: operations on qubits that no block has yet
        self._waiting: dict[int, list[tuple[np.ndarray, Sequence[Mixture]]]] = {}

    def add(self, qubits: Sequence[int], matrix: np.ndarray, mixtures: Sequence[Mixture]) -> None:
        """Append an operation on some qubits, and what may happen after it."""
        block = self._last.get(qubits[0])
        if len(qubits) == 1 and block is None:
            self._waiting.setdefault(qubits[0], []).append((matrix, mixtures))
            return
        if block is None or any(self._last.get(qubit) is not block for qubit in qubits):
            block = self._begin(qubits)
        block.add(qubits, matrix, mixtures)

    def part(self, control: Control) -> None:
        """Put a jump or mark between the blocks so far and all others."""
        self.blocks().append(control)
        self._last.clear()

    def blocks(self) -> list[Block | Control]:
        """All blocks, those of qubits that never met another one last."""
        for qubit in list(self._waiting):
            self._begin((qubit,))
        return self._blocks

    def _begin(self, qubits: Sequence[int]) -> Block:
        block = Block(tuple(qubits))
        self._blocks.append(block)
        for qubit in qubits:
            self._last[qubit] = block
            for matrix, mixtures in self._waiting.pop(qubit, []):
                block.add((qubit,), matrix, mixtures)
        return block


def embedded(matrix: np.ndarray, places: Sequence[int], width: int) -> np.ndarray:
    """A matrix on some of a block's qubits as one on all of them.

    Args:
        matrix: little-endian in the places.
        places: the qubits that it acts on.
        width: how many the block has.
    """
    if tuple(places) == tuple(range(width)):
        return matrix
    values, others_agree = _digits(tuple(places), width)
    found: np.ndarray = matrix[values[:, None], values] * others_agree
    return found


@cache
def _digits(places: tuple[int, ...], width: int) -> tuple[np.ndarray, np.ndarray]:
    """For each value of all qubits that of some; for each two, whether the others are the same."""
    every = np.arange(2**width)
    values = sum((every >> place & 1) << number for number, place in enumerate(places))
    others = every & ~sum(1 << place for place in places)
    return np.asarray(values), others[:, None] == others
