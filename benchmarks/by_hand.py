"""What a user with a Dask cluster and plain Aer would write: cut the work, and map Aer over it.

The workers import this module; it needs Aer, and nothing of ours.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import chain, pairwise
from typing import Any

import numpy as np
import qiskit_aer
from distributed import Client
from qiskit.result import Result
from qiskit_aer import primitives as aer

SEED = 7
#: Few enough that the circuit's way to a worker is cheap, and enough to keep both workers busy.
CHUNKS = 8
ONE_THREAD = {"max_parallel_threads": 1}


class ByHand:
    """Circuits, rows, shots or pubs in chunks over the workers, each with one thread."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def run(self, circuits: list, binds: list | None = None, **options: Any) -> list[Result]:
        """Results of the chunks, in order."""
        parts: list[list] = [circuits] * CHUNKS
        rows: list[list[dict] | None] = [None] * CHUNKS
        if binds:
            rows = [*chunks_of_rows(binds)]
        elif len(circuits) == 1:
            options["shots"] //= CHUNKS
        else:
            parts = chunks(circuits)
        return self._map(simulate, parts, rows, range(SEED, SEED + CHUNKS), options=options)

    def estimate(self, pubs: list[tuple]) -> list[np.ndarray]:
        """Expectation values of each pub; those of a pub that comes alone, row by row."""
        if len(pubs) > 1:
            return list(chain.from_iterable(self._map(estimate, chunks(pubs))))
        circuit, observables, rows = pubs[0]
        parts = self._map(
            estimate, [[(circuit, observables, chunk)] for chunk in chunks(np.atleast_2d(rows))]
        )
        return [np.concatenate([values for part in parts for values in part])]

    def sample(self, pubs: list[tuple]) -> list[np.ndarray]:
        """Sampled bits of each pub."""
        return list(chain.from_iterable(self._map(sample, chunks(pubs))))

    def _map(self, function: Any, *arguments: Any, **options: Any) -> list:
        return self._client.gather(self._client.map(function, *arguments, pure=False, **options))


def chunks(items: Any) -> list:
    """Consecutive parts of nearly the same length, none of them empty."""
    bounds = np.linspace(0, len(items), min(CHUNKS, len(items)) + 1).astype(int)
    return [items[start:stop] for start, stop in pairwise(bounds)]


def chunks_of_rows(binds: list[dict]) -> list[list[dict]]:
    """The rows of a single circuit's parameters, in chunks."""
    columns = [chunks(values) for values in binds[0].values()]
    return [[dict(zip(binds[0], part, strict=True))] for part in zip(*columns, strict=True)]


def simulate(circuits: list, binds: list[dict] | None, seed: int, options: dict) -> Result:
    """The task of :meth:`ByHand.run`."""
    backend = qiskit_aer.AerSimulator(**ONE_THREAD)
    return backend.run(circuits, binds, seed_simulator=seed, **options).result()


def estimate(pubs: list[tuple]) -> list[np.ndarray]:
    """The task of :meth:`ByHand.estimate`."""
    return estimates(aer.EstimatorV2(options=exact(ONE_THREAD)), pubs)


def sample(pubs: list[tuple]) -> list[np.ndarray]:
    """The task of :meth:`ByHand.sample`."""
    return samples(aer.SamplerV2(seed=SEED, options={"backend_options": ONE_THREAD}), pubs)


def exact(backend_options: dict[str, Any]) -> dict[str, Any]:
    """Options of an estimator that adds no noise of sampling."""
    return {
        "default_precision": 0.0,
        "backend_options": {"method": "statevector", **backend_options},
    }


def estimates(estimator: Any, pubs: Iterable[tuple]) -> list[np.ndarray]:
    """Expectation values of each pub."""
    return [pub.data.evs for pub in estimator.run(pubs).result()]


def samples(sampler: Any, pubs: Iterable[tuple]) -> list[np.ndarray]:
    """Sampled bits of each pub."""
    return [pub.data.meas.array for pub in sampler.run(pubs).result()]
