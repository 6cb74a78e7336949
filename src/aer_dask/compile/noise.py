"""What matters of a noise model: to the prediction of a run, and to the circuits of one call."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from qiskit_aer.noise import NoiseModel, QuantumError, ReadoutError

#: Types of errors that happen to qubits.
_QUANTUM = frozenset({"qerror", "plerror"})


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
        quantum = [e for e in errors if e["type"] in _QUANTUM and e.get("operations")]
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


def without_unmet(model: NoiseModel, qubits: frozenset[int]) -> NoiseModel:
    """The same of a model that has not been written out, which takes far longer than this.

    Args:
        model: with local errors.
        qubits: those that the circuits of a batch have gates on.
    """
    kinds: set[str] = set()

    def met(errors: Mapping[tuple[int, ...], Any]) -> dict[tuple[int, ...], Any]:
        left = {}
        for places, error in errors.items():
            found = _kinds_of(error)
            if qubits.issuperset(places) or not found <= kinds:
                left[places] = error
                kinds.update(found)
        return left

    for error in model._default_quantum_errors.values():
        kinds |= _kinds_of(error)
    reduced = copy.copy(model)
    reduced._local_quantum_errors = {
        name: met(errors) for name, errors in model._local_quantum_errors.items()
    }
    if model._default_readout_error is not None:
        kinds |= _kinds_of(model._default_readout_error)
    reduced._local_readout_errors = met(model._local_readout_errors)
    return reduced


def local_errors(model: NoiseModel) -> int:
    """How many errors a model has of some qubits."""
    return sum(map(len, model._local_quantum_errors.values()))


def _is_met(error: dict[str, Any], qubits: frozenset[int]) -> bool:
    places = error.get("gate_qubits")
    return not places or "noise_qubits" in error or any(map(qubits.issuperset, places))


def _kinds(error: dict[str, Any]) -> set[str]:
    steps = (step for circuit in error.get("instructions", ()) for step in circuit)
    return {error["type"], *(step["name"] for step in steps)}


def _kinds_of(error: QuantumError | ReadoutError | Any) -> set[str]:
    """The same as :func:`_kinds` of the dictionary form."""
    if isinstance(error, QuantumError):
        return {"qerror"}.union(*(circuit.count_ops() for circuit in error.circuits))
    return _kinds(error.to_dict())
