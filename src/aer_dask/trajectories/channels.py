"""The errors of a noise model as mixtures: which outcomes, and how probable each is.

A mixture's probabilities do not depend on the state, so its outcome can be drawn before anything is
simulated. Mixtures of unitaries are that already. Of a channel in Kraus form the part that is the
identity is peeled off (:func:`peel_identity`): what remains of it is an outcome with Kraus
operators, one of which is chosen from the state, and as a rule it is rare.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from functools import cache
from itertools import product
from typing import Any, NamedTuple

import numpy as np
from qiskit.quantum_info import Pauli

from ..compile.columns import STANDARD
from .refusal import refusal

#: Aer drops outcomes that are less probable (``QuantumError::threshold_``).
THRESHOLD = 1e-10
#: Eigenvalues of a Choi matrix below this are rounding.
_ROUNDING = 1e-9
#: The widest channels whose identity is peeled off, in qubits.
_WIDEST = 2
#: |a><b| for each a and b.
_KET_BRA = np.eye(4).reshape(2, 2, 2, 2).astype(complex)


class Step(NamedTuple):
    """Something done to qubits: a matrix, or one of several Kraus operators, as the state decides.

    Matrices are little-endian in the qubits, as Qiskit's are. Which operator it was is written down
    for the ``record``-th measurement of the circuit, if there is one.
    """

    qubits: tuple[int, ...]
    operators: tuple[np.ndarray, ...]
    record: int | None = None

    @property
    def is_choice(self) -> bool:
        """Whether the state decides."""
        return len(self.operators) > 1

    def on(self, qubits: Sequence[int]) -> Step:
        """The step, with qubits that were places among the given ones."""
        return self._replace(qubits=tuple(qubits[place] for place in self.qubits))


def reset(qubit: int) -> Step:
    """A qubit is measured, and set to zero."""
    return Step((qubit,), (_KET_BRA[0, 0], _KET_BRA[0, 1]))


def measurement(qubit: int, record: int) -> Step:
    """A qubit is measured, and what came out is written down."""
    return Step((qubit,), (_KET_BRA[0, 0], _KET_BRA[1, 1]), record)


class Outcome(NamedTuple):
    """What an error does, with what probability. No steps: nothing."""

    probability: float
    steps: tuple[Step, ...]

    @property
    def has_choice(self) -> bool:
        """Whether something in it is left to the state."""
        return any(step.is_choice for step in self.steps)


#: Outcomes of probabilities that add up to one. The first is the one that is taken for granted: no
#: error, or the most probable of those that the state does not decide about.
Mixture = tuple[Outcome, ...]


def mixtures(error: dict[str, Any]) -> list[Mixture]:
    """The independent mixtures, one after the other, that an error consists of.

    Args:
        error: a ``qerror`` or ``plerror`` of the dictionary form of a noise model; its qubits are
            places among those of the gate.

    Raises:
        AerError: for an instruction that cannot be read, naming it.
    """
    if "rates" in error:
        return [_generator(*each) for each in zip(error["rates"], error["instructions"],
                strict=True) if each[0] > THRESHOLD]  # fmt: skip
    outcomes = [
        outcome
        for probability, instructions in zip(
            error["probabilities"], error["instructions"], strict=True
        )
        if probability > THRESHOLD
        for outcome in _outcomes(probability, instructions)
    ]
    return [_in_order(_merged(outcomes))]


def _generator(rate: float, instructions: list[dict[str, Any]]) -> Mixture:
    """A generator of a Pauli-Lindblad error (``QuantumError::sample_noise_generators``)."""
    steps = tuple(step for instruction in instructions for step in _steps(instruction))
    probability = -math.expm1(-2 * rate) / 2
    return _in_order([Outcome(1 - probability, ()), Outcome(probability, steps)])


def _outcomes(probability: float, instructions: list[dict[str, Any]]) -> Iterable[Outcome]:
    """The outcomes of one circuit of an error: one, and more for each channel that is peeled."""
    parts = [_peeled(step) for instruction in instructions for step in _steps(instruction)]
    for chosen in product(*parts):
        weight = math.prod((part.probability for part in chosen), start=probability)
        yield Outcome(weight, tuple(step for part in chosen for step in part.steps))


def _peeled(step: Step) -> list[Outcome]:
    if not step.is_choice or len(step.qubits) > _WIDEST:
        return [Outcome(1.0, (step,))]
    weight, rest = peel_identity(step.operators)
    outcomes = [Outcome(weight, ()), Outcome(1 - weight, (Step(step.qubits, rest),))]
    return [outcome for outcome in outcomes if outcome.probability > THRESHOLD]


def peel_identity(kraus: Sequence[np.ndarray]) -> tuple[float, tuple[np.ndarray, ...]]:
    """The largest w such that a channel is w times the identity and (1 - w) times another channel.

    With the Choi matrix C and v = vec(1), w = 1 / (v† C⁺ v) where v is in the range of C, else 0:
    the largest w for which C - w v v† has no negative eigenvalue.

    Args:
        kraus: Kraus operators of the channel.

    Returns:
        w, and Kraus operators of the other channel; none if w is 1.
    """
    dimension = len(kraus[0])
    choi = sum(np.outer(k.ravel(), k.ravel().conj()) for k in kraus)
    identity = np.eye(dimension).ravel()
    values, vectors = np.linalg.eigh(choi)
    kept = values > _ROUNDING * values[-1]
    parts = vectors[:, kept].conj().T @ identity  # of the identity in the range of C
    if abs(vectors[:, kept] @ parts - identity).max() > 1e-7:
        return 0.0, tuple(kraus)
    weight = 1 / (abs(parts) ** 2 / values[kept]).sum()
    if weight > 1 - THRESHOLD:
        return 1.0, ()
    values, vectors = np.linalg.eigh(choi - weight * np.outer(identity, identity))
    rest = tuple(
        math.sqrt(value / (1 - weight)) * vector.reshape(dimension, dimension)
        for value, vector in zip(values, vectors.T, strict=True)
        if value > _ROUNDING * (1 - weight)
    )
    return float(weight), rest


def _merged(outcomes: Iterable[Outcome]) -> list[Outcome]:
    """Equal outcomes as one, with probabilities that add up to one."""
    found: dict[Any, Outcome] = {}
    for probability, steps in outcomes:
        key = tuple((step.qubits, *(k.tobytes() for k in step.operators)) for step in steps)
        before = found[key].probability if key in found else 0.0
        found[key] = Outcome(before + probability, steps)
    total = sum(outcome.probability for outcome in found.values())
    return [Outcome(p / total, steps) for p, steps in found.values()]


def _in_order(outcomes: Sequence[Outcome]) -> Mixture:
    return tuple(sorted(outcomes, key=lambda o: (o.has_choice, -o.probability)))


def _steps(instruction: dict[str, Any]) -> list[Step]:
    """An instruction of an error; nothing for an identity."""
    name, qubits = instruction["name"], tuple(instruction["qubits"])
    params = instruction.get("params", [])
    if instruction.get("condition"):
        raise refusal(f"the condition of {name!r} in an error of the noise model")
    if name == "reset":
        return [reset(qubit) for qubit in qubits]
    if name == "kraus":
        return [Step(qubits, tuple(map(complex_matrix, params)))]
    matrix = _unitary(name, params)
    return [] if np.array_equal(matrix, np.eye(len(matrix))) else [Step(qubits, (matrix,))]


def _unitary(name: str, params: list[Any]) -> np.ndarray:
    if name == "unitary":
        return complex_matrix(params[0])
    if name == "pauli":
        return _pauli(params[0])
    if (matrix := gate_matrix(name, params)) is None:
        raise refusal(f"the instruction {name!r} in an error of the noise model")
    return matrix


@cache
def _pauli(name: str) -> np.ndarray:
    return Pauli(name).to_matrix()


def gate_matrix(name: str, params: Sequence[Any]) -> np.ndarray | None:
    """The matrix of one of Qiskit's standard gates; None for any other name."""
    if name == "delay":
        return np.eye(2, dtype=complex)
    gate = STANDARD.get(name)
    if gate is None or not hasattr(gate, "to_matrix"):
        return None
    taken = [float(np.real(value)) for value in params[: len(gate.params)]]
    return np.asarray(gate.base_class(*taken).to_matrix(), complex)


def complex_matrix(value: Any) -> np.ndarray:
    """A matrix, of numbers or of pairs of real and imaginary parts, as JSON has them."""
    matrix = np.asarray(value)
    if matrix.ndim == 3:
        matrix = matrix[..., 0] + 1j * matrix[..., 1]
    return np.asarray(matrix, complex)
