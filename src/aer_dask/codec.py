"""Circuits, options and noise models to bytes and back.

Neither QPY nor pickle carries every circuit that Aer accepts: QPY loses ``save_*`` instructions
and quantum channels, pickle breaks ``switch`` with a default case. So the circuit itself does not
travel. Aer's own compiler turns it, on the client, into a list of calls on an ``AerCircuit``; a
:class:`Program` is that list, written down. The worker makes the same calls on a real
``AerCircuit``: the simulator receives the same instructions as in a local run, and a worker needs
no Qiskit object to start.

The bytes are a compressed pickle of plain data (numbers, strings, tuples, numpy arrays and, for
``set_*`` instructions, the state objects of Qiskit). No function and no class of the user's travels.
"""

from __future__ import annotations

import hashlib
import pickle
import zlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from qiskit.circuit import ParameterExpression
from qiskit_aer.backends import controller_wrappers as aer

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


class Expression(NamedTuple):
    """One node of a classical expression: the name of Aer's class and its arguments."""

    kind: str
    args: tuple[Any, ...]


class Call(NamedTuple):
    """One call on an ``AerCircuit``: the method's name and its arguments."""

    name: str
    args: tuple[Any, ...]


@dataclass
class Program:
    """Everything Aer's compiler says to an ``AerCircuit``, in order.

    Stands in for ``AerCircuit`` inside the compiler (see :mod:`aer_dask.assemble`).
    """

    num_qubits: int = 0
    num_memory: int = 0
    global_phase_angle: float = 0.0
    header: dict[str, Any] = field(default_factory=dict)
    calls: list[Call] = field(default_factory=list)

    def set_header(self, header: Any) -> None:
        self.header = dict(header.to_dict())


def _recorder(name: str) -> Any:
    def record(self: Program, *args: Any) -> None:
        self.calls.append(Call(name, tuple(map(_plain, args))))

    record.__name__ = name
    return record


for _name in INSTRUCTIONS:
    setattr(Program, _name, _recorder(_name))


def _plain(value: Any) -> Any:
    """The value as Aer's C++ side would read it, without Qiskit's parameter objects."""
    if isinstance(value, ParameterExpression):
        return value.numeric()
    if type(value) is list:
        return [_plain(item) for item in value] if _has_parameters(value) else list(value)
    if type(value) in (aer.AerUnaryOp, aer.AerBinaryOp):
        return Expression(type(value).__name__, (value.value,))
    return value


def _has_parameters(values: Iterable[Any]) -> bool:
    return any(isinstance(value, (ParameterExpression, list)) for value in values)


def expression_recorder(kind: str) -> Any:
    """A stand-in for one of :data:`EXPRESSIONS` that writes down what it is built from."""
    return lambda *args: Expression(kind, tuple(map(_plain, args)))


def _build(value: Any) -> Any:
    if isinstance(value, Expression):
        return getattr(aer, value.kind)(*map(_build, value.args))
    return value


def replay(program: Program) -> aer.AerCircuit:
    """The ``AerCircuit`` that the program describes."""
    circuit = aer.AerCircuit()
    circuit.set_header(program.header)
    circuit.num_qubits = program.num_qubits
    circuit.num_memory = program.num_memory
    circuit.global_phase_angle = program.global_phase_angle
    for name, args in program.calls:
        getattr(circuit, name)(*map(_build, args))
    return circuit


def encode(value: Any) -> bytes:
    """Plain data to compressed bytes."""
    return zlib.compress(pickle.dumps(value, protocol=5), level=1)


def decode(data: bytes) -> Any:
    """The inverse of :func:`encode`."""
    return pickle.loads(zlib.decompress(data))  # noqa: S301 (from the user's own cluster)


def digest(data: bytes) -> str:
    """The content address of encoded data: 64 hexadecimal digits (SHA-256)."""
    return hashlib.sha256(data).hexdigest()


def as_rows(values: Any) -> np.ndarray:
    """Parameter values as Aer binds them: a vector of doubles."""
    return np.asarray(values, dtype=float).ravel()
