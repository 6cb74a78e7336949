"""What matters of a noise model: to the prediction of a run, and to the circuits of one call."""

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


def met_by(qubits: frozenset[int], noise: dict[str, Any]) -> dict[str, Any]:
    """The noise model without errors of qubits that a call's circuits do not have.

    Each call of the controller reads its noise model anew: 1.3 s for one of 127 qubits. Left are
    errors of any qubits, those that reach beyond a gate's qubits, which keep Aer from dropping
    idle ones, and one of each kind, because Aer asks a model whether it has that kind.

    Args:
        qubits: those that the circuits touch.
        noise: the dictionary form of the model.
    """
    if not noise:
        return noise
    left: list[dict[str, Any]] = []
    kinds: set[str] = set()
    for error in noise["errors"]:  # in their order, in which Aer names kinds in its errors
        found = _kinds(error)
        if _is_met(error, qubits) or not found <= kinds:
            left.append(error)
            kinds |= found
    return {**noise, "errors": left}


def _is_met(error: dict[str, Any], qubits: frozenset[int]) -> bool:
    places = error.get("gate_qubits")
    return not places or "noise_qubits" in error or any(map(qubits.issuperset, places))


def _kinds(error: dict[str, Any]) -> set[str]:
    steps = (step for circuit in error.get("instructions", ()) for step in circuit)
    return {error["type"], *(step["name"] for step in steps)}
