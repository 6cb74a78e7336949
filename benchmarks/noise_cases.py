"""Noisy circuits: their shots share trajectories, or Aer simulates them as it chooses by itself."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from qiskit import QuantumCircuit, transpile
from qiskit.circuit.library import quantum_volume
from qiskit.providers.fake_provider import GenericBackendV2
from qiskit.transpiler import CouplingMap
from qiskit_aer.noise import NoiseModel, ReadoutError, depolarizing_error

BASIS = ["rz", "sx", "x", "cx"]
DEVICE_QUBITS = 127


@dataclass(frozen=True)
class NoiseCase:
    """A circuit, its noise, and how many shots of it; ``options`` are further ones of the run."""

    title: str
    circuit: Callable[[], QuantumCircuit]
    noise: Callable[[], NoiseModel]
    shots: int
    options: dict[str, Any]


@cache
def depolarizing(probability: float) -> NoiseModel:
    """Errors of two-qubit gates, a tenth of them of one-qubit gates, and of readout."""
    noise = NoiseModel()
    noise.add_all_qubit_quantum_error(depolarizing_error(probability, 2), ["cx"])
    noise.add_all_qubit_quantum_error(depolarizing_error(probability / 10, 1), ["sx", "x"])
    noise.add_all_qubit_readout_error(ReadoutError([[0.99, 0.01], [0.02, 0.98]]))
    return noise


@cache
def device() -> GenericBackendV2:
    """A line of 127 qubits, with relaxation, gate and readout errors of each its own."""
    line = CouplingMap.from_line(DEVICE_QUBITS)
    return GenericBackendV2(DEVICE_QUBITS, BASIS, coupling_map=line, seed=1)


@cache
def device_noise() -> NoiseModel:
    """The noise model of the device."""
    return NoiseModel.from_backend(device())


def measured(circuit: QuantumCircuit) -> QuantumCircuit:
    """The circuit in gates of the basis, measured."""
    circuit = transpile(circuit, basis_gates=BASIS, optimization_level=1)
    circuit.measure_all()
    return circuit


def volume(qubits: int) -> QuantumCircuit:
    """A quantum volume circuit."""
    return measured(quantum_volume(qubits, seed=1))


def ghz(qubits: int) -> QuantumCircuit:
    """A GHZ state."""
    circuit = QuantumCircuit(qubits)
    circuit.h(0)
    for qubit in range(qubits - 1):
        circuit.cx(qubit, qubit + 1)
    return circuit


def qaoa(qubits: int, edges: list[tuple[int, int]], reps: int) -> QuantumCircuit:
    """QAOA for the largest cut, with random angles."""
    generator = np.random.default_rng(2)
    circuit = QuantumCircuit(qubits)
    circuit.h(range(qubits))
    for _ in range(reps):
        gamma, beta = generator.uniform(0, 1, 2)
        for edge in edges:
            circuit.rzz(gamma, *edge)
        circuit.rx(2 * beta, range(qubits))
    return circuit


def qaoa14() -> QuantumCircuit:
    """QAOA of three rounds on a graph of 14 nodes and 21 edges."""
    edges = [(i, (i + step) % 14) for i in range(14) for step in (1, 5)][:21]
    return measured(qaoa(14, edges, 3))


def on_device(circuit: QuantumCircuit) -> QuantumCircuit:
    """The circuit on the device's qubits, measured."""
    circuit.measure_all()
    return transpile(circuit, device(), optimization_level=3, seed_transpiler=1)


def ghz_on_device() -> QuantumCircuit:
    """A GHZ state of 10 qubits."""
    return on_device(ghz(10))


def qaoa_on_device() -> QuantumCircuit:
    """QAOA of two rounds on a line of 8 qubits."""
    return on_device(qaoa(8, [(i, i + 1) for i in range(7)], 2))


def _volume(qubits: int, percent: float, shots: int) -> NoiseCase:
    title = f"quantum volume {qubits}, {percent:g} %, {shots:,} shots"
    return NoiseCase(title, lambda: volume(qubits), lambda: depolarizing(percent / 100), shots, {})


def _device(title: str, circuit: Callable[[], QuantumCircuit], **options: Any) -> NoiseCase:
    return NoiseCase(f"device, {title}, 10,000 shots", circuit, device_noise, 10_000, options)


def _ghz12(shots: int) -> NoiseCase:
    title = f"GHZ of 12 qubits, 0.3 %, {shots:,} shots"
    return NoiseCase(title, lambda: measured(ghz(12)), lambda: depolarizing(0.003), shots, {})


NOISE_CASES = {
    "noise_qv6": _volume(6, 0.3, 10_000),
    "noise_qv8": _volume(8, 0.3, 1000),
    "noise_qv8_many": _volume(8, 0.3, 10_000),
    "noise_qv10": _volume(10, 0.3, 1000),
    "noise_qv10_many": _volume(10, 0.3, 10_000),
    "noise_qv12": _volume(12, 0.3, 1000),
    "noise_qv12_many": _volume(12, 0.3, 10_000),
    "noise_qv12_rare": _volume(12, 0.1, 1000),
    "noise_qv12_frequent": _volume(12, 5, 1000),
    "noise_qaoa14": NoiseCase(
        "QAOA of 14 qubits, 0.3 %, 1,000 shots", qaoa14, lambda: depolarizing(0.003), 1000, {}
    ),
    "noise_qv16": _volume(16, 0.3, 1000),
    "noise_qv16_rare": _volume(16, 0.1, 1000),
    "noise_ghz12": _ghz12(1000),
    "noise_ghz12_many": _ghz12(10_000),
    "noise_device_ghz": _device("GHZ of 10 qubits", ghz_on_device),
    "noise_device_qaoa": _device("QAOA of 8 qubits", qaoa_on_device),
    # where Aer takes the density matrix by itself, its state vector, shot by shot
    "noise_device_ghz_shots": _device(
        "GHZ of 10 qubits, shot by shot", ghz_on_device, method="statevector"
    ),
    "noise_device_qaoa_shots": _device(
        "QAOA of 8 qubits, shot by shot", qaoa_on_device, method="statevector"
    ),
}
