"""What Aer will do with a program: qubits, method, memory, seconds, and whether shots may be split.

The rules are those of qiskit-aer 0.18.2's C++ sources, named at each function of the modules beside
this one. A wrong guess costs time only: :mod:`aer_dask.runs.merge` checks from Aer's own metadata
that split shots were simulated one by one, and the job runs a circuit again as a whole where they
were not.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from .columns import Columns
from .duration import Duration, duration
from .memory import Memory, memory
from .method import automatic_method, is_automatic, prefers_density_matrix
from .noise import NoiseFacts
from .operations import Operations, operations_of
from .program import Program
from .sampling import MIXED_STATE, contributing, is_sampled
from .sharing import shared_bytes

#: Methods whose sampling costs more than their evolution (``seed_policy="independent"`` splits it).
_SLOW_SAMPLING = frozenset({"matrix_product_state", "stabilizer", "extended_stabilizer"})
#: Subtypes of saved data that slices of the shots put together to the whole. Not ``c_average``: Aer
#: does not report how many shots went into a conditional average.
_MERGEABLE = frozenset({
    "single", "c_single", "list", "c_list", "accum", "c_accum", "average",
})  # fmt: skip


@dataclass(frozen=True)
class Prediction:
    """What Aer will make of one circuit (one row of its bindings).

    ``divisible`` says that any slice of the shots gives exactly the slice
    of the whole; ``samplable`` that slices with seeds of their own give the same distribution for
    less than the whole would take. ``shared`` is how many bytes of states rows of parameter values
    may keep for each other; 0 where each has to be simulated from its beginning.
    """

    qubits: int
    method: str
    memory: Memory
    duration: Duration
    divisible: bool
    samplable: bool
    shared: int = 0


def predict(
    program: Program | Columns, config: dict[str, Any], noise: NoiseFacts, *, bound: bool
) -> Prediction:
    """Predict what Aer will do with a circuit.

    Args:
        program: the compiled circuit.
        config: options of the run.
        noise: of the run.
        bound: whether the circuit has parameters that are bound later.

    Raises:
        AerError: for an instruction that is not known here.
    """
    truncate = config.get("enable_truncation", True) and not noise.nonlocal_
    operations = contributing(operations_of(program), truncate)
    qubits, shots = operations.active, config["shots"]
    automatic = is_automatic(config)
    method = (
        automatic_method(operations, noise, shots, bound=bound) if automatic else config["method"]
    )
    sampled = is_sampled(operations, method, noise)
    mixed_by_shots = automatic and prefers_density_matrix(operations, noise, shots)
    return Prediction(
        qubits=qubits,
        method=method,
        memory=memory(operations, method, config, sampled=sampled),
        duration=duration(len(operations), qubits, method, sampled=sampled, noise=noise),
        divisible=not (sampled or mixed_by_shots) and _runs_shot_by_shot(qubits, method, config)
        and _saves_can_be_merged(operations),
        samplable=method in _SLOW_SAMPLING and not automatic and not operations.saves,
        shared=shared_bytes(operations, method, config) if bound and sampled else 0,
    )  # fmt: skip


def _runs_shot_by_shot(qubits: int, method: str, config: dict[str, Any]) -> bool:
    """Whether shots that are not sampled are independent of each other, seeds and all."""
    return (
        qubits > 0
        and method not in MIXED_STATE
        and method != "tensor_network"
        and config.get("device", "CPU") == "CPU"
        and not config.get("shot_branching_enable")
    )


def _saves_can_be_merged(operations: Operations) -> bool:
    """Whether what is saved in slices of the shots can be put together to what all would save.

    Averages can where each shot saves exactly once, so not under control flow.
    """
    subtypes = {call.subtype for call in operations.saves}
    if "average" in subtypes and "jump" in operations.methods:
        return False
    return subtypes <= _MERGEABLE
