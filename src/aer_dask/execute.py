"""One task, simulated by Aer: bytes in, bytes out, in whatever process this runs.

A task is a list of *pieces*; a piece is one call of Aer's controller: circuits that follow one
another, with all their shots, or a slice of the shots of one circuit.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from qiskit_aer.backends import controller_wrappers as aer
from qiskit_aer.backends.backend_utils import LIBRARY_DIR

from . import codec
from .assemble import Binding


@dataclass(frozen=True)
class Piece:
    """One call of the controller: encoded programs, the rows bound to each, a seed and shots.

    ``batch`` says which configuration and noise model of the run apply.
    """

    batch: int
    programs: list[bytes]
    bindings: list[list[Binding]]
    phases: list[float]
    seed: int
    shots: int


@lru_cache(maxsize=8)
def _shared(data: bytes) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    """The configuration and noise model of each batch of a run, parsed once a process."""
    shared: list[tuple[dict[str, Any], dict[str, Any]]] = codec.decode(data)
    return shared


@lru_cache(maxsize=64)
def _program(data: bytes) -> codec.Program:
    program: codec.Program = codec.decode(data)
    return program


def run_task(task: bytes, shared: bytes, limits: dict[str, int] | None = None) -> bytes:
    """Simulate a task.

    Args:
        task: an encoded list of :class:`Piece`.
        shared: the encoded list of (configuration, noise model), one for each batch of the run.
        limits: options set by this process where the user set none, such as
            ``max_memory_mb`` and ``max_parallel_threads``.

    Returns:
        The encoded list of the controller's raw outputs, one for each piece.
    """
    batches = _shared(shared)
    outputs = []
    for piece in codec.decode(task):
        config, noise = batches[piece.batch]
        outputs.append(_run_piece(piece, {**(limits or {}), **config}, noise))
    return codec.encode(outputs)


def _run_piece(piece: Piece, options: dict[str, Any], noise: dict[str, Any]) -> dict[str, Any]:
    circuits = [codec.replay(_program(data)) for data in piece.programs]
    for index, (circuit, phase) in enumerate(zip(circuits, piece.phases, strict=True)):
        circuit.circ_id = index
        circuit.global_phase_angle = phase
    config = aer.AerConfig()
    for name, value in options.items():
        setattr(config, name, value)
    config.seed_simulator = piece.seed
    config.shots = piece.shots
    config.library_dir = LIBRARY_DIR
    if any(piece.bindings):
        config.parameterizations = [
            [(position, np.asarray(values).tolist()) for position, values in table]
            for table in piece.bindings
        ]
    return _controller().execute(circuits, noise, config)


@lru_cache(maxsize=1)
def _controller() -> Any:
    # importing qiskit_aer has loaded the OpenMP library that the controller needs
    return aer.aer_controller_execute()
