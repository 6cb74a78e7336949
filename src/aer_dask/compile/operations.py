"""The operations of a circuit, as the rules of prediction look at them.

The rules see one interface and do not know how a circuit was compiled. :class:`Operations` answers
from a list of calls; :class:`ColumnOperations` gives the same answers from columns, without making
a call of each instruction.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from itertools import islice, starmap

from .columns import KINDS, MEASURE, RZ, Columns
from .instructions import Call
from .program import Program


class Operations:
    """The operations of a circuit, or some of them, in order.

    Args:
        calls: all of them.
    """

    #: What the operations are all of, if it is columns.
    columns: Columns | None = None

    def __init__(self, calls: Sequence[Call]) -> None:
        self._calls = calls

    def __len__(self) -> int:
        return len(self._calls)

    def backwards(self) -> Iterator[Call]:
        """The operations, last one first."""
        return reversed(self._calls)

    def picked(self, positions: Iterable[int]) -> Operations:
        """Some of the operations only."""
        return Operations([self._calls[position] for position in positions])

    def since_measurement(self) -> Sequence[Call]:
        """The operations from the first measurement on."""
        names = [call.name for call in self._calls]
        return self._calls[names.index("measure") :] if "measure" in names else ()

    @cached_property
    def methods(self) -> frozenset[str]:
        """The methods of ``AerCircuit`` that are called."""
        return frozenset(call.name for call in self._calls)

    @cached_property
    def listed(self) -> frozenset[str]:
        """The names in Aer's tables of instructions."""
        return frozenset(name for call in self._calls if (name := call.operation) is not None)

    @cached_property
    def touched(self) -> frozenset[int]:
        """All qubits of all operations, and -1 if one of them has none."""
        return frozenset().union(*(call.qubits or (-1,) for call in self._calls))

    @cached_property
    def saves(self) -> Sequence[Call]:
        """The operations that save data."""
        return [call for call in self._calls if call.is_save]

    def saves_by_kind(self) -> Iterable[tuple[Call, int]]:
        """The operations that save data, those that save equal amounts as one, and how many."""
        return ((call, 1) for call in self.saves)

    @cached_property
    def measured(self) -> frozenset[int]:
        """The classical bits that measurements are written to."""
        return frozenset().union(*(call.args[1] for call in self._calls if call.name == "measure"))

    @cached_property
    def active(self) -> int:
        """How many qubits the simulation has (``Circuit::add_op_metadata``)."""
        return len(set().union(*map(_counted_qubits, self._calls)))

    def starts_anew(self) -> bool:
        """Whether some qubits are initialized after the beginning, which collapses the others."""
        places = [place for place, call in enumerate(self._calls) if call.name == "initialize"]
        return bool(places) and places[-1] > 0 and len(self._calls[places[-1]].qubits) < self.active

    def turns(self) -> Iterator[float]:
        """The angles of rotations about z (``rz``), in quarter turns."""
        return (_quarters(call.args[2][0].real) for call in self._calls
                if call.name == "gate" and call.args[0] == "rz")  # fmt: skip


class ColumnOperations(Operations):
    """The operations of columns."""

    def __init__(self, columns: Columns) -> None:
        self.columns = self._columns = columns

    @cached_property
    def _calls(self) -> Sequence[Call]:  # type: ignore[override]
        return list(starmap(Call, self._columns.calls()))

    def __len__(self) -> int:
        return len(self._columns.codes) + len(self._columns.paulis)

    def backwards(self) -> Iterator[Call]:
        yield from reversed(self.saves)
        qubits, bits, params = self._numbers
        q, b, p = len(qubits), len(bits), len(params)
        for code in reversed(self._columns.codes):
            name, width, length = KINDS[code]
            operands = qubits[q - width : q]
            q -= width
            if code < MEASURE:
                yield Call("gate", (name, operands, params[p - length : p], [], -1, None, name))
                p -= length
            elif code == MEASURE:
                yield Call("measure", (operands, bits[b - 1 : b], []))
                b -= 1
            else:
                yield Call("reset", (operands, -1))

    def since_measurement(self) -> Sequence[Call]:
        first = self._columns.codes.find(MEASURE)
        return list(islice(self.backwards(), len(self) - first))[::-1] if first >= 0 else ()

    @cached_property
    def methods(self) -> frozenset[str]:
        found = {("gate", "measure", "reset")[max(code - MEASURE + 1, 0)] for code in self._codes}
        return frozenset(found | {"save_expval"} if self._columns.paulis else found)

    @cached_property
    def listed(self) -> frozenset[str]:
        found = {KINDS[code].name for code in self._codes if code != MEASURE}
        return frozenset(found | {"save_expval"} if self._columns.paulis else found)

    @cached_property
    def touched(self) -> frozenset[int]:
        if self._columns.paulis:
            return frozenset(range(self._columns.num_qubits))
        return frozenset(memoryview(self._columns.qubits).cast("H"))

    @cached_property
    def saves(self) -> Sequence[Call]:
        return list(starmap(Call, self._columns.saves()))

    def saves_by_kind(self) -> Iterable[tuple[Call, int]]:
        return [(self.saves[0], len(self.saves))] if self.saves else ()

    @cached_property
    def measured(self) -> frozenset[int]:
        return frozenset(memoryview(self._columns.bits).cast("H"))

    @cached_property
    def active(self) -> int:
        used = set(memoryview(self._columns.qubits).cast("H"))
        if len(used) < self._columns.num_qubits:
            used.update(*map(_counted_qubits, self.saves))
        return len(used)

    def starts_anew(self) -> bool:
        return False

    def turns(self) -> Iterator[float]:
        params, at = memoryview(self._columns.params).cast("d"), 0
        for code in self._columns.codes if RZ in self._codes else ():
            if code == RZ:
                yield _quarters(params[at])
            at += KINDS[code].params

    @cached_property
    def _numbers(self) -> tuple[list[int], list[int], list[float]]:
        return self._columns.numbers()

    @cached_property
    def _codes(self) -> frozenset[int]:
        return frozenset(self._columns.codes)


def operations_of(program: Program | Columns) -> Operations:
    """The operations of a compiled circuit."""
    if isinstance(program, Columns):
        return ColumnOperations(program)
    return Operations(list(starmap(Call, program.written)))


def _counted_qubits(call: Call) -> Iterable[int]:
    """The qubits that Aer counts as used; identities of a Pauli string are not."""
    if call.name != "save_expval":
        return call.qubits
    paulis: Sequence[str] = call.args[2]
    used = {qubit for pauli in paulis for qubit, letter in zip(call.qubits, reversed(pauli),
            strict=False) if letter != "I"}  # fmt: skip
    return used or call.qubits[:1]


def _quarters(angle: float) -> float:
    return float(angle) * 2 / math.pi
