"""A state that matrices are applied to: an array of numpy's for few qubits, else Aer's own state.

``AerStateWrapper`` is private to qiskit-aer; what ``AerState`` is made of. Nothing else in the
package touches it. To hand a state to it and take it back costs more than a small state does.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from qiskit_aer.backends.controller_wrappers import AerStateWrapper

#: The largest states that numpy is faster with; Aer has threads for larger ones.
MOST_QUBITS_OF_NUMPY = 14
#: Multiplications that OpenBLAS does with one thread.
_ONE_THREAD = 2**15
#: No fusion: which gates are fused would depend on what is simulated before and after them.
_CONFIGURATION = {
    "method": "statevector",
    "device": "CPU",
    "precision": "double",
    "fusion_enable": "false",
}


class Engine(Protocol):
    """A state vector of some qubits, which is there between :meth:`load` and :meth:`unload`."""

    def load(self, amplitudes: np.ndarray) -> None:
        """Begin with a state, which stays as it is: 2**num_qubits amplitudes, little-endian."""

    def apply(self, qubits: Sequence[int], matrix: np.ndarray) -> None:
        """Multiply by a matrix, unitary or not, that is little-endian in the qubits."""

    def unload(self) -> np.ndarray:
        """Take the state out; nothing is loaded from then on."""


def engine(num_qubits: int, threads: int = 1) -> Engine:
    """An engine for so many qubits.

    A product has the same bits with any number of threads: each amplitude is computed by one.

    Args:
        num_qubits: of the states.
        threads: of OpenMP, from 15 qubits on; 0 for as many as there are.
    """
    if num_qubits <= MOST_QUBITS_OF_NUMPY:
        return NumpyEngine(num_qubits)
    return AerEngine(num_qubits, threads)


def rows(values: np.ndarray, qubits: Sequence[int]) -> np.ndarray:
    """What stands at the places of amplitudes, a row for each value of some qubits."""
    total = len(values).bit_length() - 1
    axes = [total - 1 - qubit for qubit in reversed(qubits)]
    tensor = np.moveaxis(values.reshape([2] * total), axes, range(len(qubits)))
    return np.ascontiguousarray(tensor).reshape(2 ** len(qubits), -1)


class NumpyEngine:
    """An :class:`Engine` for few qubits.

    Its arrays are used again and again: memory that is given back and asked for anew comes page by
    page, which takes longer than the multiplication.
    """

    def __init__(self, num_qubits: int) -> None:
        self._num_qubits = num_qubits
        self._places: dict[tuple[int, ...], np.ndarray] = {}
        self._tables: dict[tuple[int, ...], np.ndarray] = {}
        self._state = np.empty(2**num_qubits, complex)

    def load(self, amplitudes: np.ndarray) -> None:
        """As :meth:`Engine.load`."""
        np.copyto(self._state, amplitudes)

    def apply(self, qubits: Sequence[int], matrix: np.ndarray) -> None:
        """As :meth:`Engine.apply`."""
        places = self._rows(tuple(qubits))
        if places.shape not in self._tables:
            self._tables[places.shape] = np.empty((2, *places.shape), complex)
        before, after = self._tables[places.shape]
        np.take(self._state, places, out=before, mode="clip")  # "raise" would make a copy
        np.matmul(matrix, before, out=after)
        self._state[places] = after

    def unload(self) -> np.ndarray:
        """As :meth:`Engine.unload`."""
        return self._state.copy()

    def _rows(self, qubits: tuple[int, ...]) -> np.ndarray:
        """For each value of the qubits a row: the places of the amplitudes that have it.

        In several tables, where OpenBLAS would take threads for a single one: to start them, and to
        wait for all of them on a busy machine, takes up to a hundred times as long.
        """
        if qubits not in self._places:
            places = rows(np.arange(2**self._num_qubits), qubits)
            tables = max(1, len(places) * places.size // _ONE_THREAD)
            tabled = places.reshape(len(places), tables, -1)
            self._places[qubits] = tabled.swapaxes(0, 1).copy()
        return self._places[qubits]


class AerEngine:
    """An :class:`Engine` for many qubits."""

    def __init__(self, num_qubits: int, threads: int = 1) -> None:
        self._num_qubits = num_qubits
        self._native = AerStateWrapper()
        for name, value in _CONFIGURATION.items():
            self._native.configure(name, value)
        self._native.configure("max_parallel_threads", str(threads))

    def load(self, amplitudes: np.ndarray) -> None:
        """As :meth:`Engine.load`."""
        self._native.initialize_statevector(self._num_qubits, amplitudes, True)

    def apply(self, qubits: Sequence[int], matrix: np.ndarray) -> None:
        """As :meth:`Engine.apply`."""
        self._native.apply_unitary(qubits, matrix)

    def unload(self) -> np.ndarray:
        """As :meth:`Engine.unload`."""
        self._native.flush()
        amplitudes: np.ndarray = self._native.move_to_ndarray()
        self._native.clear()
        return amplitudes
