"""Operations fused into blocks of few qubits, and the places in them where errors may happen.

A block is what a trajectory applies at once, as one matrix unless the state has to decide about
something in it. Operations that follow one another on the qubits of a block become part of it;
blocks have two qubits, or as many as their widest gate.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
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
            ((number, outcome),) = outcomes.items()
            before, after = self._around[number]
            places, mixture = self.sites[number]
            return self._joined([before, *_on(places, mixture[outcome]), after])
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

    @cached_property
    def _around(self) -> list[tuple[Step, Step]]:
        """What comes before and after each site where all others have their first outcome.

        Nothing if something of that is a choice.
        """
        if any(site.mixture[0].has_choice for site in self.sites):
            return []
        identity = np.eye(2 ** len(self.qubits), dtype=complex)

        def first(part: np.ndarray | Site) -> np.ndarray:
            if isinstance(part, np.ndarray):
                return part
            joined = self._joined(_on(part.places, part.mixture[0]))
            return joined[0].operators[0] if joined else identity

        matrices = list(map(first, self.parts))
        before = accumulate(matrices, lambda product, matrix: matrix @ product, initial=identity)
        after = accumulate(matrices[:0:-1], lambda product, matrix: product @ matrix,
                           initial=identity)  # fmt: skip
        pairs = zip(self.parts, before, [*after][::-1], strict=False)
        return [(self._whole(b), self._whole(a)) for part, b, a in pairs if isinstance(part, Site)]


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
    size = len(places)
    # an identity whose row index is one axis for each qubit, the last qubit first
    identity = np.eye(2**width, dtype=complex).reshape([2] * width + [2**width])
    axes = [width - 1 - place for place in reversed(places)]
    product = np.tensordot(matrix.reshape([2] * 2 * size), identity, (range(size, 2 * size), axes))
    return np.moveaxis(product, range(size), axes).reshape(2**width, 2**width)
