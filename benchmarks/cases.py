"""The workloads.

Each is a function of a small global phase that all its circuits are given: circuits of a new phase
are new to every cache on the way, and cost what those of any other phase cost. It makes the
circuits, and returns what a contender is then asked to do with them.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from qiskit import QuantumCircuit, transpile
from qiskit.circuit import ParameterVector
from qiskit.circuit.library import efficient_su2, quantum_volume
from qiskit.quantum_info import SparsePauliOp
from qiskit_aer import AerSimulator
from qiskit_aer.noise import NoiseModel, depolarizing_error
from qiskit_nature.second_q.circuit.library import UCCSD, HartreeFock
from qiskit_nature.second_q.drivers import PySCFDriver
from qiskit_nature.second_q.mappers import JordanWignerMapper
from scipy.optimize import minimize

from benchmarks.contenders import Contender

Work = Callable[[Contender], Any]


@dataclass(frozen=True)
class Case:
    """A workload, and how it is measured."""

    title: str
    prepare: Callable[[float], Work]
    #: Long ones are not measured more often than this.
    most_rounds: int = 9
    #: Whether it is measured with known circuits, too.
    warm: bool = True


def with_phase(circuit: QuantumCircuit, phase: float) -> QuantumCircuit:
    """A copy that no cache has seen."""
    copy = circuit.copy(name=circuit.name)
    copy.global_phase += phase
    return copy


# --- circuits -----------------------------------------------------------------


@cache
def volume(qubits: int, seed: int, *basis: str) -> QuantumCircuit:
    """A quantum volume circuit of these gates, measured."""
    circuit = quantum_volume(qubits, seed=seed)
    circuit.measure_all()
    return transpile(circuit, basis_gates=list(basis), optimization_level=0)


def ghz(phase: float, count: int) -> list[QuantumCircuit]:
    """GHZ states of 5 qubits, measured, each built for itself."""
    circuits = []
    for index in range(count):
        circuit = QuantumCircuit(5, global_phase=phase, name=f"ghz{index}")
        circuit.h(0)
        for qubit in range(4):
            circuit.cx(qubit, qubit + 1)
        circuit.measure_all()
        circuits.append(circuit)
    return circuits


@cache
def qaoa(qubits: int, reps: int) -> QuantumCircuit:
    """QAOA for the largest cut of a ring with all its diameters, measured."""
    gamma, beta = ParameterVector("gamma", reps), ParameterVector("beta", reps)
    edges = [(i, (i + 1) % qubits) for i in range(qubits)]
    edges += [(i, i + qubits // 2) for i in range(qubits // 2)]
    circuit = QuantumCircuit(qubits, name="qaoa")
    circuit.h(range(qubits))
    for cost, mix in zip(gamma, beta, strict=True):
        for edge in edges:
            circuit.rzz(2 * cost, *edge)
        circuit.rx(2 * mix, range(qubits))
    circuit.measure_all()
    return circuit


@cache
def brickwork(qubits: int, layers: int, seed: int) -> QuantumCircuit:
    """Layers of rotations and of cx between neighbours, which entangle little; measured."""
    angles = np.random.default_rng(seed).uniform(0, math.pi, (layers, qubits))
    circuit = QuantumCircuit(qubits)
    for layer in range(layers):
        for qubit in range(qubits):
            circuit.ry(angles[layer, qubit], qubit)
        for qubit in range(layer % 2, qubits - 1, 2):
            circuit.cx(qubit, qubit + 1)
    circuit.measure_all()
    return circuit


def ising(qubits: int) -> SparsePauliOp:
    """The Ising chain in a transverse field: ZZ of neighbours, and an X of each qubit."""
    pairs = [("ZZ", [i, i + 1], 1.0) for i in range(qubits - 1)]
    fields = [("X", [i], 0.5) for i in range(qubits)]
    return SparsePauliOp.from_sparse_list([*pairs, *fields], num_qubits=qubits)


@cache
def lithium_hydride() -> tuple[QuantumCircuit, SparsePauliOp]:
    """UCCSD ansatz and Hamiltonian of LiH at 2.5 Å: 12 qubits, 92 parameters, 631 Paulis."""
    molecule = PySCFDriver(atom="H 0 0 0; Li 0 0 2.5", basis="sto3g").run()
    mapper, size = JordanWignerMapper(), (molecule.num_spatial_orbitals, molecule.num_particles)
    ansatz = UCCSD(*size, mapper, initial_state=HartreeFock(*size, mapper)).decompose(reps=2)
    plain = AerSimulator(method="statevector")
    circuit = transpile(ansatz, plain, optimization_level=1, seed_transpiler=1)
    return circuit, mapper.map(molecule.hamiltonian.second_q_op())


# --- work ---------------------------------------------------------------------


def many_volumes(phase: float) -> Work:
    """Circuits of 229 instructions, each sampled."""
    circuits = [with_phase(volume(4, seed, "rz", "sx", "x", "cx"), phase) for seed in range(200)]
    return lambda on: on.run(circuits, shots=1000)


def many_ghz(phase: float, count: int = 16_000) -> Work:
    """Circuits so small that only what is done once per circuit counts."""
    circuits = ghz(phase, count)
    return lambda on: on.run(circuits, shots=100)


def near(circuit: QuantumCircuit) -> np.ndarray:
    """Parameters as they are early in a VQE."""
    return 0.02 * np.random.default_rng(1).standard_normal(circuit.num_parameters)


def single_energies(phase: float) -> Work:
    """What an optimiser without gradients asks for: one energy, then the next one."""
    circuit, hamiltonian = lithium_hydride()
    circuit = with_phase(circuit, phase)
    rows = near(circuit) + 1e-3 * np.eye(circuit.num_parameters)[:10]
    return lambda on: [on.estimate([(circuit, hamiltonian, row)])[0] for row in rows]


def finite_differences(phase: float) -> Work:
    """A gradient: all rows but one value alike."""
    circuit, hamiltonian = lithium_hydride()
    circuit = with_phase(circuit, phase)
    rows = near(circuit) + 1e-3 * np.eye(circuit.num_parameters)
    return lambda on: on.estimate([(circuit, hamiltonian, rows)])


def parameter_shift(phase: float) -> Work:
    """A gradient of two rows for each parameter."""
    circuit = efficient_su2(12, reps=3)
    circuit.global_phase += phase
    base = np.random.default_rng(1).uniform(-1, 1, circuit.num_parameters)
    shifts = math.pi / 2 * np.eye(circuit.num_parameters)
    rows = np.concatenate([base + shifts, base - shifts])
    return lambda on: on.estimate([(circuit, ising(12), rows)])


def vqe(phase: float) -> Work:
    """SLSQP from the Hartree-Fock state; a gradient is one batch of 92 rows."""
    circuit, hamiltonian = lithium_hydride()
    circuit = with_phase(circuit, phase)
    step = np.sqrt(np.finfo(float).eps)

    def minimised(on: Contender) -> list[np.ndarray]:
        """All values that the optimiser saw, in order."""
        seen: list[np.ndarray] = []

        def energies(rows: np.ndarray) -> np.ndarray:
            seen.append(np.ravel(on.estimate([(circuit, hamiltonian, rows)])[0]))
            return seen[-1]

        def energy(point: np.ndarray) -> float:
            return float(energies(point)[0])

        def gradient(point: np.ndarray) -> np.ndarray:
            here, *there = energies(point + step * np.eye(1 + len(point), len(point), -1))
            return (np.array(there) - here) / step

        start = np.zeros(circuit.num_parameters)
        minimize(energy, start, jac=gradient, method="SLSQP", options={"maxiter": 5})
        return seen

    return minimised


def noisy_volume(phase: float) -> Work:
    """One circuit whose shots are simulated one by one."""
    noise = NoiseModel()
    noise.add_all_qubit_quantum_error(depolarizing_error(0.01, 2), ["cx"])
    circuits = [with_phase(volume(12, 1, "u", "cx"), phase)]
    return lambda on: on.run(circuits, shots=1200, noise_model=noise, method="statevector")


def qaoa_scan(phase: float) -> Work:
    """Rows that differ in every value."""
    circuit = with_phase(qaoa(14, reps=2), phase)
    columns = np.random.default_rng(1).uniform(0, math.pi, (circuit.num_parameters, 200))
    binds = [dict(zip(circuit.parameters, columns.tolist(), strict=True))]
    return lambda on: on.run([circuit], binds, shots=1000)


def pubs(circuit: QuantumCircuit, *observables: SparsePauliOp) -> list[tuple]:
    """1000 pubs of one circuit, each with values of its own."""
    rows = np.random.default_rng(1).uniform(-1, 1, (1000, circuit.num_parameters))
    return [(circuit, *observables, row) for row in rows]


def estimator_pubs(phase: float) -> Work:
    """1000 calls that a user has put into one."""
    circuit = with_phase(efficient_su2(4, reps=1), phase)
    return lambda on: on.estimate(pubs(circuit, ising(4)))


def sampler_pubs(phase: float) -> Work:
    """The same with bits sampled."""
    circuit = with_phase(efficient_su2(4, reps=1), phase)
    circuit.measure_all()
    return lambda on: on.sample(pubs(circuit))


def product_states(phase: float) -> Work:
    """Circuits too wide for a vector."""
    circuits = [with_phase(brickwork(40, layers=4, seed=seed), phase) for seed in range(16)]
    return lambda on: on.run(circuits, shots=1000, method="matrix_product_state")


CASES = {
    "qv4": Case("200 quantum volume 4", many_volumes),
    "ghz": Case("16,000 GHZ states of 5 qubits", many_ghz),
    "lih_energies": Case("10 single energies of LiH", single_energies),
    "lih_gradient": Case("gradient of LiH, 92 rows", finite_differences, most_rounds=2),
    # all its evaluations but the first are warm ones
    "lih_vqe": Case("VQE of LiH, 5 iterations", vqe, most_rounds=1, warm=False),
    "su2_shift": Case("parameter shift, 12 qubits, 192 rows", parameter_shift),
    "noisy_qv12": Case("noisy quantum volume 12, 1200 shots", noisy_volume),
    "qaoa14": Case("QAOA of 14 qubits, 200 rows", qaoa_scan),
    "estimator_pubs": Case("1000 pubs of an estimator", estimator_pubs),
    "sampler_pubs": Case("1000 pubs of a sampler", sampler_pubs),
    "mps40": Case("16 matrix product states, 40 qubits", product_states),
}
