"""A compiled circuit and a noise model as what shots can share: blocks, sites and measurements.

Here is decided which circuits are eligible. What is not is refused with a sentence that names it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from typing import NamedTuple

import numpy as np
from qiskit.quantum_info import Pauli

from ..compile.columns import Columns
from ..compile.instructions import Call
from ..compile.operations import operations_of
from ..compile.program import Program
from ..compile.sampling import contributing
from .blocks import Block, Fusion, Site
from .channels import complex_matrix, gate_matrix
from .refusal import refusal
from .rules import Rules

#: The largest circuits: a state of more qubits takes over 256 MiB, and several are alive at once.
MOST_QUBITS = 24
_MOST_GATE_QUBITS = 3
_CLASSICAL = frozenset({"bfunc", "jump", "mark", "store"})


class Measurement(NamedTuple):
    """A qubit that is measured into a classical bit.

    ``readout`` are the probabilities of what is written down, a row for each value measured; None
    for no error.
    """

    qubit: int
    bit: int
    readout: np.ndarray | None


@dataclass(frozen=True)
class NoisyCircuit:
    """Blocks of operations with the places where errors may happen, and measurements at the end.

    Qubits are counted from 0 among those that matter to the measurements.
    """

    num_qubits: int
    num_bits: int
    blocks: tuple[Block, ...]
    measurements: tuple[Measurement, ...]

    @classmethod
    def of(cls, program: Program | Columns, rules: Rules) -> NoisyCircuit:
        """Read a compiled circuit.

        Args:
            program: the circuit, with all its parameters bound.
            rules: of the noise model, which may serve many circuits.

        Raises:
            AerError: if shots cannot share trajectories, naming the instruction or error.
        """
        reader = _Reader(rules)
        operations = contributing(operations_of(program), truncate=True)
        for call in reversed(list(operations.backwards())):
            reader.read(call)
        return reader.circuit(program.num_memory)

    @cached_property
    def sites(self) -> tuple[Site, ...]:
        """The places where errors may happen, block after block."""
        return tuple(chain.from_iterable(block.sites for block in self.blocks))

    @cached_property
    def site_blocks(self) -> np.ndarray:
        """The block of each site."""
        return np.repeat(np.arange(len(self.blocks)), [len(block.sites) for block in self.blocks])

    @cached_property
    def rates(self) -> np.ndarray:
        """-log of the probability that a site has its first outcome, for each site."""
        return np.array([-math.log(site.mixture[0].probability) for site in self.sites])


class _Reader:
    """Takes in the operations of a circuit, in order."""

    def __init__(self, rules: Rules) -> None:
        self._rules, self._fusion = rules, Fusion()
        self._qubits: dict[int, int] = {}
        self._measurements: list[Measurement] = []
        self._measured: set[int] = set()

    def read(self, call: Call) -> None:
        """Take in one operation."""
        if call.name == "barrier":
            return
        if _is_conditional(call):
            raise refusal(f"the condition of {call.operation or call.name!r}")
        if call.name in _CLASSICAL:
            raise refusal("conditions and other classical operations")
        if call.name == "measure":
            for qubit, bit in zip(*call.args[:2], strict=True):
                self._measure(qubit, bit)
            return
        matrix = _matrix(call)
        if matrix is None:
            raise refusal(f"the instruction {call.operation or call.name!r}")
        if not self._measured.isdisjoint(call.qubits):
            raise refusal(f"{call.operation!r} on a qubit that was measured before")
        self._add(_label(call), call.qubits, matrix)

    def circuit(self, num_bits: int) -> NoisyCircuit:
        """All that was taken in."""
        if not self._measurements:
            raise refusal("a circuit without measurements")
        if len(self._qubits) > MOST_QUBITS:
            raise refusal(f"{len(self._qubits)} qubits, and {MOST_QUBITS} at the most")
        blocks = tuple(self._fusion.blocks())
        return NoisyCircuit(len(self._qubits), num_bits, blocks, tuple(self._measurements))

    def _measure(self, qubit: int, bit: int) -> None:
        if qubit not in self._measured:
            self._add("measure", (qubit,), np.eye(2, dtype=complex))  # errors come before it
        elif self._rules.mixtures("measure", (qubit,)):
            raise refusal("a second measurement of a qubit, where measurements have errors")
        self._measured.add(qubit)
        readout = self._rules.readout(qubit)
        self._measurements.append(Measurement(self._qubits[qubit], bit, readout))

    def _add(self, name: str, qubits: Sequence[int], matrix: np.ndarray) -> None:
        mixtures = self._rules.mixtures(name, tuple(qubits))
        places = [self._qubits.setdefault(qubit, len(self._qubits)) for qubit in qubits]
        self._fusion.add(places, matrix, mixtures)


def _matrix(call: Call) -> np.ndarray | None:
    """The matrix of an operation; None if it has none, or is too wide."""
    if len(call.qubits) > _MOST_GATE_QUBITS:
        return None
    if call.name == "gate":
        name, _, params, strings = call.args[:4]
        return Pauli(strings[0]).to_matrix() if name == "pauli" else gate_matrix(name, params)
    if call.name == "unitary":
        return complex_matrix(call.args[1])
    if call.name == "diagonal":
        return np.diag(np.asarray(call.args[1], complex))
    return None


def _label(call: Call) -> str:
    """What the errors of an operation are looked up by."""
    if call.name in ("gate", "unitary"):
        return str(call.args[-1])
    return call.name


def _is_conditional(call: Call) -> bool:
    expression = call.signature.expression
    return call.is_conditional or (expression is not None and call.args[expression] is not None)
