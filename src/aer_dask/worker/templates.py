"""The circuits that a process has made for Aer, kept to be run again.

Half of the time of a small simulation goes into making its ``AerCircuit``. The controller copies a
circuit that has values bound to it and leaves the original as it was, so it can be kept and run
again with other values; one without values is run with its own global phase bound to it.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from qiskit_aer.backends import controller_wrappers as aer

from ..compile import codec
from ..compile.columns import Columns
from ..compile.operations import Operations, operations_of
from ..compile.program import NAME, Program

#: Bytes of the circuits that are kept, all together.
MOST = 64 * 2**20
#: What a circuit takes, each of its operations, and each item of a list that one is given; and the
#: methods of ``AerCircuit`` that are given states and matrices, which are not kept.
_CIRCUIT, _OPERATION, _ITEM = 3000, 600, 100
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
        most: bytes of all of them together.
    """

    def __init__(self, most: int = MOST) -> None:
        self._kept: OrderedDict[bytes, tuple[Template, int]] = OrderedDict()
        self._most, self._bytes = most, 0
        self._lock = threading.Lock()  # an executor of the user's may simulate in threads

    def get(self, data: bytes) -> Template:
        """The template of an encoded program."""
        with self._lock:
            if data in self._kept:
                self._kept.move_to_end(data)
                return self._kept[data][0]
        program: Program | Columns = codec.decode(data)
        operations = operations_of(program)
        template, size = _template(program, operations), len(data) + _size(program)
        if size <= self._most and not _has_large(operations):
            with self._lock:
                self._keep(data, template, size)
        return template

    def _keep(self, data: bytes, template: Template, size: int) -> None:
        _, before = self._kept.get(data, (None, 0))
        self._kept[data] = template, size
        self._bytes += size - before
        while self._bytes > self._most:
            _, (_, dropped) = self._kept.popitem(last=False)
            self._bytes -= dropped


def build(data: bytes) -> Template:
    """A new template of an encoded program."""
    program: Program | Columns = codec.decode(data)
    return _template(program, operations_of(program))


def _template(program: Program | Columns, operations: Operations) -> Template:
    circuit = circuit_of(program, program.calls())
    columns = program if isinstance(program, Columns) else None
    return Template(circuit, columns, operations.touched)


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


def _size(program: Program | Columns) -> int:
    """Bytes that a circuit takes in Aer."""
    if isinstance(program, Columns):
        return _CIRCUIT + _OPERATION * (len(program.codes) + len(program.paulis))
    items = sum(len(arg) for _, args in program.written for arg in args if isinstance(arg, list))
    return _CIRCUIT + _OPERATION * len(program.written) + _ITEM * items


def _has_large(operations: Operations) -> bool:
    return any(name in _LARGE or name.startswith("set_") for name in operations.methods)
