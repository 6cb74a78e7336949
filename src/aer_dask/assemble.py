"""Circuits, bindings and options to what the simulator is fed with: the client's half of a run.

This follows ``AerBackend._execute_circuits_job`` of the pinned qiskit-aer up to the point where it
would call the C++ controller. Compiling the whole batch here, on the client, is what keeps a split
run equal to an unsplit one: a quantum channel in one circuit becomes part of the noise model of all
of them, and the sizes in the configuration are those of the largest circuit.
"""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from functools import cache
from types import ModuleType
from typing import Any

import numpy as np
from qiskit import QuantumCircuit
from qiskit_aer import AerError, AerSimulator
from qiskit_aer.backends import controller_wrappers as aer

from . import codec

#: One bound parameter of a circuit: the (instruction, parameter) position and a value per row.
Binding = tuple[tuple[int, int], np.ndarray]


@dataclass
class Batch:
    """One ``run`` call, compiled.

    ``programs``, ``bindings`` and ``metadata`` have an entry per circuit given. ``bindings[i]`` is
    empty for a circuit that is not parameterised.
    """

    programs: list[codec.Program]
    bindings: list[list[Binding]]
    metadata: list[dict[str, Any] | None]
    config: dict[str, Any]
    noise: dict[str, Any]
    shots: int

    def rows(self, circuit: int) -> int:
        """How many results the circuit has: one, or one for each row of parameter values."""
        bindings = self.bindings[circuit]
        return len(bindings[0][1]) if bindings else 1

    def is_tied(self, row: int) -> bool:
        """Whether a row cannot be computed apart from the one before it.

        Rows that Aer binds at run time share one execution, and their metadata says so.
        """
        return row > 0 and bool(self.config.get("runtime_parameter_bind_enable"))


@cache
def _recording_compiler() -> ModuleType:
    """A private copy of Aer's compiler whose circuits and expressions write themselves down.

    A copy, so that the module everybody else imports stays as it is.
    """
    spec = importlib.util.find_spec("qiskit_aer.backends.aer_compiler")
    assert spec is not None and spec.loader is not None
    compiler = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(compiler)
    compiler.AerCircuit = codec.Program  # type: ignore[attr-defined]
    compiler.AerConfig = _Config  # type: ignore[attr-defined]
    for kind in codec.EXPRESSIONS:
        setattr(compiler, kind, codec.expression_recorder(kind))
    return compiler


class _Config:
    """Stands in for ``AerConfig`` and takes the same options, as attributes of plain values."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_") or not hasattr(aer.AerConfig, name):
            raise AttributeError(name)
        return None


def assemble(
    backend: AerSimulator,
    circuits: list[QuantumCircuit],
    parameter_binds: list[dict[Any, Any]] | None,
    run_options: dict[str, Any],
) -> Batch:
    """Compile a run without simulating it.

    Args:
        backend: whose options and target apply.
        circuits: at least one.
        parameter_binds: one dictionary a circuit, as for ``AerSimulator.run``.
        run_options: options that override the backend's in this run.

    Raises:
        AerError: for whatever Aer itself would refuse: an unknown instruction, unbound
            parameters, bindings that do not match the circuits, an option of a wrong type.
    """
    circuits = list(circuits)
    compiled, noise_model = backend._compile(circuits, **run_options)
    compiler = _recording_compiler()
    basis_gates = backend.configuration().basis_gates if backend._from_backend else None
    programs, index_maps = compiler.assemble_circuits(compiled, basis_gates)
    bindings: list[list[Binding]] = [[] for _ in programs]
    if parameter_binds:
        tables = backend._convert_binds(compiled, parameter_binds, index_maps)
        bindings = [_bindings(table) for table in tables]
    elif any(circuit.parameters for circuit in compiled):
        raise AerError("circuits have parameters but parameter_binds is not specified.")
    config = vars(compiler.generate_aer_config(compiled, backend.options, **run_options))
    if tables := config.pop("parameterizations", None):
        # Aer's own form of bindings, given as an option
        bindings = [_bindings(table) for table in tables]
    noise = noise_model.to_dict(serializable=True) if noise_model else {}
    return Batch(
        programs,
        bindings,
        [circuit.metadata for circuit in compiled],
        config,
        noise,
        int(config["shots"]),
    )


def _bindings(table: list[Any]) -> list[Binding]:
    return [((position[0], position[1]), codec.as_rows(values)) for position, values in table]
