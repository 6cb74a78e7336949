"""The simulation method that ``automatic`` chooses, and where that ties circuits together.

The rules are those of qiskit-aer 0.18.2. One of them looks at shots and so decides about exactness
(:func:`prefers_density_matrix`); for the others a wrong guess costs time only.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cache
from typing import Any

from qiskit_aer import AerSimulator

from .noise import NoiseFacts
from .operations import Operations
from .sampling import can_sample

#: What `automatic` tries where neither density matrix nor stabilizer will do, in this order.
_IN_ORDER = ("statevector", "density_matrix", "matrix_product_state", "unitary", "superop")


def is_automatic(config: dict[str, Any]) -> bool:
    """Whether the options leave the method to Aer."""
    return config.get("method") in (None, "automatic")


def automatic_method(operations: Operations, noise: NoiseFacts, shots: int, *, bound: bool) -> str:
    """The method that ``automatic`` chooses.

    ``Controller::automatic_simulation_method`` in controllers/aer_controller.hpp.

    Args:
        operations: those that contribute.
        noise: of the run.
        shots: of the circuit.
        bound: whether the circuit has parameters that are bound later.
    """
    names = operations.listed
    if prefers_density_matrix(operations, noise, shots) and (
        names | noise.instructions <= supported("density_matrix")
    ):
        return "density_matrix"
    can_be_clifford = not bound and names | noise.instructions <= supported("stabilizer")
    if can_be_clifford and all(map(_is_whole, operations.turns())):
        return "stabilizer"
    for method in _IN_ORDER:
        if names <= supported(method):
            return method
    return "statevector" if operations.active else "stabilizer"


def prefers_density_matrix(operations: Operations, noise: NoiseFacts, shots: int) -> bool:
    """Whether ``automatic`` tries the density matrix first: noise, and more shots than amplitudes.

    The one rule of ``automatic`` that looks at shots. Where it does not hold for all the shots it
    holds for no slice of them, so slices choose as the whole would.
    """
    if not noise.quantum:
        return False
    qubits = operations.active
    return qubits < 30 and shots > 2**qubits and can_sample(operations)


def can_depend_on_order(config: dict[str, Any], noise: NoiseFacts) -> bool:
    """Whether circuits of a batch may influence each other; see :func:`depends_on_order`."""
    return is_automatic(config) and not noise.instructions.isdisjoint({"kraus", "superop"})


def depends_on_order(methods: Sequence[str]) -> bool:
    """Whether the circuits of a batch influence each other, so that none may run alone.

    Under ``automatic``, a pure-state circuit with Kraus noise makes Aer 0.18 compute the noise's
    superoperators; a density matrix circuit later in the batch computes them again, on top of the
    first (``NoiseModel::enable_superop_method``, ``QuantumError::compute_circuits_superoperator``),
    and comes out different from what it is alone.

    Args:
        methods: of the circuits, as predicted, of a batch for which
            :func:`can_depend_on_order` holds.
    """
    pure = [i for i, m in enumerate(methods) if m in ("statevector", "matrix_product_state")]
    mixed = [i for i, m in enumerate(methods) if m in ("density_matrix", "superop")]
    return bool(pure and mixed) and pure[0] < mixed[-1]


def _is_whole(quarter_turns: float) -> bool:
    if not math.isfinite(quarter_turns):
        return False
    return math.isclose(quarter_turns, round(quarter_turns), abs_tol=1e-8)


@cache
def supported(method: str) -> frozenset[str]:
    """The instructions that a method simulates."""
    return frozenset(AerSimulator._BASIS_GATES[method] + AerSimulator._CUSTOM_INSTR[method])
