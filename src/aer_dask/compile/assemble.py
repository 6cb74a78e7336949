"""Circuits, bindings and options to what the simulator is fed with: the client's half of a run.

This follows ``AerBackend._execute_circuits_job`` of the pinned qiskit-aer up to the point where it
would call the C++ controller. Compiling the whole batch here, on the client, is what keeps a split
run equal to an unsplit one: a quantum channel in one circuit becomes part of the noise model of all
of them, and the sizes in the configuration are those of the largest circuit.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from types import MappingProxyType, ModuleType
from typing import Any, NamedTuple

import numpy as np
from qiskit import QuantumCircuit
from qiskit.circuit import ParameterExpression
from qiskit.quantum_info import Pauli
from qiskit_aer import AerError, AerSimulator
from qiskit_aer.backends import controller_wrappers as aer
from qiskit_aer.noise import NoiseModel

from . import codec, columns, program
from .bindings import GLOBAL_PHASE, Bindings, row
from .columns import RZ, Columns, Place
from .method import is_automatic
from .noise import NO_NOISE, NoiseFacts, local_errors, without_unmet
from .prediction import Prediction, predict


@dataclass(frozen=True)
class Compiled:
    """One circuit, compiled: its encoded program, and what the client keeps of it.

    ``bindings`` is empty for a circuit that is not parameterised; ``header`` is what Aer would put
    above its results.
    """

    data: bytes
    prediction: Prediction
    bindings: Bindings
    header: dict[str, Any]

    @property
    def name(self) -> str:
        """Of the circuit."""
        return self.header["name"]  # type: ignore[no-any-return]

    @property
    def phase(self) -> float:
        """The global phase in radians; zero where it is bound."""
        return self.header["global_phase"]  # type: ignore[no-any-return]

    @property
    def binds_phase(self) -> bool:
        """Whether the global phase differs from row to row."""
        return self.bindings.phases() is not None

    @property
    def rows(self) -> int:
        """How many results the circuit has: one, or one for each row of parameter values."""
        return self.bindings.rows


#: What a circuit is besides its instructions, as so many of them.
_OVERHEAD = 50
#: Local errors from which on it takes longer to write them all out than to look which are met.
_MANY_ERRORS = 50
#: Options that hold for all batches of a run.
_OF_ALL_BATCHES = frozenset(
    {
        "executor", "max_job_size", "max_shot_size", "noise_sampling", "prefix_sharing",
        "seed_policy", "store",
    }
)  # fmt: skip


class Request(NamedTuple):
    """The arguments of one ``run`` call.

    ``paulis`` are, for each circuit, the Pauli strings whose expectation values are saved at its
    end, each under its own name; None for none at all. They are the same as instructions that save
    each of them, in less time.
    """

    circuits: list[QuantumCircuit]
    parameter_binds: list[dict[Any, Any]] | None = None
    options: Mapping[str, Any] = MappingProxyType({})
    paulis: Sequence[tuple[str, ...]] | None = None


@dataclass(frozen=True)
class Batch:
    """One ``run`` call; ``config`` and ``noise`` hold for all of its circuits.

    ``circuits`` are those that are compiled, and ``left`` gives the others; ``weights`` say how
    much of the work each of all circuits is: its instructions and :data:`_OVERHEAD`, times rows.
    """

    config: dict[str, Any]
    noise: dict[str, Any]
    noise_facts: NoiseFacts
    weights: list[int]
    left: Iterator[Compiled]
    circuits: list[Compiled] = field(default_factory=list)

    def compile(self) -> Iterator[Compiled]:
        """All circuits; those that are not compiled yet are when they are asked for."""
        yield from tuple(self.circuits)
        for compiled in self.left:
            self.circuits.append(compiled)
            yield compiled

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
    compiler.AerCircuit = program.Program  # type: ignore[attr-defined]
    compiler.AerConfig = _Config  # type: ignore[attr-defined]
    for kind in program.EXPRESSIONS:
        setattr(compiler, kind, program.expression_recorder(kind))
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


class Assembler:
    """Compiles the batches of one run.

    What does not change from one to the next is made once: the dictionary of a noise model, and
    what is predicted of circuits that differ only in their numbers.

    Args:
        backend: whose options and target apply.
        run_options: options that override the backend's in this run.
    """

    def __init__(self, backend: AerSimulator, run_options: Mapping[str, Any]) -> None:
        self._backend, self._run_options = backend, run_options
        self._basis_gates = (
            set(backend.configuration().basis_gates) if backend._from_backend else None
        )
        self._noises: dict[tuple[int, frozenset[int]], tuple[Any, dict[str, Any], NoiseFacts]] = {}
        self._predictions = _Predictions({}, NO_NOISE)
        self._encoded: dict[bytes, bytes] = {}

    def assemble(self, request: Request) -> Batch:
        """Settle what holds for all circuits of a batch, which compiles them when it is asked to.

        Raises:
            AerError: for whatever Aer itself would refuse: an unknown instruction, unbound
                parameters, bindings that do not match the circuits, an option of a wrong type;
                some of it when the circuit is compiled.
        """
        _check_own(request)
        options = {**self._run_options, **request.options}
        circuits, noise_model = self._compile(request, options)
        _check_binds(circuits, request.parameter_binds)
        config = vars(
            _recording_compiler().generate_aer_config(circuits, self._backend.options, **options)
        )
        config["shots"] = int(config["shots"])  # of numpy, say, whose arithmetic wraps around
        # Aer's own form of bindings, given as an option
        tables = config.pop("parameterizations", None) or [[] for _ in circuits]
        if len(tables) != len(circuits):
            raise AerError(
                f"parameterizations has entries for {len(tables)} circuits; there are "
                f"{len(circuits)}."
            )
        noise, facts = self._noise(noise_model, circuits)
        predictions = self._predictions_for(config, facts)
        given: Sequence[Any] | None = request.parameter_binds
        binds = given or [None] * len(circuits)
        saved = request.paulis or [()] * len(circuits)

        def compiled() -> Iterator[Compiled]:
            for circuit, paulis, table, bound in zip(circuits, saved, tables, binds, strict=True):
                program, header, places = self._program(circuit, paulis)
                bindings = _given(table) if bound is None else _bind(places, bound)
                header["metadata"] = circuit.metadata
                # encoded at once: thousands of small objects that stay make the collector busy
                data = _encoded(program)
                prediction = predictions.of(program, bool(bindings))
                yield Compiled(self._same(data), prediction, bindings, header)

        weights = [
            (_OVERHEAD + len(circuit._data)) * _rows(bound)
            for circuit, bound in zip(circuits, binds, strict=True)
        ]
        return Batch(config, noise, facts, weights, compiled())

    def _compile(
        self, request: Request, options: dict[str, Any]
    ) -> tuple[list[QuantumCircuit], Any]:
        """What Aer does to circuits before it assembles them, and the noise model after it.

        There is nothing that it would do to plain circuits.
        """
        circuits = list(request.circuits)
        left = [i for i, c in enumerate(circuits) if not columns.is_plain(c, self._basis_gates)]
        if not left:
            default = getattr(self._backend.options, "noise_model", None)
            return circuits, options.get("noise_model", default)
        compiled, noise_model = self._backend._compile([circuits[i] for i in left], **options)
        for index, circuit in zip(left, compiled, strict=True):
            circuits[index] = circuit
        return circuits, noise_model

    def _program(
        self, circuit: QuantumCircuit, paulis: tuple[str, ...]
    ) -> tuple[program.Program | Columns, dict[str, Any], Iterable[Place]]:
        """A circuit compiled, its header, and where it has expressions."""
        if (read := columns.read(circuit, self._basis_gates, paulis)) is not None:
            return read[0], _header(circuit, read[0]), read[1]
        circuit = _with_saves(circuit, paulis)
        recorded, index_map = _recording_compiler().assemble_circuit(
            _Listed(circuit), self._basis_gates
        )
        return recorded, recorded.header, _places(circuit, index_map)

    def _same(self, data: bytes) -> bytes:
        """One object for equal circuits, so that they travel once in a task."""
        return self._encoded.setdefault(data, data)

    def _noise(
        self, model: Any, circuits: list[QuantumCircuit]
    ) -> tuple[dict[str, Any], NoiseFacts]:
        """The dictionary of what circuits can meet of a noise model, and facts of it."""
        if not model:
            return {}, NO_NOISE
        is_large = isinstance(model, NoiseModel) and local_errors(model) > _MANY_ERRORS
        qubits = _used_qubits(circuits) if is_large else frozenset()
        key = id(model), qubits
        if key not in self._noises:
            met = without_unmet(model, qubits) if is_large else model
            noise = met.to_dict(serializable=True)
            self._noises[key] = model, noise, NoiseFacts.of(noise)
        return self._noises[key][1:]

    def _predictions_for(self, config: dict[str, Any], noise: NoiseFacts) -> _Predictions:
        if not self._predictions.are_for(config, noise):
            self._predictions = _Predictions(config, noise)
        return self._predictions


def restored(
    config: dict[str, Any],
    noise: dict[str, Any],
    circuits: Iterable[tuple[program.Program | Columns, Bindings, dict[str, Any]]],
) -> Batch:
    """A batch from what was kept of it: options, noise, and of each circuit three things.

    Args:
        config: as :attr:`Batch.config`, with a seed.
        noise: as :attr:`Batch.noise`.
        circuits: programs, bindings and headers.

    Raises:
        ValueError: for an option that is none of Aer's, which workers would set all the same.
    """
    for option in config:
        if option.startswith("_") or not hasattr(aer.AerConfig, option):
            raise ValueError(f"{option!r} is no option of Aer's")
    facts = NoiseFacts.of(noise) if noise else NO_NOISE
    predictions = _Predictions(config, facts)
    encoded: dict[int, bytes] = {}
    compiled = []
    for circuit, bindings, header in circuits:
        if id(circuit) not in encoded:  # one object, so that it travels once
            encoded[id(circuit)] = _encoded(circuit)
        prediction = predictions.of(circuit, bool(bindings))
        compiled.append(Compiled(encoded[id(circuit)], prediction, bindings, header))
    return Batch(config, noise, facts, [1] * len(compiled), iter(()), compiled)


def _encoded(circuit: program.Program | Columns) -> bytes:
    return codec.encode(circuit, compress=not isinstance(circuit, Columns))


class _Predictions:
    """What is predicted of circuits under one configuration and noise model."""

    def __init__(self, config: dict[str, Any], noise: NoiseFacts) -> None:
        self._config, self._noise = config, noise
        self._automatic = is_automatic(config)
        self._known: dict[Any, Prediction] = {}

    def are_for(self, config: dict[str, Any], noise: NoiseFacts) -> bool:
        """Whether the same would be predicted for these. Sizes of circuits say nothing."""
        sizes = {"n_qubits": None, "memory_slots": None}
        return noise is self._noise and {**config, **sizes} == {**self._config, **sizes}

    def of(self, compiled: program.Program | Columns, bound: bool) -> Prediction:
        """The prediction for a circuit."""
        if isinstance(compiled, program.Program) or self._looks_at_angles(compiled, bound):
            return predict(compiled, self._config, self._noise, bound=bound)
        key = compiled._replace(num_memory=0, global_phase_angle=0.0, params=b""), bound
        if key not in self._known:
            self._known[key] = predict(compiled, self._config, self._noise, bound=bound)
        return self._known[key]

    def _looks_at_angles(self, compiled: Columns, bound: bool) -> bool:
        """Whether the prediction may depend on angles: some are those of Clifford gates."""
        return self._automatic and not bound and RZ in compiled.codes


def _check_own(request: Request) -> None:
    """Refuse what is not an option of a single batch, and Paulis for other circuits."""
    if ours := _OF_ALL_BATCHES.intersection(request.options):
        raise AerError(
            f"{', '.join(sorted(ours))}: give this for all batches, not for one of them."
        )
    if request.paulis is not None and len(request.paulis) != len(request.circuits):
        raise AerError(
            f"There are Paulis for {len(request.paulis)} circuits, and {len(request.circuits)} "
            "circuits."
        )


def _check_binds(
    circuits: list[QuantumCircuit], parameter_binds: list[dict[Any, Any]] | None
) -> None:
    """Refuse what Aer refuses, in Aer's own sentences."""
    if parameter_binds and len(parameter_binds) != len(circuits):
        raise AerError(
            "Number of input circuits does not match number of input parameter bind dictionaries"
        )
    if not parameter_binds and any(circuit.num_parameters for circuit in circuits):
        raise AerError("circuits have parameters but parameter_binds is not specified.")


def _places(circuit: QuantumCircuit, index_map: list[int]) -> Iterator[Place]:
    """Where a circuit has expressions, as ``AerBackend._convert_circuit_binds`` finds them.

    Instructions are looked at anew, because the compiler writes zeros into those of some kinds.
    """
    if not circuit.num_parameters:
        return iter(())
    places = [(GLOBAL_PHASE, -1, circuit.global_phase)]
    for index, instruction in zip(index_map, circuit.data, strict=True):
        parameters = enumerate(instruction.operation.params)
        places += [(index, position, value) for position, value in parameters]
    return (place for place in places if columns.is_open(place[2]))


def _given(table: Iterable[tuple[tuple[int, int], Any]]) -> Bindings:
    """Bindings in Aer's own form."""
    places = [(*where, column) for column, (where, _) in enumerate(table)]
    return Bindings.of(places, [row(values) for _, values in table])


def _bind(places: Iterable[Place], binds: dict[Any, Any]) -> Bindings:
    """The values of every parameter of every instruction; each expression is evaluated once."""
    expressions: list[ParameterExpression] = []
    # (a + b) + c equals a + (b + c), but may have other bits
    equal: dict[ParameterExpression, list[int]] = {}
    bound = []
    for instruction, position, expression in places:
        known = equal.setdefault(expression, [])
        column = next((c for c in known if expression.structurally_equal(expressions[c])), None)
        if column is None:
            column = len(expressions)
            known.append(column)
            expressions.append(expression)
        bound.append((instruction, position, column))
    return Bindings.of(bound, [_values(expression, binds) for expression in expressions])


def _used_qubits(circuits: list[QuantumCircuit]) -> frozenset[int]:
    """The qubits of all circuits that something is done to."""
    found: set[int] = set()
    for circuit in circuits:
        places = {bit: place for place, bit in enumerate(circuit.qubits)}
        used = {bit for step in circuit._data if step.name != "barrier" for bit in step.qubits}
        found.update(map(places.__getitem__, used))
    return frozenset(found)


def _rows(binds: dict[Any, Any] | None) -> int:
    """How many rows of values a circuit is given."""
    return np.size(next(iter(binds.values()))) if binds else 1


def _header(circuit: QuantumCircuit, compiled: Columns) -> dict[str, Any]:
    """What Aer's compiler puts above the results of a circuit."""
    return {
        "n_qubits": compiled.num_qubits,
        "qreg_sizes": [[register.name, register.size] for register in circuit.qregs],
        "memory_slots": compiled.num_memory,
        "creg_sizes": [[register.name, register.size] for register in circuit.cregs],
        "name": circuit.name,
        "global_phase": compiled.global_phase_angle,
    }


def _with_saves(circuit: QuantumCircuit, paulis: tuple[str, ...]) -> QuantumCircuit:
    """The circuit with an instruction at its end for each expectation value."""
    if not paulis:
        return circuit
    circuit = circuit.copy()
    for pauli in paulis:
        circuit.save_expectation_value(Pauli(pauli), range(circuit.num_qubits), label=pauli)
    return circuit


def _values(value: ParameterExpression, binds: dict[Any, Any]) -> np.ndarray:
    """A parameter's values, or an expression's, for every row."""
    if value in binds:
        return row(binds[value])
    if not binds:
        raise AerError("The element of parameter_binds is empty.")  # Aer's own sentence
    rows = len(next(iter(binds.values())))
    known = value.parameters & binds.keys()
    return row([float(value.bind({p: binds[p][at] for p in known})) for at in range(rows)])
