"""Circuits, options and noise models to bytes and back.

Neither QPY nor pickle carries every circuit that Aer accepts: QPY loses ``save_*`` instructions
and quantum channels, pickle breaks ``switch`` with a default case. So the circuit itself does not
travel. Aer's own compiler turns it, on the client, into a list of calls on an ``AerCircuit``; a
:class:`Program` is that list, written down. The worker makes the same calls on a real
``AerCircuit``: the simulator receives the same instructions as in a local run, and a worker needs
no Qiskit object to start.

The bytes are a pickle of plain data (numbers, strings, tuples, numpy arrays and, for ``set_*``
instructions, the state objects of Qiskit), compressed. No function or class of the user's travels.
Large arrays stand beside the pickle, so that a result of gigabytes is sent from where Aer has left
it: a pickle that contains them would be a second copy.
"""

from __future__ import annotations

import hashlib
import pickle
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
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


#: One bound parameter of a circuit: the (instruction, parameter) position and a value per row.
Binding = tuple[tuple[int, int], np.ndarray]


class Expression(NamedTuple):
    """One node of a classical expression: the name of Aer's class and its arguments."""

    kind: str
    args: tuple[Any, ...]


@dataclass
class Program:
    """Everything Aer's compiler says to an ``AerCircuit``, in order.

    Stands in for ``AerCircuit`` inside the compiler (see :mod:`aer_dask.compile.assemble`).
    ``calls`` are pairs of a method's name and its arguments; bare tuples, because there are many.
    """

    num_qubits: int = 0
    num_memory: int = 0
    global_phase_angle: float = 0.0
    header: dict[str, Any] = field(default_factory=dict)
    calls: list[tuple[str, tuple[Any, ...]]] = field(default_factory=list)

    def set_header(self, header: Any) -> None:
        """Take the header as a dictionary."""
        self.header = dict(header.to_dict())


@dataclass(frozen=True)
class ControllerCall:
    """One call of Aer's controller: circuits that follow one another, or a slice of one's shots.

    ``programs`` are encoded; ``bindings`` are the rows bound to each and ``phases`` the global
    phases in radians. ``batch`` says which configuration and noise model of the run apply.
    """

    batch: int
    programs: list[bytes]
    bindings: list[list[Binding]]
    phases: list[float]
    seed: int
    shots: int


def _recorder(name: str) -> Any:
    def record(self: Program, *args: Any) -> None:
        self.calls.append((name, args))

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


def replay(program: Program) -> aer.AerCircuit:
    """The ``AerCircuit`` that the program describes."""
    circuit = aer.AerCircuit()
    circuit.set_header(program.header)
    circuit.num_qubits = program.num_qubits
    circuit.num_memory = program.num_memory
    circuit.global_phase_angle = program.global_phase_angle
    methods = {name: getattr(circuit, name) for name in {name for name, _ in program.calls}}
    for name, args in program.calls:
        methods[name](*map(_build, args))
    return circuit


#: What stands before each frame of encoded data: whether it is compressed, and its length in bytes.
_FRAME = struct.Struct("<?Q")
#: Bytes from which an array is a frame of its own.
_LARGE = 2**16

Buffer = bytes | bytearray | memoryview


def encode(value: Any) -> bytes:
    """Plain data to bytes."""
    return b"".join(frames(value))


def frames(value: Any) -> list[Buffer]:
    """The bytes of :func:`encode` in parts, of which those of large arrays are no copies."""
    arrays: list[memoryview] = []

    def stays_inside(array: pickle.PickleBuffer) -> bool:
        view = array.raw()
        if view.nbytes >= _LARGE:
            arrays.append(view)
        return view.nbytes < _LARGE

    body = pickle.dumps(value, protocol=5, buffer_callback=stays_inside)
    whole: list[Buffer] = [body, *arrays]
    parts: list[Buffer] = []
    for part in whole:
        is_compressed, frame = _compressed(part)
        parts += [_FRAME.pack(is_compressed, len(frame)), frame]
    return parts


def _compressed(frame: Buffer) -> tuple[bool, Buffer]:
    """Whether a frame shrinks to less than half, and what is sent: arrays of random numbers do not.

    Half, so that the frame and what it shrinks to are never more than two copies of it.
    """
    sample = frame[:_LARGE]
    packed = zlib.compress(sample, level=1)
    if 2 * len(packed) > len(sample):
        return False, frame
    return True, packed if len(sample) == len(frame) else zlib.compress(frame, level=1)


def decode(data: Buffer) -> Any:
    """The inverse of :func:`encode`."""
    (value,) = decode_all(data)
    return value


def decode_all(data: Buffer) -> list[Any]:
    """The values whose encodings stand in the data, one after the other."""
    parts = _unpack(memoryview(data))
    # each value takes as many arrays from what follows as it has
    return [pickle.loads(body, buffers=parts) for body in parts]  # noqa: S301 (from the user's own cluster)


def _unpack(data: memoryview) -> Iterator[bytearray]:
    """The frames, writable and aligned, as numpy's own memory is."""
    while data:
        is_compressed, length = _FRAME.unpack_from(data)
        frame, data = data[_FRAME.size : _FRAME.size + length], data[_FRAME.size + length :]
        yield bytearray(zlib.decompress(frame) if is_compressed else frame)


def digest(data: bytes) -> str:
    """The content address of encoded data: 64 hexadecimal digits (SHA-256)."""
    return hashlib.sha256(data).hexdigest()
