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
from .channels import Mixture, Outcome, Step, complex_matrix, gate_matrix, measurement, reset
from .control import Control, Controls, Mark
from .refusal import refusal
from .rules import Rules
from .saves import Average, average

#: The largest circuits: a state of more qubits takes over 256 MiB, and several are alive at once.
MOST_QUBITS = 24
_MOST_GATE_QUBITS = 3
_CLASSICAL = frozenset({"bfunc", "jump", "mark", "store"})
_NOTHING = np.eye(2, dtype=complex)


class Measurement(NamedTuple):
    """A qubit that is measured into a classical bit.

    ``readout`` are the probabilities of what is written down, a row for each value measured; None
    for no error. ``is_final`` says that nothing happens to the qubit afterwards, nor to the bit, so
    that the value is drawn from the final state; else the state decides on the way.
    """

    qubit: int
    bit: int
    readout: np.ndarray | None
    is_final: bool


@dataclass(frozen=True)
class NoisyCircuit:
    """Blocks of operations with the places where errors may happen, measurements, and averages.

    Between blocks are jumps, which shots take whose classical bits say so, and their marks.

    Qubits are counted from 0 among those that matter to what comes out; ``operations`` is how many
    of the circuit's do.
    """

    num_qubits: int
    num_bits: int
    blocks: tuple[Block | Control, ...]
    measurements: tuple[Measurement, ...]
    averages: tuple[Average, ...]
    operations: int

    @classmethod
    def of(cls, program: Program | Columns, rules: Rules) -> NoisyCircuit:
        """Read a compiled circuit.

        Args:
            program: the circuit, with all its parameters bound.
            rules: of the noise model, which may serve many circuits.

        Raises:
            AerError: if shots cannot share trajectories, naming the instruction or error.
        """
        operations = operations_of(program)
        # the mark of a jump does not contribute to a result, but what it delimits may
        operations = contributing(operations, truncate="jump" not in operations.methods)
        calls = [call for call in operations.backwards() if call.name != "barrier"][::-1]
        reader = _Reader(rules, _final_measurements(calls, rules))
        for number, call in enumerate(calls):
            reader.read(number, call)
        return reader.circuit(program.num_memory, len(calls))

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

    @cached_property
    def marks(self) -> dict[str, int]:
        """The block of each mark."""
        blocks = enumerate(self.blocks)
        return {block.label: place for place, block in blocks if isinstance(block, Mark)}

    @property
    def is_sampled(self) -> bool:
        """Whether something is drawn from the final state."""
        return any(measured.is_final for measured in self.measurements)


def _final_measurements(calls: Sequence[Call], rules: Rules) -> set[tuple[int, int]]:
    """The measurements that may be drawn from the final state: the operation's number, a qubit."""
    touched, found, written = _last_touched(calls, rules), set(), set()
    for number, call in reversed(list(enumerate(calls))):
        if call.name == "measure":
            for qubit, bit in reversed(list(zip(*call.args[:2], strict=True))):
                # a bit that is written later on the way would be written too late
                if touched.get(qubit, -1) <= number and bit not in written:
                    found.add((number, qubit))
                else:
                    written.add(bit)
    return found


def _last_touched(calls: Sequence[Call], rules: Rules) -> dict[int, int]:
    """For each qubit the last operation that changes it, or looks at its state: its number.

    A measurement without errors does not: another one would find the same.
    """
    found: dict[int, int] = {}
    seen: set[int] = set()
    for number, call in enumerate(calls):
        # looks at what all measurements have found, or left, and not at its own qubits alone
        if call.is_save or call.name in _CLASSICAL:
            found = dict.fromkeys(seen, number)
        elif call.name != "measure":
            found |= dict.fromkeys(call.qubits, number)
        else:
            found |= {q: number for q in call.qubits if rules.mixtures("measure", (q,))}
        seen.update(call.qubits)
    return found


class _Reader:
    """Takes in the operations of a circuit, in order."""

    def __init__(self, rules: Rules, final: set[tuple[int, int]]) -> None:
        self._rules, self._final, self._fusion = rules, final, Fusion()
        self._qubits: dict[int, int] = {}
        self._measurements: list[Measurement] = []
        self._averages: dict[str, Average] = {}
        self._controls = Controls()

    def read(self, number: int, call: Call) -> None:
        """Take in one operation, which is the so-manieth of all."""
        if call.name in _CLASSICAL:
            if control := self._controls.read(call):
                self._fusion.part(control)
        elif _is_conditional(call):
            raise refusal(f"the condition of {call.operation or call.name!r}")
        elif call.is_save:
            self._save(call)
        elif call.name == "measure":
            for qubit, bit in zip(*call.args[:2], strict=True):
                self._measure(number, qubit, bit)
        elif call.name == "reset":
            for qubit in call.qubits:
                self._reset(qubit)
        else:
            self._apply(call)

    def circuit(self, num_bits: int, operations: int) -> NoisyCircuit:
        """All that was taken in."""
        if not (self._measurements or self._averages):
            raise refusal("a circuit without measurements")
        if len(self._qubits) > MOST_QUBITS:
            raise refusal(f"{len(self._qubits)} qubits, and {MOST_QUBITS} at the most")
        return NoisyCircuit(
            len(self._qubits), num_bits, tuple(self._fusion.blocks()), tuple(self._measurements),
            tuple(self._averages.values()), operations,
        )  # fmt: skip

    def _save(self, call: Call) -> None:
        if self._controls.is_open:
            raise refusal("what is saved under a condition")
        for qubit in call.qubits:
            self._touch(qubit)
        found = average(call, [self._place(qubit) for qubit in call.qubits])
        if found.label in self._averages or found.label in ("counts", "memory"):
            raise refusal(f"a second result called {found.label!r}")
        self._averages[found.label] = found

    def _apply(self, call: Call) -> None:
        if (matrix := _matrix(call)) is None:
            raise refusal(f"the instruction {call.operation or call.name!r}")
        self._add(call.qubits, matrix, self._rules.mixtures(_label(call), tuple(call.qubits)))

    def _measure(self, number: int, qubit: int, bit: int) -> None:
        self._touch(qubit)
        if errors := self._rules.mixtures("measure", (qubit,)):  # they come before it
            self._add((qubit,), _NOTHING, errors)
        is_final = (number, qubit) in self._final
        if not is_final:
            self._step(measurement(0, len(self._measurements)), qubit)
        readout = self._rules.readout(qubit)
        self._measurements.append(Measurement(self._qubits[qubit], bit, readout, is_final))

    def _reset(self, qubit: int) -> None:
        if qubit in self._qubits:  # else it is zero
            self._step(reset(0), qubit)
        self._add((qubit,), _NOTHING, self._rules.mixtures("reset", (qubit,)))

    def _touch(self, qubit: int) -> None:
        """See to it that a qubit is there, to which nothing else may happen."""
        if qubit not in self._qubits:
            self._add((qubit,), _NOTHING, ())

    def _step(self, step: Step, qubit: int) -> None:
        """Something that the state decides about in each shot."""
        self._add((qubit,), _NOTHING, [(Outcome(1.0, (step,)),)])

    def _add(self, qubits: Sequence[int], matrix: np.ndarray, mixtures: Sequence[Mixture]) -> None:
        if self._averages and not (matrix is _NOTHING and not mixtures):
            raise refusal("operations after what is saved")
        self._fusion.add([self._place(qubit) for qubit in qubits], matrix, mixtures)

    def _place(self, qubit: int) -> int:
        return self._qubits.setdefault(qubit, len(self._qubits))


def _matrix(call: Call) -> np.ndarray | None:
    """The matrix of an operation; None if it has none, or is too wide."""
    if call.name == "set_qerror_loc":  # a channel in the circuit: an error of the noise model
        return np.eye(2 ** len(call.qubits), dtype=complex)
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
    if call.name == "gate" and call.args[3]:  # Aer takes the string of a Pauli for its label
        return str(call.args[3][0])
    if call.name in ("gate", "unitary"):
        return str(call.args[-1])
    return str(call.args[1]) if call.name == "set_qerror_loc" else call.name


def _is_conditional(call: Call) -> bool:
    expression = call.signature.expression
    return call.is_conditional or (expression is not None and call.args[expression] is not None)
