"""Which circuits can share the simulation of what their rows of parameter values have in common.

The conditions under which a row that begins at a state saved by another has the bits that it has
alone; each was found by comparing, and tests/unit/test_prefix.py compares again.
"""

from __future__ import annotations

from typing import Any

from .columns import MEASURE, Columns
from .method import is_automatic, supported
from .operations import Operations

#: How many states rows keep for each other at once, at the most.
STATES = 16
#: From how many qubits on Aer fuses gates, which gives other roundings to parts of a circuit
#: (``fusion_threshold``).
_FUSED = 14
#: Instructions from which a circuit is worth the calls of its own that each row becomes.
_LONG = 100
_COMPLEX = 16


def shared_bytes(operations: Operations, method: str, config: dict[str, Any]) -> int:
    """The memory of the states that rows keep for each other; 0 where they share nothing.

    Args:
        operations: those that contribute.
        method: simulation method.
        config: options of the run.
    """
    columns = operations.columns
    if columns is None or not _is_long(columns) or method != "statevector":
        return 0
    if is_automatic(config) and operations.listed <= supported("stabilizer"):
        return 0  # Aer decides row by row, by their angles
    if operations.active < columns.num_qubits or _reads_otherwise(columns.num_qubits, config):
        return 0
    # one more is on its way out of Aer
    return (STATES + 1) * _COMPLEX * 2**columns.num_qubits


def last_cut(columns: Columns) -> int:
    """The last instruction that rows can begin at: what was measured is not part of a state."""
    first = columns.codes.find(MEASURE)
    return len(columns.codes) if first < 0 else first


def _is_long(columns: Columns) -> bool:
    return len(columns.codes) >= _LONG


def _reads_otherwise(qubits: int, config: dict[str, Any]) -> bool:
    """Whether an option makes Aer's simulation of a part differ from that part of the whole."""
    fuses = config.get("fusion_enable", True) and qubits > config.get("fusion_threshold", _FUSED)
    return (
        fuses
        or config.get("precision", "double") != "double"
        or config.get("device", "CPU") != "CPU"
        or any(
            config.get(option)
            for option in (
                "blocking_enable", "runtime_parameter_bind_enable", "shot_branching_enable"
            )
        )
    )  # fmt: skip
