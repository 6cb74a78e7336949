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
from ..trajectories.rules import Rules
from ..trajectories.sampling import Patterns, sample
from .batches import batches


def simulate(call: TrajectoryCall, shared: bytes, options: dict[str, Any]) -> dict[str, Any]:
    """Simulate a part of the shots of a circuit.

    Args:
        call: which part of which circuit.
        shared: options and noise models of the run, encoded.
        options: of the run, of which ``max_parallel_threads`` and ``precision`` apply.
    """
    begun = time.perf_counter()
    draws = Draws(call.seed, call.ordinal)
    circuit, patterns = _drawn(call.program, call.shots, draws, shared, call.batch)
    threads, precision = options.get("max_parallel_threads"), options.get("precision")
    shots = simulation.simulate(
        circuit, patterns, draws, call.part, call.parts, threads or 0, precision or "double"
    )
    seconds = time.perf_counter() - begun
    return {
        "results": [results.of_part(shots, seconds)],
        "success": True,
        "status": "COMPLETED",
        "metadata": {"time_taken_execute": seconds},
    }


@lru_cache(maxsize=8)
def _rules(shared: bytes, batch: int) -> Rules:
    return Rules(batches(shared)[batch][1])


@lru_cache(maxsize=2)
def _drawn(
    program: bytes, shots: int, draws: Draws, shared: bytes, batch: int
) -> tuple[NoisyCircuit, Patterns]:
    """A circuit and the patterns of its shots, which all its parts need."""
    circuit = NoisyCircuit.of(codec.decode(program), _rules(shared, batch))
    return circuit, sample(circuit, shots, draws)
