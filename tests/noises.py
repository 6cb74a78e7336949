"""Noise models of every kind of error, and circuits with every rule of which gate has which."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from qiskit import ClassicalRegister, QuantumCircuit, QuantumRegister
from qiskit.circuit.library import SXGate, UnitaryGate, XGate
from qiskit.quantum_info import Kraus, random_quantum_channel, random_unitary
from qiskit_aer.noise import (
    NoiseModel,
    PauliLindbladError,
    QuantumError,
    ReadoutError,
    amplitude_damping_error,
    coherent_unitary_error,
    depolarizing_error,
    kraus_error,
    mixed_unitary_error,
    pauli_error,
    phase_amplitude_damping_error,
    reset_error,
    thermal_relaxation_error,
)

#: The probabilities of what is written down, a row for each value measured.
Matrix = list[list[float]]


def all_rules(seed: int = 1, qubits: int = 4, depth: int = 14) -> QuantumCircuit:
    """Gates of every kind that has a rule of its own, measured into permuted bits."""
    generator = np.random.default_rng(seed)
    register = QuantumRegister(qubits)
    circuit = QuantumCircuit(register, ClassicalRegister(2, "a"), ClassicalRegister(qubits, "b"))
    circuit.h(range(qubits))
    kinds = ["rz", "sx", "x", "cx", "cx", "id", "unitary", "labelled", "ccx", "open"]
    for kind in [*kinds, *generator.choice(kinds, depth)]:
        q, r, s = generator.permutation(qubits)[:3].tolist()
        match kind:
            case "rz":
                circuit.rz(generator.uniform(0, 6), q)
            case "unitary":
                matrix = random_unitary(4, seed=int(generator.integers(99)))
                circuit.append(UnitaryGate(matrix, label="labelled_unitary"), [q, r])
            case "labelled":
                circuit.append(SXGate(label="special"), [q])
            case "open":
                circuit.append(XGate().control(1, ctrl_state=0), [q, r])
            case "ccx":
                circuit.ccx(q, r, s)
            case "cx":
                circuit.cx(q, r)
            case _:
                getattr(circuit, kind)(q)
    circuit.barrier()
    circuit.measure(range(qubits), generator.permutation(qubits + 2)[:qubits].tolist())
    return circuit


def in_the_middle(seed: int = 1) -> QuantumCircuit:
    """Measurements and resets between gates, some bits written twice."""
    generator = np.random.default_rng(seed)
    circuit = QuantumCircuit(3, 4)
    circuit.reset(0)
    circuit.h([0, 1, 2])
    for bit in (0, 1, 1):
        q, r, s = generator.permutation(3).tolist()
        circuit.cx(q, r)
        circuit.sx(s)
        circuit.measure(q, bit)
        circuit.rx(generator.uniform(0, 3), q)
        circuit.reset(s)
        circuit.x(s)
        circuit.cx(s, q)
    circuit.measure([2, 0, 1, 1], [2, 3, 0, 2])
    return circuit


def model(
    *default: tuple[QuantumError, str],
    local: Sequence[tuple[QuantumError, str, list[int]]] = (),
    readout: Matrix | None = None,
    local_readout: Sequence[tuple[Matrix, int]] = (),
) -> NoiseModel:
    """A noise model of errors with names, and with qubits."""
    noise = NoiseModel(basis_gates=["rz", "sx", "x", "cx", "id", "h", "ccx", "unitary"])
    for error, names in default:
        noise.add_all_qubit_quantum_error(error, names.split(), warnings=False)
    for error, names, qubits in local:
        noise.add_quantum_error(error, names.split(), qubits, warnings=False)
    if readout:
        noise.add_all_qubit_readout_error(ReadoutError(readout))
    for matrix, qubit in local_readout:
        noise.add_readout_error(ReadoutError(matrix), [qubit], warnings=False)
    return noise


def flip(pauli: str, probability: float) -> QuantumError:
    """A Pauli operator, with a probability."""
    return pauli_error([(pauli, probability), ("I" * len(pauli), 1 - probability)])


def unitary(qubits: int, seed: int) -> np.ndarray:
    """A random matrix."""
    return random_unitary(2**qubits, seed=seed).data


READOUT = [[0.97, 0.03], [0.08, 0.92]]
RESETS = thermal_relaxation_error(50, 40, 3, 0.2)
RELAXATION = thermal_relaxation_error(50, 80, 3, 0.1)
#: What has a rule or a form of its own, each in a noise model that is made when it is asked for.
NOISES: dict[str, Callable[[], NoiseModel]] = {
    "depolarizing": lambda: model(
        (depolarizing_error(0.05, 2), "cx"), (depolarizing_error(0.02, 1), "sx x"), readout=READOUT
    ),
    "local over default, ordered qubits": lambda: model(
        (pauli_error([("XI", 0.1), ("IZ", 0.1), ("II", 0.8)]), "cx"),
        local=[
            (flip("YX", 0.3), "cx", [0, 1]), (flip("XZ", 0.2), "cx", [2, 0]),
            (depolarizing_error(0.3, 1), "x", [0]), (flip("X", 0.4), "rz", [2]),
        ],
    ),
    "labels, id, rz": lambda: model(
        (flip("Y", 0.2), "id rz h"), (flip("ZX", 0.25), "labelled_unitary"),
        (flip("X", 0.3), "special"), (flip("Z", 0.9), "sx"), (flip("XX", 0.4), "unitary"),
    ),
    "three qubits": lambda: model((flip("XYZ", 0.2), "ccx"), local=[(flip("ZZX", 0.4), "ccx",
                                                                     [1, 0, 2])]),
    "open controls": lambda: model((flip("X", 0.2), "x cx_o0"), (flip("XZ", 0.3), "cx")),
    "relaxation by resets": lambda: model(
        (RESETS, "sx x h"), (RESETS.tensor(thermal_relaxation_error(30, 30, 4)), "cx")
    ),
    "relaxation in Kraus form": lambda: model(
        (RELAXATION, "sx x h"),
        (RELAXATION.tensor(RESETS).compose(depolarizing_error(0.03, 2)), "cx"), readout=READOUT,
    ),
    "amplitude damping": lambda: model(
        (amplitude_damping_error(0.15, 0.3), "sx x h"), (amplitude_damping_error(0.1), "id"),
        local=[(phase_amplitude_damping_error(0.2, 0.1), "rz", [1])],
    ),
    "a channel of two qubits": lambda: model(
        (kraus_error(Kraus(random_quantum_channel(4, 4, rank=3, seed=5)).data), "cx")
    ),
    "mixed unitaries": lambda: model(
        (mixed_unitary_error([(np.eye(2), 0.7), (unitary(1, 3), 0.3)]), "sx x"),
        (mixed_unitary_error([(unitary(2, 5), 0.5), (unitary(2, 4), 0.5)]), "labelled_unitary"),
    ),
    "coherent errors": lambda: model((coherent_unitary_error(unitary(2, 4)), "cx")),
    "Pauli-Lindblad": lambda: model(
        (PauliLindbladError(["IX", "ZZ", "YI"], [0.05, 0.1, 0.2]), "cx"),
        (PauliLindbladError(["X", "Y", "I"], [0.1, 0.05, 0.3]), "sx h"),
    ),
    "measurements": lambda: model(
        (depolarizing_error(0.1, 1), "measure"), (RESETS, "measure x"),
        local=[(flip("X", 0.2), "measure", [1]), (amplitude_damping_error(0.3), "measure", [3])],
        readout=[[0.9, 0.1], [0.3, 0.7]], local_readout=[([[0.6, 0.4], [0.1, 0.9]], 2)],
    ),
    "resets": lambda: model(
        (reset_error(0.1, 0.05), "x sx"), (reset_error(0.3), "id"),
        (depolarizing_error(0.2, 1), "reset"),
    ),
    "only readout": lambda: model(readout=READOUT),
}  # fmt: skip
