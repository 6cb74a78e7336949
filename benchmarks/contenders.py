"""Who is measured: plain Aer, Aer with a client.map written by hand, and ours.

A case of :mod:`benchmarks.cases` asks each of them for the same: a run of circuits, estimates of
pubs, samples of pubs. All states are vectors unless a case says otherwise, all estimates exact.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import qiskit_aer
from distributed import Client
from qiskit.result import Result
from qiskit_aer import primitives as aer

import aer_dask
from benchmarks.by_hand import SEED, ByHand, estimates, exact, samples

PLAIN = "plain, 1 thread"
PLAIN_ALL = "plain, all threads"
BY_HAND = "client.map by hand"
OURS_1 = "aer_dask, 1 worker"
OURS_2 = "aer_dask, 2 workers"
OURS = (OURS_1, OURS_2)
#: With circuits that nobody has seen, and with the same circuits again.
TEMPERATURES = ("cold", "warm")


class Contender(Protocol):
    """What a case asks for."""

    def run(self, circuits: list, binds: list | None = None, **options: Any) -> Result:
        """The Result of circuits, or whatever comes in its place."""

    def estimate(self, pubs: list[tuple]) -> list[np.ndarray]:
        """Expectation values of each pub."""

    def sample(self, pubs: list[tuple]) -> list[np.ndarray]:
        """Sampled bits of each pub."""


@dataclass
class Simulation:
    """Plain Aer or ours: they take the same calls."""

    backend: qiskit_aer.AerSimulator
    estimator: aer.EstimatorV2
    sampler: aer.SamplerV2

    def run(self, circuits: list, binds: list | None = None, **options: Any) -> Result:
        """Run circuits."""
        return self.backend.run(circuits, binds, seed_simulator=SEED, **options).result()

    def estimate(self, pubs: Iterable[tuple]) -> list[np.ndarray]:
        """Expectation values of each pub."""
        return estimates(self.estimator, pubs)

    def sample(self, pubs: Iterable[tuple]) -> list[np.ndarray]:
        """Sampled bits of each pub."""
        return samples(self.sampler, pubs)


def plain(threads: int) -> Simulation:
    """Plain Aer with so many threads at most; 0 for all."""
    options = {"max_parallel_threads": threads}
    return Simulation(
        qiskit_aer.AerSimulator(**options),
        aer.EstimatorV2(options=exact(options)),
        aer.SamplerV2(seed=SEED, options={"backend_options": options}),
    )


def ours(executor: Any) -> Simulation:
    """Ours, with an executor."""
    return Simulation(
        aer_dask.AerSimulator(executor=executor),
        aer_dask.EstimatorV2(executor=executor, options=exact({})),
        aer_dask.SamplerV2(executor=executor, seed=SEED),
    )


def contenders(client: Client) -> dict[str, Contender]:
    """All of them, anew: what ours learns about durations it shall learn in each case."""
    one = next(iter(client.scheduler_info(n_workers=-1)["workers"]))
    return {
        PLAIN: plain(1),
        PLAIN_ALL: plain(0),
        BY_HAND: ByHand(client),
        OURS_1: ours(client.get_executor(workers=[one])),
        OURS_2: ours(client),
    }
