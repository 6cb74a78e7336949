"""Circuits of standard gates, measurements, resets and barriers, as columns of numbers.

Aer's compiler looks at each instruction as a Python object, which takes longer than many
simulations do. These columns are read straight from the circuit, and say the same: a test compares
the calls of both. Whatever is not as plain as that (conditions, labels, open controls, variables,
``save_*``, channels) is left to Aer's compiler.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from itertools import chain, compress
from operator import attrgetter, methodcaller
from typing import Any, NamedTuple

import numpy as np
from qiskit import QuantumCircuit
from qiskit.circuit import ParameterExpression
from qiskit.circuit.library.standard_gates import get_standard_gate_name_mapping

from .bindings import GLOBAL_PHASE, Bindings

#: The gates of Aer's compiler (``_assemble_op`` in qiskit_aer/backends/aer_compiler.py) of which
#: Qiskit has a standard gate of the same name.
_GATES = (
    "ccx", "ccz", "cp", "cswap", "csx", "cx", "cy", "cz", "ecr", "h", "id", "p", "r", "rx", "rxx",
    "ry", "ryy", "rz", "rzx", "rzz", "s", "sdg", "swap", "sx", "sxdg", "t", "tdg", "u", "x", "y",
    "z", "u1", "u2", "u3", "cu", "cu1", "cu3", "crx", "cry", "crz",
)  # fmt: skip
#: Qiskit's standard gates, by name.
STANDARD = get_standard_gate_name_mapping()


class Kind(NamedTuple):
    """A kind of instruction: how many qubits and parameters it has."""

    name: str
    qubits: int
    params: int


#: What stands for each code.
KINDS = (
    *(Kind(name, STANDARD[name].num_qubits, len(STANDARD[name].params)) for name in _GATES),
    Kind("measure", 1, 0),
    Kind("reset", 1, 0),
)
CODES = {kind.name: code for code, kind in enumerate(KINDS)}
MEASURE, RZ = CODES["measure"], CODES["rz"]
#: How many parameters the instruction of a code has.
_PARAMS = np.array([kind.params for kind in KINDS])
_READ = CODES.keys() | {"barrier"}
_NOT_GATES = {"measure", "reset", "barrier"}
_MOST_QUBITS = 2**16
_LETTERS = frozenset("IXYZ")

_name, _qubits, _clbits, _params, _label = map(
    attrgetter, ("name", "qubits", "clbits", "params", "label")
)
_is_standard = methodcaller("is_standard_gate")

#: Where a circuit has an expression in place of a number: instruction, parameter, expression.
Place = tuple[int, int, ParameterExpression]


class Columns(NamedTuple):
    """A circuit: a byte an instruction, and for all of them one after the other what they take.

    ``qubits`` and ``bits`` (of measurements) are 16-bit numbers, ``params`` doubles. At the end the
    expectation values of ``paulis``, on all qubits, are saved, each under its own name.
    ``global_phase_angle`` is in radians.
    """

    num_qubits: int
    num_memory: int
    global_phase_angle: float
    codes: bytes
    qubits: bytes
    bits: bytes
    params: bytes
    paulis: tuple[str, ...] = ()

    def calls(self) -> Iterator[tuple[str, tuple[Any, ...]]]:
        """The calls that Aer's compiler would make on an ``AerCircuit``."""
        qubits, bits, params = self.numbers()
        q = b = p = 0
        for code in self.codes:
            name, width, length = KINDS[code]
            operands = qubits[q : q + width]
            q += width
            if code < MEASURE:
                yield "gate", (name, operands, params[p : p + length], [], -1, None, name)
                p += length
            elif code == MEASURE:
                yield "measure", (operands, bits[b : b + 1], [])
                b += 1
            else:
                yield "reset", (operands, -1)
        yield from self.saves()

    def bound(self, bindings: Bindings) -> Columns:
        """The circuit with the first row of values in the places of its parameters."""
        params = np.frombuffer(self.params).copy()
        lengths = _PARAMS[np.frombuffer(self.codes, np.uint8)]
        gates = bindings.instructions != GLOBAL_PHASE
        starts = (np.cumsum(lengths) - lengths)[bindings.instructions[gates]]
        values = bindings.values[0][bindings.columns]
        params[starts + bindings.positions[gates]] = values[gates]
        phase = self.global_phase_angle if gates.all() else float(values[~gates][-1])
        return self._replace(params=params.tobytes(), global_phase_angle=phase)

    def since(self, first: int) -> Columns:
        """The circuit from one of its instructions on, without a global phase."""
        before = self.codes[:first]
        qubits = sum(KINDS[code].qubits for code in before)
        params = sum(KINDS[code].params for code in before)
        return self._replace(
            global_phase_angle=0.0 if first else self.global_phase_angle,
            codes=self.codes[first:],
            qubits=self.qubits[2 * qubits :],
            bits=self.bits[2 * before.count(MEASURE) :],
            params=self.params[8 * params :],
        )

    def saves(self) -> Iterator[tuple[str, tuple[Any, ...]]]:
        """Those of the calls that save expectation values."""
        operands = list(range(self.num_qubits))
        for pauli in self.paulis:
            yield "save_expval", (
                operands, "save_expval", [pauli], [1.0], [0.0], "average", pauli
            )  # fmt: skip

    def numbers(self) -> tuple[list[int], list[int], list[float]]:
        """The qubits, bits and parameters as lists."""
        return (
            memoryview(self.qubits).cast("H").tolist(),
            memoryview(self.bits).cast("H").tolist(),
            list(memoryview(self.params).cast("d")),
        )


def read(
    circuit: QuantumCircuit, basis_gates: set[str] | None = None, paulis: tuple[str, ...] = ()
) -> tuple[Columns, list[Place]] | None:
    """A circuit as columns, with zeros in the places of expressions; None where Aer has to do it.

    Args:
        circuit: any circuit.
        basis_gates: those of the backend, if it is made from another one.
        paulis: expectation values to be saved at the end.
    """
    data = circuit._data  # QuantumCircuit.data is a view of it that is slower to read
    counts = data.count_ops()
    if not (
        _has_plain(counts.keys(), circuit, basis_gates) and _are_plain(paulis, circuit.num_qubits)
    ):
        return None
    instructions = list(data)
    names = list(map(_name, instructions))
    if "barrier" in counts:
        kept = [name != "barrier" for name in names]
        instructions, names = list(compress(instructions, kept)), list(compress(names, kept))
    codes = bytes(map(CODES.__getitem__, names))
    others = [instructions[at] for at, code in enumerate(codes) if code >= MEASURE]
    # an instruction of the user's may have a standard one's name
    if sum(map(_is_standard, instructions)) != len(codes) - len(others):
        return None
    if any(map(_label, instructions)) or not all(map(_is_usual, others)):
        return None
    values = list(chain.from_iterable(map(_params, instructions)))
    phase = circuit.global_phase
    places: list[Place] = [(GLOBAL_PHASE, -1, phase)] if is_open(phase) else []
    if data.num_parameters():
        places += _taken_out(values, codes)
    try:
        params = array("d", values).tobytes()
    except TypeError:  # something that only Aer knows how to read
        return None
    columns = Columns(
        circuit.num_qubits,
        circuit.num_clbits,
        0.0 if is_open(phase) else float(phase),
        codes,
        _positions(circuit.qubits, chain.from_iterable(map(_qubits, instructions))),
        _positions(circuit.clbits, chain.from_iterable(map(_clbits, others))) if others else b"",
        params,
        paulis,
    )
    return columns, places


def is_plain(circuit: QuantumCircuit, basis_gates: set[str] | None = None) -> bool:
    """Whether a circuit has but standard gates, measurements, resets and barriers, by their names.

    Some that do cannot be read all the same, but there is nothing in them that Aer's compiler
    changes before it looks at the instructions one by one.
    """
    return _has_plain(circuit._data.count_ops().keys(), circuit, basis_gates)


def _has_plain(names: Any, circuit: QuantumCircuit, basis_gates: set[str] | None) -> bool:
    return (
        names <= _READ
        and (basis_gates is None or names - _NOT_GATES <= basis_gates)
        and not circuit.num_identifiers
        and max(circuit.num_qubits, circuit.num_clbits) <= _MOST_QUBITS
    )


def _are_plain(paulis: tuple[str, ...], qubits: int) -> bool:
    return all(len(pauli) == qubits and _LETTERS.issuperset(pauli) for pauli in paulis)


def _is_usual(instruction: Any) -> bool:
    """Whether a measurement or reset is of one qubit, into one bit or none."""
    bits = 1 if instruction.name == "measure" else 0
    return (len(instruction.qubits), len(instruction.clbits)) == (1, bits)


def is_open(value: Any) -> bool:
    """Whether a value is still to be bound."""
    return isinstance(value, ParameterExpression) and len(value.parameters) > 0


def _taken_out(values: list[Any], codes: bytes) -> list[Place]:
    """The places of expressions, which are zeros in the list from then on."""
    found = [at for at, value in enumerate(values) if type(value) is not float and is_open(value)]
    first = np.cumsum(_PARAMS[np.frombuffer(codes, np.uint8)])
    instructions = np.searchsorted(first, found, side="right")
    starts = first[instructions] - _PARAMS[np.frombuffer(codes, np.uint8)[instructions]]
    places = []
    for at, instruction, start in zip(found, instructions.tolist(), starts.tolist(), strict=True):
        places.append((instruction, at - start, values[at]))
        values[at] = 0.0
    return places


def _positions(all_bits: list[Any], used_bits: Iterator[Any]) -> bytes:
    """The places of bits in a circuit, found by identity, which is quicker than by value."""
    known = {id(bit): place for place, bit in enumerate(all_bits)}
    used = list(used_bits)
    try:
        return array("H", map(known.__getitem__, map(id, used))).tobytes()
    except KeyError:  # equal, but not the same objects
        equal = {bit: place for place, bit in enumerate(all_bits)}
        return array("H", map(equal.__getitem__, used)).tobytes()
