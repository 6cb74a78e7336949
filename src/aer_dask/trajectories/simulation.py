"""The shots of one circuit, or a part of them, simulated with shared trajectories.

A *part* is a range of the shots in the order of their patterns. Whoever simulates one draws the
patterns of all shots anew, in far less time than it takes to send them.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from .circuit import NoisyCircuit
from .draws import Draws
from .readout import classical_bits
from .sampling import Pattern, Patterns
from .saves import Sum
from .traversal import Members, Statistics, Traversal

#: Of the scheme by which seeds become shots. Results with a seed are the same as long as it is.
SCHEME = 1


@dataclass(frozen=True)
class Shots:
    """Simulated shots.

    ``indices`` say which; ``bits`` has a row for each, and a column for each classical bit, of
    zeros and ones. ``sums`` are of what is averaged over them, by label; ``patterns`` is how many
    patterns are among them.
    """

    indices: np.ndarray
    bits: np.ndarray
    sums: dict[str, Sum]
    patterns: int
    statistics: Statistics


def simulate(
    circuit: NoisyCircuit,
    patterns: Patterns,
    draws: Draws,
    part: int = 0,
    parts: int = 1,
    threads: int = 1,
) -> Shots:
    """Simulate the shots of a circuit, or one of several parts of about equal work.

    Args:
        circuit: with its noise.
        patterns: of all its shots.
        draws: the random numbers of the experiment, with which the patterns were drawn.
        part: which part, counted from 0.
        parts: how many there are.
        threads: of OpenMP; 0 for as many as there are.
    """
    members = cut(patterns, parts)[part]
    traversal = Traversal(circuit, patterns, draws, threads)
    indices, outcomes = traversal.walk(members) if members else np.empty((2, 0), int)
    found = traversal.found[indices]
    for number, measured in enumerate(circuit.measurements):
        if measured.is_final:
            found[:, number] = (outcomes >> measured.qubit) & 1
    bits = classical_bits(circuit.measurements, circuit.num_bits, found, indices, draws)
    return Shots(indices, bits, traversal.sums, len(members), traversal.statistics)


def cut(patterns: Patterns, parts: int) -> list[Members]:
    """The patterns and their shots in parts of about equal work.

    The work of a pattern is what follows from where it parts from the one before it.
    """
    items = list(patterns.shots.items())
    ends = np.cumsum([
        _work(patterns, before, after)
        for before, after in pairwise([(), *patterns.shots])
    ])  # fmt: skip
    edges = np.searchsorted(ends, ends[-1] * np.arange(1, parts) / parts)
    bounds = [0, *edges.tolist(), len(items)]
    return [items[start:stop] for start, stop in pairwise(bounds)]


def _work(patterns: Patterns, before: Pattern, after: Pattern) -> int:
    """Blocks of a pattern that another one does not share, and one for the final state."""
    pairs = zip(before, after, strict=False)
    common = next((i for i, (a, b) in enumerate(pairs) if a != b), min(len(before), len(after)))
    total = len(patterns.ideal)
    start = patterns.faults[after[common]].block if common < len(after) else total
    return total - start + 1
