"""Circuits, bindings and options to what the simulator is fed with: the client's half of a run.

This follows ``AerBackend._execute_circuits_job`` of the pinned qiskit-aer up to the point where it
would call the C++ controller. Compiling the whole batch here, on the client, is what keeps a split
run equal to an unsplit one: a quantum channel in one circuit becomes part of the noise model of all
of them, and the sizes in the configuration are those of the largest circuit.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from types import ModuleType
from typing import Any

import numpy as np
from qiskit import QuantumCircuit
from qiskit.circuit import ParameterExpression
from qiskit_aer import AerError, AerSimulator
from qiskit_aer.backends import controller_wrappers as aer

from . import codec
from .codec import Binding
from .noise import NoiseFacts
from .prediction import Prediction, predict


@dataclass(frozen=True)
class Compiled:
    """One circuit, compiled: its encoded program, and what the client keeps of it.

    ``bindings`` is empty for a circuit that is not parameterised; ``phase`` is the global phase in
    radians.
    """

    data: bytes
    prediction: Prediction
    bindings: list[Binding]
    phase: float
    metadata: dict[str, Any] | None

    @property
    def rows(self) -> int:
        """How many results the circuit has: one, or one for each row of parameter values."""
        return len(self.bindings[0][1]) if self.bindings else 1


@dataclass(frozen=True)
class Batch:
    """One ``run`` call, compiled; ``config`` and ``noise`` hold for all of its circuits."""

    circuits: list[Compiled]
    config: dict[str, Any]
    noise: dict[str, Any]
    noise_facts: NoiseFacts

    @property
    def shots(self) -> int:
        """Shots of each circuit."""
        return self.config["shots"]  # type: ignore[no-any-return]


@cache
def _recording_compiler() -> ModuleType:
    """A private copy of Aer's compiler whose circuits and expressions write themselves down.

    A copy, so that the module everybody else imports stays as it is.
    """
    spec = importlib.util.find_spec("qiskit_aer.backends.aer_compiler")
    assert spec is not None
    assert spec.loader is not None
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


class _Listed:
    """A circuit with its instructions in a list.

    ``QuantumCircuit.data`` makes an instruction's object each time it is looked at, and Aer's
    compiler looks three times; this makes it once.
    """

    def __init__(self, circuit: QuantumCircuit) -> None:
        self._circuit = circuit
        self.data = list(circuit.data)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._circuit, name)


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
    compiled, noise_model = backend._compile(list(circuits), **run_options)
    _check_binds(compiled, parameter_binds)
    compiler = _recording_compiler()
    config = vars(compiler.generate_aer_config(compiled, backend.options, **run_options))
    config["shots"] = int(config["shots"])  # of numpy, say, whose arithmetic wraps around
    # Aer's own form of bindings, given as an option
    tables = config.pop("parameterizations", None) or [[] for _ in compiled]
    noise = noise_model.to_dict(serializable=True) if noise_model else {}
    facts = NoiseFacts.of(noise)
    basis_gates = set(backend.configuration().basis_gates) if backend._from_backend else None
    assembled = []
    for index, circuit in enumerate(compiled):
        listed = _Listed(circuit)
        program, index_map = compiler.assemble_circuit(listed, basis_gates)
        bindings = [(tuple(where), _row(values)) for where, values in tables[index]]
        if parameter_binds:
            bindings = list(_bind(listed, parameter_binds[index], index_map))
        assembled.append(
            # encoded at once: thousands of small objects that stay make Python's collector busy
            Compiled(
                codec.encode(program),
                predict(program, config, facts, bound=bool(bindings)),
                bindings,
                program.global_phase_angle,
                circuit.metadata,
            )
        )
    return Batch(assembled, config, noise, facts)


def _check_binds(
    circuits: list[QuantumCircuit], parameter_binds: list[dict[Any, Any]] | None
) -> None:
    """Refuse what Aer refuses, in Aer's own sentences."""
    if parameter_binds and len(parameter_binds) != len(circuits):
        raise AerError(
            "Number of input circuits does not match number of input parameter bind dictionaries"
        )
    if not parameter_binds and any(circuit.parameters for circuit in circuits):
        raise AerError("circuits have parameters but parameter_binds is not specified.")


def _bind(circuit: _Listed, binds: dict[Any, Any], index_map: list[int]) -> Iterator[Binding]:
    """The values of every parameter of every instruction, by rows.

    What ``AerBackend._convert_circuit_binds`` gives; but it evaluates an expression once, and not
    for each instruction that has it (an ansatz repeats a few hundred of them ten thousand times).
    """
    values_of: dict[Any, np.ndarray] = {}
    places = [(aer.AerConfig.GLOBAL_PHASE_POS, -1, circuit.global_phase)]
    for index, instruction in zip(index_map, circuit.data, strict=True):
        parameters = enumerate(instruction.operation.params)
        places += [(index, position, value) for position, value in parameters]
    for index, position, value in places:
        if not isinstance(value, ParameterExpression) or not value.parameters:
            continue
        if value not in values_of:
            values_of[value] = _values(value, binds)
        yield (index, position), values_of[value]


def _values(value: ParameterExpression, binds: dict[Any, Any]) -> np.ndarray:
    """A parameter's values, or an expression's, for every row."""
    if value in binds:
        return _row(binds[value])
    if not binds:
        raise AerError("The element of parameter_binds is empty.")  # Aer's own sentence
    rows = len(next(iter(binds.values())))
    known = value.parameters & binds.keys()
    return _row([float(value.bind({p: binds[p][row] for p in known})) for row in range(rows)])


def _row(values: Any) -> np.ndarray:
    """Parameter values as Aer binds them: a vector of doubles, one for each row."""
    return np.asarray(values, dtype=float).ravel()
