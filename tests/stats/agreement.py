"""Counts of one noise model's shots, against exact distributions and against plain Aer's counts."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import count
from typing import NamedTuple

import numpy as np
from qiskit import QuantumCircuit
from qiskit_aer.noise import NoiseModel
from scipy.stats import kstest

from aer_dask import AerSimulator
from tests.circuits import plain
from tests.noises import NOISES, all_rules, in_the_middle
from tests.statistics import (
    counts_of,
    exact_distribution,
    goodness_of_fit,
    homogeneity,
    together,
)

#: So probable is a false alarm in one column of the table, however many rows it has.
LEVEL = 0.01
#: Circuits, and shots of each run. Whatever has an error in some noise model is in one of them, in
#: a place where the error changes what is measured: so the seeds were chosen.
CIRCUITS = {
    "4 qubits": (all_rules(29, qubits=4, depth=4), 4000),
    "4 other qubits": (all_rules(212, qubits=4, depth=4), 4000),
    "6 qubits": (all_rules(37, qubits=6, depth=4), 4000),
    "8 qubits": (all_rules(6, qubits=8, depth=4), 4000),
    "measurements and resets in the middle": (in_the_middle(), 2000),
}
#: Runs of each circuit, with a seed each.
RUNS = 13
#: Samples of exact distributions, from which the expected error of sampling is known.
_SIMULATED = 20_000
#: Seeds that nobody has had. They are far apart: a run of plain Aer takes one for each shot.
_SEEDS: Iterator[int] = (number * 10**6 for number in count(1))


def shared_counts(circuit: QuantumCircuit, noise: NoiseModel, shots: int) -> np.ndarray:
    """How often each value comes out of shots that share trajectories, with a new seed."""
    backend = AerSimulator(noise_model=noise, noise_sampling="shared", max_parallel_threads=1)
    return counts_of(backend, circuit, shots=shots, seed_simulator=next(_SEEDS))


def aer_counts(circuit: QuantumCircuit, noise: NoiseModel, shots: int) -> np.ndarray:
    """How often each value comes out of plain Aer, shot by shot, with a new seed."""
    backend = plain(noise, method="statevector", max_parallel_threads=1)
    return counts_of(backend, circuit, shots=shots, seed_simulator=next(_SEEDS))


class Variation(NamedTuple):
    """Total variation distance: found, and expected of as many shots of the exact distribution."""

    found: float
    expected: float
    deviation: float
    p_value: float


@dataclass(frozen=True)
class Sample:
    """What came out of one circuit: ``runs`` has a row of counts for each seed."""

    distribution: np.ndarray
    runs: np.ndarray
    aer: np.ndarray

    @cached_property
    def counts(self) -> np.ndarray:
        """Of all runs."""
        return self.runs.sum(axis=0)

    @classmethod
    def of(cls, circuit: QuantumCircuit, noise: NoiseModel, shots: int) -> Sample:
        """Run a circuit with all its seeds, and with plain Aer."""
        runs = np.array([shared_counts(circuit, noise, shots) for _ in range(RUNS)])
        return cls(exact_distribution(circuit, noise), runs, aer_counts(circuit, noise, shots))


@dataclass(frozen=True)
class Row:
    """All circuits with one noise model."""

    kind: str
    samples: dict[str, Sample]

    @classmethod
    def of(cls, kind: str) -> Row:
        """Run all circuits with one of the noise models."""
        noise = NOISES[kind]()
        return cls(kind, {
            name: Sample.of(circuit, noise, shots) for name, (circuit, shots) in CIRCUITS.items()
        })  # fmt: skip

    @property
    def shots(self) -> int:
        """Those that share trajectories."""
        return sum(int(sample.counts.sum()) for sample in self.samples.values())

    @cached_property
    def p_values(self) -> list[float]:
        """Of the chi-square test of each run."""
        return [
            goodness_of_fit(counts, sample.distribution).p_value
            for sample in self.samples.values()
            for counts in sample.runs
        ]

    @cached_property
    def variation(self) -> Variation:
        """How far the counts of all runs are from exact distributions."""
        return total_variation(list(self.samples.values()))

    @cached_property
    def tests(self) -> dict[str, float]:
        """The p-value of each column."""
        each = self.samples.values()
        return {
            "uniformity": uniformity(self.p_values),
            "all shots": together(goodness_of_fit(s.counts, s.distribution) for s in each).p_value,
            "total variation": self.variation.p_value,
            "plain Aer": together(homogeneity(s.counts, s.aer) for s in each).p_value,
        }


def uniformity(p_values: list[float]) -> float:
    """How likely p-values of right counts are that are no nearer to uniform ones."""
    return float(kstest(p_values, "uniform").pvalue)


def total_variation(samples: list[Sample]) -> Variation:
    """The total variation distance of all circuits together, each weighted by its shots.

    What chance alone does is known from samples of the exact distributions. The p-value is
    two-sided: shots that are nearer to a distribution than chance allows are no sample of it.
    """
    generator = np.random.default_rng(1)
    shots = sum(sample.counts.sum() for sample in samples)
    found, chance = 0.0, np.zeros(_SIMULATED)
    for sample in samples:
        size = sample.counts.sum()
        expected = size * sample.distribution
        found += abs(sample.counts - expected).sum() / 2 / shots
        simulated = generator.multinomial(size, sample.distribution, _SIMULATED)
        chance += abs(simulated - expected).sum(axis=1) / 2 / shots
    tail = min((chance >= found).sum(), (chance <= found).sum())
    p_value = min(2 * (tail + 1) / (_SIMULATED + 1), 1.0)
    return Variation(float(found), float(chance.mean()), float(chance.std()), float(p_value))
