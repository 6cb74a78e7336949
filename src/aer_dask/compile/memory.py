"""How much memory a circuit takes on a worker: while it is simulated, and for what it gives.

What Aer gives is held twice: by the child process, until the last byte has left it, and by the
worker, which keeps it for the client. Python objects (dictionaries, strings) take many times what
they hold. The constants below were measured as the peaks of both processes together with
qiskit-aer 0.18.2; tests/unit/test_memory.py holds each kind of save to them.

Nothing is said of what the state of a method takes whose size depends on what is simulated: matrix
product states, and the tensors of ``save_matrix_product_state``.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from qiskit_aer import AerError

from .instructions import Call
from .operations import Operations

#: log2 of the numbers in a state, for each qubit; other methods' states are small.
_EXPONENT = {"statevector": 1, "density_matrix": 2, "unitary": 2, "superop": 4}
#: What ``save_state`` saves, by method (``aer_simulator`` names it after the method, too).
_STATE = {
    "statevector": "save_statevector", "density_matrix": "save_density_matrix",
    "matrix_product_state": "save_matrix_product_state", "stabilizer": "save_stabilizer",
    "unitary": "save_unitary", "superop": "save_superop", "extended_stabilizer": "save_statevector",
    "tensor_network": "save_statevector",
}  # fmt: skip
#: Saves that take the state itself where they are the last operation (``final_op`` in the
#: ``apply_op`` of each method's state).
_MOVED = {
    "statevector": "save_statevector", "density_matrix": "save_density_matrix",
    "unitary": "save_unitary", "superop": "save_superop",
}  # fmt: skip

_COPIES = 2  # in the child and in the worker
_COMPLEX, _REAL = 16, 8
#: An entry of a dictionary, as a node in C++, two Python objects and a part of a pickle.
_AMPLITUDE_ENTRY, _PROBABILITY_ENTRY = 528, 228
#: An index that ``save_amplitudes`` is asked for, as a Python integer and in Aer.
_INDEX = 60
#: An array that is one of many in a list, beside its numbers.
_ARRAY = 750
#: A shot that is drawn from the final state, and one that is written down with ``memory=True``.
_SAMPLE, _SAMPLE_WRITTEN, _SHOT_WRITTEN = 118, 153, 100
#: A different outcome, in the counts alone and with ``memory=True``, and each of its hex digits.
_OUTCOME, _OUTCOME_WRITTEN, _DIGIT = 70, 170, 10
#: Items that an average needs room for while the next shot's is added (subtypes/accum_data.hpp).
_ADDING = 1
#: What the matrix product state multiplies its tensors in, in statevectors of the saved qubits.
_CONTRACTION = 10

#: What is saved of so many qubits, with its copies.
ITEMS: dict[str | None, Callable[[int], int]] = {
    "save_statevector": lambda qubits: _COPIES * _COMPLEX * 2**qubits,
    "save_statevector_dict": lambda qubits: _AMPLITUDE_ENTRY * 2**qubits,
    "save_density_matrix": lambda qubits: _COPIES * _COMPLEX * 4**qubits,
    "save_unitary": lambda qubits: _COPIES * _COMPLEX * 4**qubits,
    "save_superop": lambda qubits: _COPIES * _COMPLEX * 16**qubits,
    "save_probabilities": lambda qubits: _COPIES * _REAL * 2**qubits,
    "save_probabilities_dict": lambda qubits: _PROBABILITY_ENTRY * 2**qubits,
    "save_expval": lambda qubits: _COPIES * _REAL,
    "save_expval_var": lambda qubits: 2 * _COPIES * _REAL,
    # a letter for each qubit of 2n generators: in C++, in Python and pickled
    "save_stabilizer": lambda qubits: 6 * qubits * (qubits + 1),
    "save_clifford": lambda qubits: 6 * qubits * (qubits + 1),
    "save_matrix_product_state": lambda qubits: 0,
}
#: Saves of chosen amplitudes, which need memory for each of them: bytes of one number.
AMPLITUDES: dict[str | None, int] = {"save_amplitudes": _COMPLEX, "save_amplitudes_sq": _REAL}


@dataclass(frozen=True)
class Memory:
    """Bytes that one circuit takes (one row of its bindings).

    ``required`` is what Aer's own check compares with ``max_memory_mb``; ``working`` is taken only
    while the circuit is simulated; ``saved``, and ``shot`` for each shot, until the results have
    left the worker, with all copies.
    """

    required: int = 0
    working: int = 0
    saved: int = 0
    shot: float = 0.0

    def output(self, shots: int) -> int:
        """What the results of so many shots take."""
        return self.saved + math.ceil(shots * self.shot)


def memory(operations: Operations, method: str, config: dict[str, Any], *, sampled: bool) -> Memory:
    """Estimate what a circuit takes.

    Args:
        operations: those that contribute.
        method: simulation method, not ``automatic``.
        config: options of the run.
        sampled: whether one evolution gives all shots.
    """
    qubits, bits = operations.active, len(operations.measured)
    required = state_bytes(method, qubits, config.get("precision", "double"))
    working, saved = required, 0
    shot = _shot_bytes(bits, config, sampled=sampled)
    for call, count in operations.saves_by_kind():
        item = _item_bytes(call, qubits, method, required)
        times, per_shot = _kept(call.subtype, bits, config["shots"], sampled=sampled)
        saved += count * times * item
        shot += count * per_shot * (item + _ARRAY * (call.operation != "save_expval"))
        working = max(working, required + _transient(call, method) - item)
    if (last := next(operations.backwards(), None)) and _is_moved(last, method):
        working -= required
    return Memory(required, working, saved, shot)


def state_bytes(method: str, qubits: int, precision: str) -> int:
    """Memory of the state, as ``required_memory_mb`` of each Aer method counts it (0: small)."""
    if method not in _EXPONENT:
        return 0
    return int((8 if precision == "single" else 16) * 2 ** (_EXPONENT[method] * qubits))


def _is_moved(call: Call, method: str) -> bool:
    return method in _MOVED and _operation(call, method) == _MOVED[method]


def _operation(call: Call, method: str) -> str | None:
    return _STATE.get(method) if call.operation == "save_state" else call.operation


def _item_bytes(call: Call, qubits: int, method: str, state: int) -> int:
    """What one thing saved takes, with its copies; of a state itself, of its own precision."""
    saved = len(call.qubits)
    operation = _operation(call, method)
    if _is_moved(call, method) and saved == qubits:
        return _COPIES * state
    if operation in AMPLITUDES:
        return len(call.args[2]) * (_INDEX + _COPIES * AMPLITUDES[operation])
    if operation not in ITEMS:
        raise AerError(f"How much memory {operation!r} takes is not known to aer_dask.")
    return ITEMS[operation](saved)


def _transient(call: Call, method: str) -> int:
    """What a save needs for a moment beside the state."""
    numbers = {"save_statevector", "save_probabilities", "save_probabilities_dict"}
    if method == "matrix_product_state" and call.operation in numbers:
        return int(_CONTRACTION * _COMPLEX * 2 ** len(call.qubits))
    return 0


def _kept(subtype: str, bits: int, shots: int, *, sampled: bool) -> tuple[int, int]:
    """How many of the things that shots save are kept: of all shots together, and of each."""
    if sampled:  # which saves once
        return 1, 0
    if subtype in ("list", "c_list"):
        return 0, 1
    values = min(shots, 2**bits) if subtype.startswith("c_") else 1
    return values + _ADDING * ("average" in subtype or "accum" in subtype), 0


def _shot_bytes(bits: int, config: dict[str, Any], *, sampled: bool) -> float:
    """What a shot takes on average: drawn, counted, and written down.

    As if all outcomes were equally likely, which is when most of them differ.
    """
    if not bits or not config["shots"]:
        return 0.0
    written = config.get("memory", False)
    drawn = _SAMPLE_WRITTEN if written else _SAMPLE
    if not sampled:
        drawn = _SHOT_WRITTEN if written else 0
    outcomes = 2.0 ** min(bits, 60)
    different = -outcomes * math.expm1(-config["shots"] / outcomes) / config["shots"]
    return drawn + different * ((_OUTCOME_WRITTEN if written else _OUTCOME) + _DIGIT * bits / 4)
