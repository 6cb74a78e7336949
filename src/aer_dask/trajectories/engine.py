"""A state that matrices are applied to: Aer's own, behind the little of it that is needed here.

``AerStateWrapper`` is private to qiskit-aer; what ``AerState`` is made of. Nothing else in the
package touches it.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from qiskit_aer.backends.controller_wrappers import AerStateWrapper

#: No fusion: which gates are fused would depend on what is simulated before and after them.
_CONFIGURATION = {
    "method": "statevector",
    "device": "CPU",
    "precision": "double",
    "fusion_enable": "false",
}


class Engine:
    """A state vector of some qubits, which is there between :meth:`load` and :meth:`unload`.

    A product has the same bits with any number of threads: each amplitude is computed by one.

    Args:
        num_qubits: of the state.
        threads: of OpenMP, from 15 qubits on; 0 for as many as there are.
    """

    def __init__(self, num_qubits: int, threads: int = 1) -> None:
        self._num_qubits = num_qubits
        self._native = AerStateWrapper()
        for name, value in _CONFIGURATION.items():
            self._native.configure(name, value)
        self._native.configure("max_parallel_threads", str(threads))

    def load(self, amplitudes: np.ndarray) -> None:
        """Begin with a copy of a state: 2**num_qubits amplitudes, little-endian."""
        self._native.initialize_statevector(self._num_qubits, amplitudes, True)

    def apply(self, qubits: Sequence[int], matrix: np.ndarray) -> None:
        """Multiply by a matrix, unitary or not, that is little-endian in the qubits."""
        self._native.apply_unitary(qubits, matrix)

    def unload(self) -> np.ndarray:
        """Take the state out; nothing is loaded from then on."""
        self._native.flush()
        amplitudes: np.ndarray = self._native.move_to_ndarray()
        self._native.clear()
        return amplitudes
