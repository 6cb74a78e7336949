"""Plain data to bytes and back, in a form that executes nothing: what a store holds.

A value is msgpack, with codes of our own for what msgpack lacks: tuples, complex numbers, arrays
and the few classes of compiled circuits. Types, signs of zero, NaNs and the order of dictionaries
come back as they were. Large arrays stand beside the value, so that a result of gigabytes is not
copied on its way. Unlike :mod:`aer_dask.compile.codec`, which serves the user's own cluster, this
may read what others have written: it makes nothing but the types of this module.
"""

from __future__ import annotations

import hashlib
import re
import struct
import sys
import zlib
from collections.abc import Iterable
from typing import Any, ClassVar

import msgpack
import numpy as np
from qiskit_aer.backends import controller_wrappers as aer

from ..compile.bindings import Bindings
from ..compile.columns import KINDS, MEASURE, Columns
from ..compile.program import EXPRESSIONS, INSTRUCTIONS, Expression, Program

#: Of all that follows; part of every address, so that other formats share no entry.
FORMAT = 1
_MAGIC = b"aer-dask"
#: What an object begins with: magic, format, SHA-256 of all that follows.
_HEAD = struct.Struct("<8sH32s")
#: What stands before each frame: bytes in the object, and bytes once decompressed.
_FRAME = struct.Struct("<QQ")
#: Bytes from which an array is a frame of its own.
_LARGE = 2**16
#: How much zlib shrinks anything at the most.
_MOST_SHRUNK = 1032
#: Codes of ours within each other; Python's stack would hold about ten times as many.
_DEEPEST = 100
_DTYPE = re.compile(r"[<>|][biufc](1|2|4|8|16|32)")

_TUPLE, _COMPLEX, _ARRAY, _LARGE_ARRAY, _SCALAR, _INT, _OBJECT, _ENUM = range(8)
#: Classes by the names that stand for them, and the fields that they are made of.
_CLASSES = {
    "bindings": (Bindings, Bindings._fields),
    "columns": (Columns, Columns._fields),
    "expression": (Expression, Expression._fields),
    "program": (Program, ("num_qubits", "num_memory", "global_phase_angle", "written")),
}
_NAMES = {kind: name for name, (kind, _) in _CLASSES.items()}
#: Aer's enumerations in expressions, by the names that stand for them.
_ENUMS = {"binary": aer.AerBinaryOp, "unary": aer.AerUnaryOp}
_ENUM_NAMES = {kind: name for name, kind in _ENUMS.items()}

Buffer = bytes | bytearray | memoryview


class FormatError(ValueError):
    """Data that cannot be held, or an object that is not what it should be."""


def encode(value: Any) -> list[Buffer]:
    """An object that holds a value, in parts to be written one after the other.

    Raises:
        FormatError: for what the format cannot hold, naming it.
    """
    return sealed(frames(value))


def frames(value: Any) -> list[Buffer]:
    """A value, and after it its large arrays; the same bytes for the same value, anywhere.

    Raises:
        FormatError: as :func:`encode`.
    """
    arrays: list[Buffer] = []
    try:
        return [_Writer(arrays).pack(value), *arrays]
    except FormatError:
        raise
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        raise FormatError(f"a store cannot hold this: {error}") from error


class _Writer:
    """Writes a value, and puts large arrays aside."""

    def __init__(self, arrays: list[Buffer]) -> None:
        self._arrays, self._depth = arrays, 0

    def pack(self, value: Any) -> bytes:
        self._depth += 1
        if self._depth > _DEEPEST:
            raise FormatError("a store cannot hold what is nested so deep")
        packed: bytes = msgpack.packb(
            value, default=self._coded, strict_types=True, unicode_errors="surrogatepass"
        )
        self._depth -= 1
        return packed

    def _coded(self, value: Any) -> Any:
        """What msgpack lacks."""
        kind = type(value)
        if kind in self._BY_TYPE:
            return self._BY_TYPE[kind](self, value)
        if kind in _NAMES:
            fields = [getattr(value, field) for field in _CLASSES[_NAMES[kind]][1]]
            return self._code(_OBJECT, [_NAMES[kind], *fields])
        if kind in _ENUM_NAMES:
            return self._code(_ENUM, [_ENUM_NAMES[kind], value.name])
        if isinstance(value, np.generic):
            return self._code(_SCALAR, [_dtype(value), value.tobytes()])
        if isinstance(value, list):  # Qiskit's list that cannot be changed
            return list(value)
        raise FormatError(f"a store cannot hold a {kind.__module__}.{kind.__qualname__}")

    def _code(self, code: int, value: list[Any]) -> msgpack.ExtType:
        return msgpack.ExtType(code, self.pack(value))

    def _tuple(self, value: tuple[Any, ...]) -> msgpack.ExtType:
        return self._code(_TUPLE, list(value))

    def _complex(self, value: complex) -> msgpack.ExtType:
        return msgpack.ExtType(_COMPLEX, struct.pack("<dd", value.real, value.imag))

    def _int(self, value: int) -> msgpack.ExtType:
        """One of more than 64 bits."""
        size = value.bit_length() // 8 + 1
        return msgpack.ExtType(_INT, value.to_bytes(size, "little", signed=True))

    def _array(self, value: np.ndarray) -> msgpack.ExtType:
        is_fortran = value.flags.f_contiguous and not value.flags.c_contiguous
        about = [_dtype(value), list(value.shape), "F" if is_fortran else "C"]
        flat = value.ravel("F" if is_fortran else "C")
        if flat.nbytes < _LARGE:
            return self._code(_ARRAY, [*about, flat.tobytes()])
        self._arrays.append(flat.view(np.uint8).data)
        return self._code(_LARGE_ARRAY, [*about, len(self._arrays)])

    _BY_TYPE: ClassVar[dict[type, Any]] = {
        tuple: _tuple,
        complex: _complex,
        int: _int,
        np.ndarray: _array,
    }


def digest(parts: Iterable[Buffer]) -> str:
    """The content address of a value in :func:`frames`: 64 hexadecimal digits (SHA-256)."""
    found = hashlib.sha256()
    for part in parts:
        found.update(part)
    return found.hexdigest()


def sealed(parts: Iterable[Buffer]) -> list[Buffer]:
    """The object that holds a value in :func:`frames`."""
    body: list[Buffer] = []
    for part in parts:
        frame = _shrunk(part)
        body += [_FRAME.pack(len(frame), len(part)), frame]
    return [_HEAD.pack(_MAGIC, FORMAT, bytes.fromhex(digest(body))), *body]


def decode(data: Buffer, most: int | None = None) -> Any:
    """The value in an object.

    Args:
        data: the object.
        most: bytes that it may hold once it is decompressed; None for all that zlib can make of it.

    Raises:
        FormatError: if it is cut off, was changed, holds more, or is none of this format.
    """
    return value_of(opened(data, most))


def opened(data: Buffer, most: int | None = None) -> list[Buffer]:
    """The inverse of :func:`sealed`.

    Raises:
        FormatError: as :func:`decode`.
    """
    view = memoryview(data)
    if len(view) < _HEAD.size:
        raise FormatError("it is cut off")
    magic, number, expected = _HEAD.unpack_from(view)
    if magic != _MAGIC:
        raise FormatError("it is none of aer-dask's")
    if number != FORMAT:
        raise FormatError(f"its format is {number}, and this aer-dask reads {FORMAT}")
    body = view[_HEAD.size :]
    if hashlib.sha256(body).digest() != expected:
        raise FormatError("it is cut off or was changed: its digest is another one")
    return list(_unsealed(body, sys.maxsize if most is None else most))


def _unsealed(body: memoryview, left: int) -> Iterable[Buffer]:
    while body:
        if len(body) < _FRAME.size:
            raise FormatError("its last frame is cut off")
        length, size = _FRAME.unpack_from(body)
        frame, body = body[_FRAME.size : _FRAME.size + length], body[_FRAME.size + length :]
        if len(frame) < length or not 0 < size <= length * _MOST_SHRUNK + 64:
            raise FormatError("a frame claims to hold more than it does")
        if (left := left - size) < 0:
            raise FormatError("it holds more than it can have to")
        yield bytearray(frame) if size == length else _inflated(frame, size)


def value_of(parts: list[Buffer]) -> Any:
    """The inverse of :func:`frames`.

    Raises:
        FormatError: as :func:`decode`.
    """
    try:
        return _Reader(parts).unpack(parts[0])
    except FormatError:
        raise
    except Exception as error:  # whatever hostile data makes of msgpack, numpy and our classes
        raise FormatError(f"it cannot be read: {type(error).__name__}: {error}") from error


class _Reader:
    """Reads a value, whose large arrays stand after it."""

    def __init__(self, parts: list[Buffer]) -> None:
        self._parts, self._depth = parts, 0

    def unpack(self, packed: Buffer) -> Any:
        self._depth += 1
        if self._depth > _DEEPEST:
            raise FormatError("it is nested too deep")
        value = msgpack.unpackb(
            packed, ext_hook=self._meant, strict_map_key=False, unicode_errors="surrogatepass"
        )
        self._depth -= 1
        return value

    def _meant(self, code: int, packed: bytes) -> Any:
        if code == _COMPLEX:
            return complex(*struct.unpack("<dd", packed))
        if code == _INT:
            return int.from_bytes(packed, "little", signed=True)
        inner = self.unpack(packed)
        if not isinstance(inner, list):
            raise FormatError("a code of its own holds no list")
        return _READERS[code](inner, self._parts)


def _array(inner: list[Any], _: list[Buffer]) -> np.ndarray:
    dtype, shape, order, data = inner
    return _shaped(dtype, shape, order, bytearray(data))


def _large_array(inner: list[Any], parts: list[Buffer]) -> np.ndarray:
    dtype, shape, order, number = inner
    if type(number) is not int or not 0 < number < len(parts):
        raise FormatError("a large array is missing")
    return _shaped(dtype, shape, order, parts[number])


def _shaped(dtype: str, shape: list[int], order: Any, data: Buffer) -> np.ndarray:
    """An array over the data, writable as numpy's own memory is."""
    flat = np.frombuffer(data, _known(dtype)) if data else np.empty(0, _known(dtype))
    return flat.reshape(_checked(shape), order=order)


def _scalar(inner: list[Any], _: list[Buffer]) -> Any:
    dtype, data = inner
    (value,) = np.frombuffer(data, _known(dtype))
    return value


def _object(inner: list[Any], _: list[Buffer]) -> Any:
    name, *values = inner
    kind, fields = _CLASSES[name]
    if len(values) != len(fields):
        raise FormatError(f"{name} has other fields")
    made = kind(*values)
    _CHECKS.get(name, lambda _: None)(made)
    return made


def _enum(inner: list[Any], _: list[Buffer]) -> Any:
    kind, name = inner
    return _ENUMS[kind].__members__[name]


_READERS = {
    _TUPLE: lambda inner, _: tuple(inner),
    _ARRAY: _array,
    _LARGE_ARRAY: _large_array,
    _SCALAR: _scalar,
    _OBJECT: _object,
    _ENUM: _enum,
}


def _check_program(program: Program) -> None:
    """Workers call the methods that a program names: Aer's instructions, and nothing else."""
    if not {name for name, _ in program.written} <= INSTRUCTIONS:
        raise FormatError("a program names what is no instruction of Aer's")


def _check_expression(expression: Expression) -> None:
    if expression.kind not in EXPRESSIONS:
        raise FormatError("an expression is of no class of Aer's")


def check_bindings(bindings: Bindings) -> None:
    """Refuse values of parameters that do not belong to their places.

    Raises:
        FormatError: saying so.
    """
    *places, values = bindings
    if any(each.ndim != 1 or each.dtype != int for each in places) or values.dtype != float:
        raise FormatError("places or values of parameters are of another type")
    if len({len(each) for each in places}) > 1 or values.ndim != 2:
        raise FormatError("places or values of parameters are of another shape")
    columns = bindings.columns
    if columns.size and not 0 <= columns.min() <= columns.max() < values.shape[1]:
        raise FormatError("parameters have other values than places")


def _check_columns(columns: Columns) -> None:
    codes = np.frombuffer(columns.codes, np.uint8)
    if codes.size and codes.max() >= len(KINDS):
        raise FormatError("a circuit has codes of no instruction")
    for name, places, limit, count in (
        ("qubits", columns.qubits, columns.num_qubits, sum(KINDS[c].qubits for c in columns.codes)),
        ("bits", columns.bits, columns.num_memory, columns.codes.count(MEASURE)),
    ):
        numbers = np.frombuffer(places, np.uint16)
        if numbers.size != count or (count and numbers.max() >= limit):
            raise FormatError(f"a circuit has other {name} than it says")
    if len(columns.params) != 8 * sum(KINDS[code].params for code in columns.codes):
        raise FormatError("a circuit has other parameters than its gates")
    for pauli in columns.paulis:
        if len(pauli) != columns.num_qubits or not set(pauli) <= set("IXYZ"):
            raise FormatError("a circuit saves what is no Pauli string on its qubits")


_CHECKS: dict[str, Any] = {
    "bindings": check_bindings,
    "columns": _check_columns,
    "expression": _check_expression,
    "program": _check_program,
}


def _dtype(value: Any) -> str:
    name: str = value.dtype.str
    return _known(name).str


def _known(name: str) -> np.dtype:
    """Numbers only: an object's bytes would be an address."""
    if not _DTYPE.fullmatch(name):
        raise FormatError(f"a store cannot hold an array of type {name!r}")
    return np.dtype(name)


def _checked(shape: list[int]) -> tuple[int, ...]:
    if any(type(length) is not int or length < 0 for length in shape):
        raise FormatError("an array has no such shape")
    return tuple(shape)


def _shrunk(frame: Buffer) -> Buffer:
    """The frame compressed, where that makes it smaller by more than a little."""
    sample = frame[:_LARGE]
    packed = zlib.compress(sample, level=1)
    if 10 * len(packed) > 9 * len(sample):
        return frame
    return packed if len(sample) == len(frame) else zlib.compress(frame, level=1)


def _inflated(frame: Buffer, size: int) -> bytearray:
    machine = zlib.decompressobj()
    try:
        found = machine.decompress(frame, size)
    except zlib.error as error:
        raise FormatError(f"a frame cannot be decompressed: {error}") from error
    if len(found) != size or not machine.eof:
        raise FormatError("a frame holds another number of bytes than it claims")
    return bytearray(found)
