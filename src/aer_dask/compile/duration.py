"""How long a simulation takes, roughly: what tasks are cut by. Results never depend on it."""

from __future__ import annotations

from dataclasses import dataclass

from .noise import NoiseFacts

#: Seconds a gate takes on one thread: fixed part, part per amplitude, and log2 of the amplitudes
#: per qubit. Orders of magnitude, measured on one core of 2026; `runs.costs` corrects them.
_GATE: dict[str, tuple[float, float, int]] = {
    "statevector": (2e-6, 1.2e-9, 1),
    "density_matrix": (2e-6, 2e-9, 2),
    "unitary": (2e-6, 1.5e-9, 2),
    "superop": (2e-6, 1.5e-9, 4),
    "stabilizer": (1e-6, 0.0, 0),
    "matrix_product_state": (5e-5, 0.0, 0),
    "extended_stabilizer": (1e-3, 0.0, 0),
    "tensor_network": (1e-4, 1e-9, 1),
}
#: Seconds to draw and store one sampled shot, for each qubit.
_SAMPLE = {"matrix_product_state": 3e-5, "stabilizer": 5e-6, "extended_stabilizer": 1e-2}
_CIRCUIT = 5e-4  # the controller's work for a circuit of no gates
#: Seconds more that a gate of a noisy shot takes: fixed part, and part per amplitude. Errors are
#: chosen, gates are not fused; of Kraus operators one is chosen from the state.
_NOISE, _KRAUS = (1e-6, 1e-9), (8e-6, 9e-9)
#: Seconds to make one operation of an ``AerCircuit``, which is no part of what Aer reports.
MAKE = 5e-6


@dataclass(frozen=True)
class Duration:
    """Estimated seconds on one thread: all shots take ``fixed + shots * shot``.

    ``making`` is what the worker takes to make the simulator's circuit, once for all its rows.
    """

    fixed: float
    shot: float
    making: float = 0.0

    def seconds(self, shots: int) -> float:
        """Simulating all shots, before any correction by :mod:`aer_dask.runs.costs`."""
        return self.fixed + shots * self.shot


def duration(gates: int, qubits: int, method: str, *, sampled: bool, noise: NoiseFacts) -> Duration:
    """Estimate how long a circuit takes.

    Args:
        gates: how many operations contribute.
        qubits: active ones.
        method: simulation method.
        sampled: whether one evolution gives all shots.
        noise: of the run.
    """
    once, making = evolution(method, qubits, gates), gates * MAKE
    if sampled:
        return Duration(_CIRCUIT + once, qubits * _SAMPLE.get(method, 1e-8) + 2e-7, making)
    fixed, slope = _KRAUS if "kraus" in noise.instructions else _NOISE
    chosen = gates * (fixed + slope * (2.0 ** min(qubits, 60) if method == "statevector" else 0.0))
    return Duration(_CIRCUIT, once + noise.quantum * chosen, making)


def evolution(method: str, qubits: int, gates: int) -> float:
    """Seconds that so many gates take on one thread, once."""
    fixed, slope, exponent = _GATE.get(method, _GATE["statevector"])
    seconds = gates * (fixed + slope * 2.0 ** min(exponent * qubits, 60))
    return seconds + gates * qubits * 2e-9 if method == "stabilizer" else seconds
