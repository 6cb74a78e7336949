"""Which shot has which fault where: the patterns, drawn before anything is simulated.

A *fault* is an outcome of a site other than its first one. Those of a block that come to the same
matrix, up to a phase, are one and the same.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter

import numpy as np

from .channels import Step
from .circuit import NoisyCircuit
from .draws import Draws

#: Faults of one shot, by number, in the order of their blocks.
Pattern = tuple[int, ...]
#: Two matrices are the same whose entries are at the same multiples of the inverse of this.
_EQUAL = 1e10


@dataclass(frozen=True)
class Fault:
    """What a block does in place of what it does without faults."""

    block: int
    steps: tuple[Step, ...]


@dataclass(frozen=True)
class Patterns:
    """The patterns of all shots.

    ``faults`` are numbered in the order of their blocks. ``shots`` has the shots of each pattern;
    its keys are sorted, so that neighbours have the most in common. ``ideal`` is what each block
    does without faults.
    """

    faults: tuple[Fault, ...]
    shots: dict[Pattern, np.ndarray]
    ideal: tuple[tuple[Step, ...], ...]

    @property
    def size(self) -> int:
        """How many shots there are."""
        return sum(map(len, self.shots.values()))


def sample(circuit: NoisyCircuit, shots: int, draws: Draws) -> Patterns:
    """Draw the pattern of each shot.

    Args:
        circuit: with the sites.
        shots: how many there are.
        draws: the random numbers of the experiment.
    """
    ideal = tuple(block.steps({}) for block in circuit.blocks)
    table = _Faults(circuit, ideal)
    drawn: dict[int, list[int]] = defaultdict(list)  # of most shots there is nothing to keep
    for shot, faults in _by_block(circuit, shots, draws):
        number = table.number(*faults)
        if number is not None:
            drawn[shot].append(number)
    order = sorted(range(len(table.faults)), key=lambda number: table.faults[number].block)
    ranks = np.argsort(order).tolist()
    found: dict[Pattern, list[int]] = {}
    for shot, numbers in drawn.items():
        found.setdefault(tuple(ranks[number] for number in numbers), []).append(shot)
    clean = np.ones(shots, bool)
    clean[list(drawn)] = False
    of_patterns: dict[Pattern, np.ndarray] = {}
    if clean.any():
        of_patterns[()] = np.flatnonzero(clean)
    of_patterns |= {pattern: np.array(found[pattern]) for pattern in sorted(found)}
    return Patterns(tuple(table.faults[number] for number in order), of_patterns, ideal)


def events(circuit: NoisyCircuit, shots: int, draws: Draws) -> tuple[np.ndarray, ...]:
    """All faults of all shots.

    A site has a fault with probability 1 - exp(-rate), as if faults came at the points of a Poisson
    process of rate 1 along the sum of all rates. So each shot goes from fault to fault by steps
    that are distributed exponentially, and takes time only where it has one.

    Returns:
        Shots, sites and outcomes, sorted by shot and then by site.
    """
    ends, outcomes = np.cumsum(circuit.rates), _Outcomes(circuit)
    alive, at = np.arange(shots), np.zeros(shots)
    found: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []
    while len(alive) and len(ends):
        number = len(found)
        at = at - np.log1p(-draws.uniform(f"gap {number}", alive))
        sites = np.searchsorted(ends, at, side="right")
        inside = sites < len(ends)
        alive, sites = alive[inside], sites[inside]
        at = ends[sites]
        chosen = outcomes.chosen(sites, draws.uniform(f"outcome {number}", alive))
        found.append((alive, sites, chosen))
    if not found:
        return (np.empty(0, int),) * 3
    all_shots, all_sites, all_outcomes = map(np.concatenate, zip(*found, strict=True))
    order = np.argsort(all_shots, kind="stable")
    return all_shots[order], all_sites[order], all_outcomes[order]


class _Outcomes:
    """The faults of all sites, by their probabilities, in one table."""

    def __init__(self, circuit: NoisyCircuit) -> None:
        counts = [len(site.mixture) - 1 for site in circuit.sites]
        self._first = np.cumsum([0, *counts])
        # what site k has stands between k and k + 1
        self._edges = np.concatenate(
            [np.empty(0)]
            + [number + _cumulated([o.probability for o in site.mixture[1:]])
               for number, site in enumerate(circuit.sites) if len(site.mixture) > 1]
        )  # fmt: skip

    def chosen(self, sites: np.ndarray, numbers: np.ndarray) -> np.ndarray:
        """Which outcome each of some sites has, by uniform numbers."""
        at = np.searchsorted(self._edges, sites + numbers, side="right")
        return np.minimum(at, self._first[sites + 1] - 1) - self._first[sites] + 1


def _cumulated(probabilities: list[float]) -> np.ndarray:
    sums = np.cumsum(probabilities)
    return sums / sums[-1]


def _by_block(
    circuit: NoisyCircuit, shots: int, draws: Draws
) -> Iterator[tuple[int, tuple[int, tuple[tuple[int, int], ...]]]]:
    """For each shot, and each block in which it has faults: the block, and outcomes by site."""
    which, sites, outcomes = events(circuit, shots, draws)
    blocks = circuit.site_blocks[sites] if len(sites) else sites
    rows = zip(which.tolist(), blocks.tolist(), sites.tolist(), outcomes.tolist(), strict=True)
    for (shot, block), group in groupby(rows, key=itemgetter(0, 1)):
        yield shot, (block, tuple((site, outcome) for _, _, site, outcome in group))


class _Faults:
    """The faults that were met, each numbered when it is met first."""

    def __init__(self, circuit: NoisyCircuit, ideal: tuple[tuple[Step, ...], ...]) -> None:
        self.faults: list[Fault] = []
        self._circuit, self._ideal = circuit, list(map(_key, ideal))
        self._first_sites = np.searchsorted(circuit.site_blocks, np.arange(len(ideal))).tolist()
        self._known: dict[tuple[tuple[int, int], ...], int | None] = {}
        self._equal: dict[tuple[int, bytes], int] = {}

    def number(self, block: int, outcomes: tuple[tuple[int, int], ...]) -> int | None:
        """The number of a fault; None where the block does what it does without one."""
        if outcomes not in self._known:
            self._known[outcomes] = self._new(block, outcomes)
        return self._known[outcomes]

    def _new(self, block: int, outcomes: tuple[tuple[int, int], ...]) -> int | None:
        first = self._first_sites[block]
        steps = self._circuit.blocks[block].steps({s - first: o for s, o in outcomes})
        if (key := _key(steps)) is not None:
            if key == self._ideal[block]:
                return None
            if (block, key) in self._equal:
                return self._equal[block, key]
            self._equal[block, key] = len(self.faults)
        self.faults.append(Fault(block, steps))
        return len(self.faults) - 1


def _key(steps: tuple[Step, ...]) -> bytes | None:
    """What a single matrix has in common with those that differ from it by a phase alone."""
    if len(steps) != 1 or steps[0].is_choice:
        return None
    matrix = steps[0].operators[0]
    # the first entry that is not small is in the same place in all of them
    large = next(entry for entry in matrix.ravel().tolist() if abs(entry) > 0.1)
    return (np.rint(matrix * (abs(large) / large * _EQUAL)) + 0.0).tobytes()  # no -0.0
