"""What matters of a noise model to the prediction of a run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class NoiseFacts:
    """Facts of a noise model, read from its dictionary form.

    ``quantum`` says whether it has errors on gates, ``nonlocal_`` whether some reach beyond the
    gate's qubits; ``instructions`` are the names of all operations in its errors.
    """

    quantum: bool = False
    nonlocal_: bool = False
    instructions: frozenset[str] = frozenset()

    @classmethod
    def of(cls, noise: dict[str, Any]) -> NoiseFacts:
        """Read ``NoiseModel.to_dict()``."""
        errors = noise.get("errors", [])
        quantum = [e for e in errors if e["type"] == "qerror" and e.get("operations")]
        return cls(
            quantum=bool(quantum),
            nonlocal_=any("noise_qubits" in e for e in quantum),
            instructions=frozenset(
                step["name"] for e in quantum for circuit in e["instructions"] for step in circuit
            ),
        )


NO_NOISE = NoiseFacts()
