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
    kept = _Kept()
    # in their order, in which Aer names kinds in its errors
    left = [e for e in noise["errors"] if kept.keeps(_is_met(e, qubits), _kinds(e))]
    return {**noise, "errors": left}


def without_unmet(model: NoiseModel, qubits: frozenset[int]) -> NoiseModel:
    """The same of a model that has not been written out, which takes far longer than this.

    Args:
        model: with local errors.
        qubits: those that the circuits of a batch have gates on.
    """
    kept = _Kept()

    def met(errors: Mapping[tuple[int, ...], Any]) -> dict[tuple[int, ...], Any]:
        return {
            places: error
            for places, error in errors.items()
            if kept.keeps(qubits.issuperset(places), _kinds_of(error))
        }

    for error in model._default_quantum_errors.values():
        kept.keeps(True, _kinds_of(error))
    reduced = copy.copy(model)
    reduced._local_quantum_errors = {
        name: met(errors) for name, errors in model._local_quantum_errors.items()
    }
    if model._default_readout_error is not None:
        kept.keeps(True, _kinds_of(model._default_readout_error))
    reduced._local_readout_errors = met(model._local_readout_errors)
    return reduced


class _Kept:
    """Which errors are kept, asked in their order: those that are met, and one of each kind."""

    def __init__(self) -> None:
        self._kinds: set[str] = set()

    def keeps(self, is_met: bool, kinds: set[str]) -> bool:
        """Whether an error of these kinds is."""
        if not is_met and kinds <= self._kinds:
            return False
        self._kinds |= kinds
        return True


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
