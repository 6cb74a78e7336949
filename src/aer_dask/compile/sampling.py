"""Which operations Aer simulates, and whether it draws all shots from one final state.

Both decide about exactness and are followed to the letter: shots may be split only where they are
simulated one by one.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from .instructions import Call
from .noise import NoiseFacts

#: Methods whose states are mixed: noise and channels become part of one evolution.
MIXED_STATE = frozenset({"density_matrix", "unitary", "superop"})
#: Operations that make each shot of a pure state differ.
_STOCHASTIC = frozenset({"reset", "kraus", "superop", "jump", "mark", "store"})


def contributing(calls: Sequence[Call], truncate: bool) -> list[Call]:
    """The operations left after Aer has dropped those that change no result.

    Args:
        calls: of the whole circuit.
        truncate: whether Aer drops any.
    """
    if not truncate:
        return list(calls)
    needed: set[int] = set()
    return [call for call in reversed(calls) if _contributes(call, needed)][::-1]


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


def active_qubits(calls: Iterable[Call]) -> int:
    """How many qubits the simulation has, after truncation (``Circuit::add_op_metadata``)."""
    return len(set().union(*map(_counted_qubits, calls)))


def _counted_qubits(call: Call) -> Iterable[int]:
    """The qubits that Aer counts as used; identities of a Pauli string are not."""
    if call.name != "save_expval":
        return call.qubits
    paulis: Sequence[str] = call.args[2]
    used = {qubit for pauli in paulis for qubit, letter in zip(call.qubits, reversed(pauli),
            strict=False) if letter != "I"}  # fmt: skip
    return used or call.qubits[:1]


def can_sample(calls: Sequence[Call], qubits: int) -> bool:
    """Whether the measurements commute to the end of the circuit, with nothing saved after one.

    ``Circuit::can_sample``, as ``set_params`` in framework/circuit.hpp finds it.

    Args:
        calls: the operations that contribute.
        qubits: how many of them are active.
    """
    if any(call.name == "store" for call in calls):
        return False
    if _starts_anew(calls, qubits):
        return False
    measured: set[int] = set()
    for call in _from_first_measurement(calls):
        if call.is_conditional or call.is_save:
            return False
        if call.name in ("measure", "roerror"):
            measured.update(call.qubits)
        elif not measured.isdisjoint(call.qubits):
            return False
    return True


def _starts_anew(calls: Sequence[Call], qubits: int) -> bool:
    """Whether some qubits are initialized after the beginning, which collapses the others."""
    places = [place for place, call in enumerate(calls) if call.name == "initialize"]
    return bool(places) and places[-1] > 0 and len(calls[places[-1]].qubits) < qubits


def _from_first_measurement(calls: Sequence[Call]) -> Sequence[Call]:
    first = next((i for i, call in enumerate(calls) if call.name == "measure"), len(calls))
    return calls[first:]


def is_sampled(calls: Sequence[Call], qubits: int, method: str, noise: NoiseFacts) -> bool:
    """Whether one evolution gives all shots; otherwise each shot is simulated on its own.

    ``Executor::check_measure_sampling_opt`` and ``run_circuit`` in simulators/circuit_executor.hpp.

    Args:
        calls: the operations that contribute.
        qubits: how many of them are active.
        method: simulation method, not ``automatic``.
        noise: of the run.
    """
    if not can_sample(calls, qubits):
        return False
    if method in MIXED_STATE:
        return True
    return not noise.quantum and not any(call.name in _STOCHASTIC for call in calls)
