"""Which operations Aer simulates, and whether it draws all shots from one final state.

Both decide about exactness and are followed to the letter: shots may be split only where they are
simulated one by one.
"""

from __future__ import annotations

from .instructions import Call
from .noise import NoiseFacts
from .operations import Operations

#: Methods whose states are mixed: noise and channels become part of one evolution.
MIXED_STATE = frozenset({"density_matrix", "unitary", "superop"})
#: Operations that make each shot of a pure state differ.
_STOCHASTIC = frozenset({"reset", "kraus", "superop", "jump", "mark", "store"})


def contributing(operations: Operations, truncate: bool) -> Operations:
    """The operations left after Aer has dropped those that change no result.

    Args:
        operations: of the whole circuit.
        truncate: whether Aer drops any.
    """
    if not truncate:
        return operations
    needed: set[int] = set()
    kept, before = [], len(operations)
    for call in operations.backwards():
        if len(needed) == len(operations.touched):
            break  # whatever comes before touches one of them
        before -= 1
        if _contributes(call, needed):
            kept.append(before)
    if before + len(kept) == len(operations):
        return operations
    return operations.picked([*range(before), *reversed(kept)])


def _contributes(call: Call, needed: set[int]) -> bool:
    """Whether the operation can change a result; walks from the end of the circuit.

    ``Circuit::check_result_ancestor`` in framework/circuit.hpp.
    """
    if call.name == "bfunc":
        return True
    qubits = call.qubits
    gives_result = call.is_save or call.name in ("measure", "roerror", "store")
    if not gives_result and needed.isdisjoint(qubits):
        return False
    needed.update(qubits)
    return True


def can_sample(operations: Operations) -> bool:
    """Whether the measurements commute to the end of the circuit, with nothing saved after one.

    ``Circuit::can_sample``, as ``set_params`` in framework/circuit.hpp finds it.

    Args:
        operations: those that contribute.
    """
    if "store" in operations.methods or operations.starts_anew():
        return False
    measured: set[int] = set()
    for call in operations.since_measurement():
        if call.is_conditional or call.is_save:
            return False
        if call.name in ("measure", "roerror"):
            measured.update(call.qubits)
        elif not measured.isdisjoint(call.qubits):
            return False
    return True


def is_sampled(operations: Operations, method: str, noise: NoiseFacts) -> bool:
    """Whether one evolution gives all shots; otherwise each shot is simulated on its own.

    ``Executor::check_measure_sampling_opt`` and ``run_circuit`` in simulators/circuit_executor.hpp.

    Args:
        operations: those that contribute.
        method: simulation method, not ``automatic``.
        noise: of the run.
    """
    if not can_sample(operations):
        return False
    if method in MIXED_STATE:
        return True
    return not noise.quantum and operations.methods.isdisjoint(_STOCHASTIC)
