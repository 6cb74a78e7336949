"""A circuit as the calls that Aer's compiler makes on an ``AerCircuit``, written down.

Neither QPY nor pickle carries every circuit that Aer accepts: QPY loses ``save_*`` instructions
and quantum channels, pickle breaks ``switch`` with a default case. So the circuit itself does not
travel. Aer's own compiler turns it, on the client, into a list of calls on an ``AerCircuit``; a
:class:`Program` is that list. The worker makes the same calls on a real ``AerCircuit``: the
simulator receives the same instructions as in a local run, and a worker needs no Qiskit object to
start. Circuits that :mod:`aer_dask.compile.columns` can read are written down in less time.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from qiskit_aer import AerError
from qiskit_aer.backends import controller_wrappers as aer

from .bindings import GLOBAL_PHASE, Bindings
from .columns import STANDARD

#: The methods of ``AerCircuit`` that append one instruction.
INSTRUCTIONS = frozenset(
    name
    for name, member in vars(aer.AerCircuit).items()
    if not name.startswith("_") and name != "set_header" and not isinstance(member, property)
)
#: The classes that Aer's compiler builds classical expressions from.
EXPRESSIONS = (
    "AerUnaryExpr", "AerBinaryExpr", "AerUintValue", "AerBoolValue", "AerCast", "AerVar",
    "AerUint", "AerBool",
)  # fmt: skip
#: What a circuit is called on a worker, where equal circuits are one: it stands in Aer's errors.
NAME = "<the circuit>"


class Expression(NamedTuple):
    """One node of a classical expression: the name of Aer's class and its arguments."""

    kind: str
    args: tuple[Any, ...]


@dataclass
class Program:
    """Everything Aer's compiler says to an ``AerCircuit``, in order.

    Stands in for ``AerCircuit`` inside the compiler (see :mod:`aer_dask.compile.assemble`).
    ``written`` are pairs of a method's name and its arguments; bare tuples, because there are many.
    """

    num_qubits: int = 0
    num_memory: int = 0
    global_phase_angle: float = 0.0
    written: list[tuple[str, tuple[Any, ...]]] = field(default_factory=list)
    header: dict[str, Any] = field(default_factory=dict)

    def set_header(self, header: Any) -> None:
        """Take the header as a dictionary."""
        self.header = dict(header.to_dict())

    def __reduce__(self) -> tuple[Any, ...]:
        # without the header, which stays with the client
        return Program, (self.num_qubits, self.num_memory, self.global_phase_angle, self.written)

    def bound(self, bindings: Bindings) -> Program:
        """The circuit with the first row of values in the places of its parameters.

        Raises:
            AerError: for a parameter of something that is no gate.
        """
        written, phase = list(self.written), self.global_phase_angle
        for (instruction, position), (value, *_) in bindings.table():
            if instruction == GLOBAL_PHASE:
                phase = value
                continue
            name, args = written[instruction]
            # a gate with open controls is several calls, and Aer takes the last one for it
            if name != "gate" or position >= _parameters(args[0], len(args[2])):
                raise AerError(
                    f"A parameter that Aer takes for one of {args[0]!r} cannot be bound by "
                    "parameter_binds; assign it to the circuit."
                )
            params = [*args[2]]
            params[position] = value
            written[instruction] = name, (*args[:2], params, *args[3:])
        return Program(self.num_qubits, self.num_memory, phase, written, self.header)

    def calls(self) -> Iterator[tuple[str, tuple[Any, ...]]]:
        """The calls, ready to be made: a method's name and its arguments."""
        return ((name, tuple(map(_build, args))) for name, args in self.written)


def _parameters(gate: str, given: int) -> int:
    """How many parameters a gate has; as many as are given where Qiskit does not know it."""
    return len(STANDARD[gate].params) if gate in STANDARD else given


def _recorder(name: str) -> Any:
    def record(self: Program, *args: Any) -> None:
        self.written.append((name, args))

    record.__name__ = name
    return record


for _name in INSTRUCTIONS:
    setattr(Program, _name, _recorder(_name))


def expression_recorder(kind: str) -> Any:
    """A stand-in for one of :data:`EXPRESSIONS` that writes down what it is built from."""
    return lambda *args: Expression(kind, args)


def _build(value: Any) -> Any:
    if type(value) is Expression:
        return getattr(aer, value.kind)(*map(_build, value.args))
    return value
