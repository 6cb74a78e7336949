"""Compiled circuits, options and noise models to bytes and back.

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
from dataclasses import dataclass
from typing import Any

from .bindings import Bindings


@dataclass(frozen=True)
class ControllerCall:
    """One call of Aer's controller: circuits that follow one another, or a slice of one's shots.

    ``programs`` are encoded; ``bindings`` are the rows bound to each and ``phases`` the global
    phases in radians. ``batch`` says which configuration and noise model of the run apply;
    ``shares`` that the rows of the one circuit may share what they have in common.
    """

    batch: int
    programs: list[bytes]
    bindings: list[Bindings]
    phases: list[float]
    seed: int
    shots: int
    shares: bool = False


@dataclass(frozen=True)
class TrajectoryCall:
    """A part of the shots of one noisy circuit that share trajectories.

    ``program`` is encoded. ``seed`` is of the batch, and ``ordinal`` counts its experiments;
    ``shots`` are those of all ``parts`` together.
    """

    batch: int
    program: bytes
    seed: int
    ordinal: int
    shots: int
    part: int
    parts: int


#: What stands before each frame of encoded data: whether it is compressed, and its length in bytes.
_FRAME = struct.Struct("<?Q")
#: Bytes from which an array is a frame of its own.
_LARGE = 2**16

Buffer = bytes | bytearray | memoryview


def encode(value: Any, *, compress: bool = True) -> bytes:
    """Plain data to bytes.

    Args:
        value: to be encoded.
        compress: False for what is small and many; compressing takes longer than sending it.
    """
    return b"".join(frames(value, compress=compress))


def frames(value: Any, *, compress: bool = True) -> list[Buffer]:
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
        is_compressed, frame = _compressed(part) if compress else (False, part)
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
