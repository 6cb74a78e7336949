"""The circuits that a process has made for Aer, kept to be run again.

Half of the time of a small simulation goes into making its ``AerCircuit``. The controller copies a
circuit that has values bound to it and leaves the original as it was, so it can be kept and run
again with other values; one without values is run with its own global phase bound to it.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from qiskit_aer.backends import controller_wrappers as aer

from ..compile import codec
from ..compile.columns import Columns
from ..compile.operations import Operations, operations_of
from ..compile.program import NAME, Program

#: Operations of the circuits that are kept, at about 600 bytes each.
MOST_OPERATIONS = 100_000
#: The methods of ``AerCircuit`` whose operations take more than that: states and matrices.
_LARGE = frozenset({"diagonal", "initialize", "kraus", "multiplexer", "superop", "unitary"})


@dataclass(frozen=True)
class Template:
    """A circuit as Aer has it.

    ``columns`` are what it was made from, if that was columns; ``qubits`` those that its operations
    touch.
    """

    circuit: Any
    columns: Columns | None
    qubits: frozenset[int]


class Templates:
    """Those of one process, by their encoded programs; the ones used last are kept.

    Args:
        most: operations of all of them together.
    """

    def __init__(self, most: int = MOST_OPERATIONS) -> None:
        self._kept: OrderedDict[bytes, tuple[Template, int]] = OrderedDict()
        self._most, self._operations = most, 0

    def get(self, data: bytes) -> Template:
        """The template of an encoded program."""
        if data in self._kept:
            self._kept.move_to_end(data)
            return self._kept[data][0]
        program: Program | Columns = codec.decode(data)
        template, operations = _template(program), operations_of(program)
        if self._is_too_large(operations):
            return template
        self._kept[data] = template, len(operations)
        self._operations += len(operations)
        while self._operations > self._most:
            _, (_, dropped) = self._kept.popitem(last=False)
            self._operations -= dropped
        return template

    def _is_too_large(self, operations: Operations) -> bool:
        return len(operations) > self._most or any(
            name in _LARGE or name.startswith("set_") for name in operations.methods
        )


def build(data: bytes) -> Template:
    """A new template of an encoded program."""
    return _template(codec.decode(data))


def _template(program: Program | Columns) -> Template:
    circuit = circuit_of(program, program.calls())
    columns = program if isinstance(program, Columns) else None
    return Template(circuit, columns, operations_of(program).touched)


def circuit_of(program: Program | Columns, calls: Iterable[tuple[str, tuple[Any, ...]]]) -> Any:
    """An ``AerCircuit`` of the size of a program, with calls made on it."""
    circuit = aer.AerCircuit()
    circuit.set_header({"name": NAME})
    circuit.num_qubits = program.num_qubits
    circuit.num_memory = program.num_memory
    circuit.global_phase_angle = program.global_phase_angle
    methods: dict[str, Any] = {}
    for name, args in calls:
        if name not in methods:
            methods[name] = getattr(circuit, name)
        methods[name](*args)
    return circuit
