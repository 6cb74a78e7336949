"""One task, simulated by Aer: bytes in, bytes out, in whatever process this runs.

A task is a list of calls of Aer's controller (:class:`aer_dask.compile.codec.ControllerCall`), or
of parts of shots that share trajectories (:class:`aer_dask.compile.codec.TrajectoryCall`).
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from qiskit_aer.backends import controller_wrappers as aer
from qiskit_aer.backends.backend_utils import LIBRARY_DIR

from ..compile import codec
from ..compile.bindings import GLOBAL_PHASE, Table
from ..compile.codec import ControllerCall, TrajectoryCall
from ..compile.noise import met_by
from ..compile.seeds import seed_of
from . import trajectories
from .batches import batches
from .metrics import Work
from .prefix import Rows, SharedRun, best_route
from .templates import Template, Templates, build

_templates = Templates()


def simulate(task: bytes, shared: bytes, limits: dict[str, int] | None = None) -> bytes:
    """Simulate a task, as :func:`frames` does, and put the bytes together."""
    return b"".join(frames(task, shared, limits)[0])


def frames(
    task: bytes, shared: bytes, limits: dict[str, int] | None = None
) -> tuple[list[codec.Buffer], Work]:
    """Simulate a task.

    Args:
        task: an encoded list of :class:`ControllerCall` and :class:`TrajectoryCall`.
        shared: the encoded list of (configuration, noise model), one for each batch of the run.
        limits: options set by this process where the user set none, such as
            ``max_memory_mb`` and ``max_parallel_threads``.

    Returns:
        The controller's raw outputs, one for each call, encoded one after the other: all but
        large arrays is given up before the next call begins. And how much that was.
    """
    encoded: list[codec.Buffer] = []
    work = Work()
    for call in codec.decode(task):
        encoded += _encoded(call, shared, limits or {}, work)
    return encoded, work


def _encoded(
    call: ControllerCall | TrajectoryCall, shared: bytes, limits: dict[str, int], work: Work
) -> list[codec.Buffer]:
    output = _output(call, shared, limits)
    work.add(output)
    return codec.frames(output)


def _output(
    call: ControllerCall | TrajectoryCall, shared: bytes, limits: dict[str, int]
) -> dict[str, Any]:
    config, _ = batches(shared)[call.batch]
    options = {**limits, **config}
    if isinstance(call, TrajectoryCall):
        return trajectories.simulate(call, shared, options)
    return _call(call, options, shared)


@lru_cache(maxsize=16)
def _noise(shared: bytes, batch: int, qubits: frozenset[int]) -> dict[str, Any]:
    """What circuits on some qubits can meet of a batch's noise model."""
    return met_by(qubits, batches(shared)[batch][1])


def _call(call: ControllerCall, options: dict[str, Any], shared: bytes) -> dict[str, Any]:
    return (call.shares and _in_common(call, options)) or _one_by_one(call, options, shared)


def _one_by_one(call: ControllerCall, options: dict[str, Any], shared: bytes) -> dict[str, Any]:
    """All experiments of the call, each from its beginning."""
    templates, tables = _circuits(call, options)
    noise = {}
    if batches(shared)[call.batch][1]:
        qubits = frozenset().union(*(template.qubits for template in templates))
        noise = _noise(shared, call.batch, qubits)
    circuits = [template.circuit for template in templates]
    config = _config({**options, "seed_simulator": call.seed}, call.shots)
    return _execute(circuits, tables, noise, config)


def _in_common(call: ControllerCall, options: dict[str, Any]) -> dict[str, Any] | None:
    """The rows of the call's circuit, which share what they have in common.

    None where they have too little, or where anything fails: then they are run as usual.
    """
    (data,), (bindings,) = call.programs, call.bindings
    template = _templates.get(data)
    assert template.columns is not None  # the client says so by call.shares
    rows = Rows.of(bindings)
    legs = best_route(template.columns, rows)
    if legs is None:
        return None
    phase = [((GLOBAL_PHASE, -1), [template.columns.global_phase_angle])]

    config = _config({**options, "method": "statevector"}, call.shots)

    def execute(circuit: Any, table: Table, row: int) -> dict[str, Any]:
        config.seed_simulator = seed_of(call.seed, row)
        return _execute([circuit], [table or phase], {}, config)

    return SharedRun(template, rows, execute).output(legs)


def _config(options: dict[str, Any], shots: int) -> aer.AerConfig:
    config = aer.AerConfig()
    for name, value in options.items():
        setattr(config, name, value)
    config.shots = shots
    config.library_dir = LIBRARY_DIR
    return config


def _execute(
    circuits: list[Any], tables: list[Table], noise: dict[str, Any], config: aer.AerConfig
) -> dict[str, Any]:
    if any(tables):
        config.parameterizations = tables
    output: dict[str, Any] = _controller().execute(circuits, noise, config)
    return output


def _circuits(call: ControllerCall, options: dict[str, Any]) -> tuple[list[Template], list[Table]]:
    """The circuits of a call and the values bound to them."""
    bound_by_aer = options.get("runtime_parameter_bind_enable")
    templates, tables = [], []
    for data, phase, bindings in zip(call.programs, call.phases, call.bindings, strict=True):
        table = bindings.table()
        if bound_by_aer or bindings.phases() is not None:
            # the controller writes phases into the circuit
            template = build(data)
            template.circuit.global_phase_angle = phase
        else:
            template = _templates.get(data)
            table = table or [((GLOBAL_PHASE, -1), [phase])]
        templates.append(template)
        tables.append(table)
    return templates, tables


@lru_cache(maxsize=1)
def _controller() -> Any:
    # importing qiskit_aer has loaded the OpenMP library that the controller needs
    return aer.aer_controller_execute()
