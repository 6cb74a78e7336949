"""One task, simulated by Aer: bytes in, bytes out, in whatever process this runs.

A task is a list of calls of Aer's controller (:class:`aer_dask.compile.codec.ControllerCall`).
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
from qiskit_aer.backends import controller_wrappers as aer
from qiskit_aer.backends.backend_utils import LIBRARY_DIR

from ..compile import codec
from ..compile.codec import ControllerCall


@lru_cache(maxsize=8)
def _batches(shared: bytes) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    """The configuration and noise model of each batch of a run, decoded once a process."""
    batches: list[tuple[dict[str, Any], dict[str, Any]]] = codec.decode(shared)
    return batches


@lru_cache(maxsize=64)
def _program(data: bytes) -> codec.Program:
    program: codec.Program = codec.decode(data)
    return program


def simulate(task: bytes, shared: bytes, limits: dict[str, int] | None = None) -> bytes:
    """Simulate a task, as :func:`frames` does, and put the bytes together."""
    return b"".join(frames(task, shared, limits))


def frames(task: bytes, shared: bytes, limits: dict[str, int] | None = None) -> list[codec.Buffer]:
    """Simulate a task.

    Args:
        task: an encoded list of :class:`ControllerCall`.
        shared: the encoded list of (configuration, noise model), one for each batch of the run.
        limits: options set by this process where the user set none, such as
            ``max_memory_mb`` and ``max_parallel_threads``.

    Returns:
        The controller's raw outputs, one for each call, encoded one after the other: all but
        large arrays is given up before the next call begins.
    """
    batches = _batches(shared)
    encoded: list[codec.Buffer] = []
    for call in codec.decode(task):
        config, noise = batches[call.batch]
        encoded += codec.frames(_call(call, {**(limits or {}), **config}, noise))
    return encoded


def _call(call: ControllerCall, options: dict[str, Any], noise: dict[str, Any]) -> dict[str, Any]:
    circuits = [codec.replay(_program(data)) for data in call.programs]
    for index, (circuit, phase) in enumerate(zip(circuits, call.phases, strict=True)):
        circuit.circ_id = index
        circuit.global_phase_angle = phase
    config = aer.AerConfig()
    for name, value in options.items():
        setattr(config, name, value)
    config.seed_simulator = call.seed
    config.shots = call.shots
    config.library_dir = LIBRARY_DIR
    if any(call.bindings):
        config.parameterizations = [
            [(position, np.asarray(values).tolist()) for position, values in table]
            for table in call.bindings
        ]
    return _controller().execute(circuits, noise, config)


@lru_cache(maxsize=1)
def _controller() -> Any:
    # importing qiskit_aer has loaded the OpenMP library that the controller needs
    return aer.aer_controller_execute()
