"""Parts of shots that share trajectories, in the form of an output of Aer's controller."""

from __future__ import annotations

import time
from functools import lru_cache
from typing import Any

from ..compile import codec
from ..compile.codec import TrajectoryCall
from ..trajectories import results, simulation
from ..trajectories.circuit import NoisyCircuit
from ..trajectories.draws import Draws
from ..trajectories.sampling import Patterns, sample


def simulate(call: TrajectoryCall, noise: dict[str, Any], shared: bytes) -> dict[str, Any]:
    """Simulate a part of the shots of a circuit.

    Args:
        call: which part of which circuit.
        noise: the dictionary form of the noise model.
        shared: what the noise model was decoded from, which identifies it.
    """
    begun = time.perf_counter()
    draws = Draws(call.seed, call.ordinal)
    circuit, patterns = _drawn(call.program, call.shots, draws, _Noise(shared, call.batch, noise))
    shots = simulation.simulate(circuit, patterns, draws, call.part, call.parts)
    seconds = time.perf_counter() - begun
    return {
        "results": [results.of_part(shots, seconds)],
        "success": True,
        "status": "COMPLETED",
        "metadata": {"time_taken_execute": seconds},
    }


class _Noise:
    """A noise model of a run, the same as another one where it comes from the same place."""

    def __init__(self, shared: bytes, batch: int, model: dict[str, Any]) -> None:
        self.model, self._key = model, (shared, batch)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Noise) and self._key == other._key

    def __hash__(self) -> int:
        return hash(self._key)


@lru_cache(maxsize=2)
def _drawn(
    program: bytes, shots: int, draws: Draws, noise: _Noise
) -> tuple[NoisyCircuit, Patterns]:
    """A circuit and the patterns of its shots, which all its parts need."""
    circuit = NoisyCircuit.of(codec.decode(program), noise.model)
    return circuit, sample(circuit, shots, draws)
