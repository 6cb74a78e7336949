"""What is saved at the end of a circuit and averaged over shots: expectation values, probabilities.

Shots that share a final state have the same value. The sum over all shots must not depend on how
they were cut into parts, and sums of doubles do: so a value is rounded to a multiple of 2**-50 of
the largest that it can be, and the multiples are added up as whole numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from qiskit.quantum_info import Pauli, Statevector

from ..compile.instructions import Call
from .refusal import refusal

#: Multiples in one, and how many bits of a multiple are counted apart from the others: products
#: with up to 2**37 shots fit into 64 bits.
_MULTIPLES, _LOW = 2**50, 25


class Average(NamedTuple):
    """Something that is averaged over shots: a number, or an array of numbers, for each state.

    It is saved under ``label``; no number of ``values`` is larger than ``scale``, or smaller than
    its negative.
    """

    label: str
    scale: float
    values: Callable[[Statevector], np.ndarray]


class Sum(NamedTuple):
    """A sum over shots: of the high and of the low digits of multiples of ``scale`` * 2**-50."""

    scale: float
    digits: np.ndarray


def average(call: Call, qubits: Sequence[int]) -> Average:
    """What an instruction saves.

    Args:
        call: the instruction.
        qubits: its qubits, as the state counts them.

    Raises:
        AerError: for what is no average of these kinds.
    """
    if call.subtype != "average" or call.operation not in _KINDS:
        raise refusal(f"the instruction {call.operation!r} with subtype {call.subtype!r}")
    return _KINDS[call.operation](call, list(qubits))


def _expectation_value(call: Call, qubits: list[int]) -> Average:
    _, _, names, coefficients, _, _, label = call.args
    terms = [(float(c), Pauli(name)) for c, name in zip(coefficients, names, strict=True)]

    def values(state: Statevector) -> np.ndarray:
        return np.array(sum(c * state.expectation_value(pauli, qubits).real for c, pauli in terms))

    return Average(label, sum(abs(c) for c, _ in terms) or 1.0, values)


def _probabilities(call: Call, qubits: list[int]) -> Average:
    return Average(call.args[3], 1.0, lambda state: state.probabilities(qubits))


_KINDS: dict[str | None, Callable[[Call, list[int]], Average]] = {
    "save_expval": _expectation_value,
    "save_probabilities": _probabilities,
}


def add(sums: dict[str, Sum], averages: Sequence[Average], state: np.ndarray, shots: int) -> None:
    """Add a final state that so many shots have to the sums, by label.

    Args:
        sums: of what was added before.
        averages: of the circuit.
        state: amplitudes.
        shots: how many have it.
    """
    vector = Statevector(state) if averages else None
    for label, scale, values in averages:
        multiples = np.rint(values(vector) * (_MULTIPLES / scale)).astype(np.int64)
        digits = np.stack([multiples >> _LOW, multiples & (2**_LOW - 1)]) * shots
        sums[label] = Sum(scale, sums[label].digits + digits if label in sums else digits)


def mean(scale: float, digits: np.ndarray, shots: int) -> float | np.ndarray:
    """The average over all shots: a number, or an array.

    Args:
        scale: of the sum.
        digits: of the sum.
        shots: how many there are.
    """
    pairs = digits.reshape(2, -1).T.tolist()
    found = [((high << _LOW) + low) / (_MULTIPLES * shots) * scale for high, low in pairs]
    return found[0] if digits.ndim == 1 else np.array(found)
