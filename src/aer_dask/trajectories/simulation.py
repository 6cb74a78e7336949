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
from .prediction import branches
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
    precision: str = "double",
) -> Shots:
    """Simulate the shots of a circuit, or one of several parts of about equal work.

    Args:
        circuit: with its noise.
        patterns: of all its shots.
        draws: the random numbers of the experiment, with which the patterns were drawn.
        part: which part, counted from 0.
        parts: how many there are.
        threads: to multiply with; 0 for as many as OpenMP may have.
        precision: of the amplitudes, as Aer's option says.
    """
    members = cut(circuit, patterns, parts)[part]
    traversal = Traversal(circuit, patterns, draws, threads, precision)
    indices = traversal.walk(members)
    # each pattern counts where its first shot is
    begun = sum(bool(patterns.shots[pattern][0] == shots[0]) for pattern, shots in members)
    return Shots(indices, traversal.bits[indices], traversal.sums, begun, traversal.statistics)


def cut(circuit: NoisyCircuit, patterns: Patterns, parts: int) -> list[Members]:
    """The patterns and their shots in parts of about equal work.

    Shots of one pattern are divided where the state decides about something in each of them.
    """
    parted = branches(circuit, patterns.size)
    items, work = list(patterns.shots.items()), _work(patterns, parted)
    ends = np.cumsum(work)
    edges = ends[-1] * np.arange(1, parts) / parts
    places = np.searchsorted(ends, edges)
    inside = 1 - (ends[places] - edges) / work[places]  # which part of a pattern is before an edge
    divisible = parted[-1] > 1
    firsts = [
        (place, round(part * len(items[place][1])) if divisible else 0)
        for place, part in zip(places.tolist(), inside.tolist(), strict=True)
    ]
    bounds = pairwise([(0, 0), *firsts, (len(items), 0)])
    return [_between(items, *begin, *end) for begin, end in bounds]


def _between(items: Members, first: int, start: int, last: int, stop: int) -> Members:
    """Members from a shot of one to before a shot of another one."""
    found = []
    for place in range(first, min(last + 1, len(items))):
        pattern, shots = items[place]
        some = shots[start if place == first else 0 : stop if place == last else None]
        if len(some):
            found.append((pattern, some))
    return found


def _work(patterns: Patterns, parted: np.ndarray) -> np.ndarray:
    """Of each pattern the blocks that it doesn't share with the one before it, and final states.

    Each counts as often as the state has ``parted`` shots of a pattern by then.
    """
    sums = np.concatenate([[0.0], np.cumsum(parted)])
    starts = [0] + [_start(patterns, *pair) for pair in pairwise(patterns.shots)]
    first, sizes = np.array(starts), np.array([len(shots) for shots in patterns.shots.values()])
    # from some block on there are as many states as shots
    full = np.maximum(np.searchsorted(parted, sizes), first)
    blocks = sums[full] - sums[first] + sizes * (len(parted) - full)
    work: np.ndarray = blocks + np.minimum(sizes, parted[-1])
    return work


def _start(patterns: Patterns, before: Pattern, after: Pattern) -> int:
    """The block in which a pattern parts from the one before it."""
    pairs = zip(before, after, strict=False)
    common = next((i for i, (a, b) in enumerate(pairs) if a != b), min(len(before), len(after)))
    return patterns.faults[after[common]].block if common < len(after) else len(patterns.ideal)
