"""How much memory a simulation takes."""

from __future__ import annotations

#: log2 of the numbers in a state, for each qubit; other methods' states are small.
_EXPONENT = {"statevector": 1, "density_matrix": 2, "unitary": 2, "superop": 4}


def state_bytes(method: str, qubits: int, precision: str) -> int:
    """Memory of the state, as ``required_memory_mb`` of each Aer method counts it (0: small)."""
    if method not in _EXPONENT:
        return 0
    return int((8 if precision == "single" else 16) * 2 ** (_EXPONENT[method] * qubits))
