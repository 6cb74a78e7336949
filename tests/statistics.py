"""Exact distributions of noisy circuits, and how likely it is that counts come from them."""

from __future__ import annotations

import numpy as np
from qiskit import QuantumCircuit
from qiskit.circuit.library import IGate
from qiskit.quantum_info import DensityMatrix
from qiskit_aer import AerSimulator
from qiskit_aer.noise import NoiseModel
from scipy.stats import chi2

#: Below so many expected counts, cells are put together.
_FEW = 8.0


def exact_distribution(circuit: QuantumCircuit, noise: NoiseModel) -> np.ndarray:
    """The probability of each value of the classical bits, by Aer's density matrix.

    In the place of measurements stand identities that have the errors of measurements.
    """
    unmeasured, places = circuit.copy_empty_like(), []
    for instruction in circuit.data:
        if instruction.operation.name == "measure":
            unmeasured.append(IGate(label="measure"), instruction.qubits)
            qubit, bit = *instruction.qubits, *instruction.clbits
            places.append((circuit.find_bit(qubit).index, circuit.find_bit(bit).index))
        else:
            unmeasured.append(instruction)
    unmeasured.save_density_matrix(label="rho")
    backend = AerSimulator(method="density_matrix", noise_model=noise, max_parallel_threads=1)
    state = backend.run(unmeasured, shots=1).result().data(0)["rho"]
    return _read_out(DensityMatrix(state).probabilities(), circuit, places, noise)


def _read_out(probabilities, circuit, places, noise):
    local, default = noise._local_readout_errors, noise._default_readout_error
    found = np.zeros(2**circuit.num_clbits)
    for state, probability in enumerate(probabilities):
        values = {0: probability}
        for qubit, bit in places:
            error = local.get((qubit,), default)
            row = np.eye(2) if error is None else error.probabilities
            chances = row[(state >> qubit) & 1]
            values = {
                value | written << bit: chance * chances[written]
                for value, chance in values.items()
                for written in (0, 1)
            }
        for value, chance in values.items():
            found[value] += chance
    return found


def p_value(counts: np.ndarray, distribution: np.ndarray) -> float:
    """How likely counts are that are no nearer to a distribution: Pearson's chi-square test.

    What cannot happen and does has a p-value of 0.
    """
    expected = distribution * counts.sum()
    if counts[distribution < 1e-12].any():
        return 0.0
    counts, expected = _pooled(counts, expected, expected >= _FEW)
    statistic = ((counts - expected) ** 2 / expected).sum()
    return float(chi2.sf(statistic, len(counts) - 1)) if len(counts) > 1 else 1.0


def two_sample_p_value(some: np.ndarray, others: np.ndarray) -> float:
    """How likely it is that two samples of the same distribution differ at least as much."""
    together = some + others
    some, others = _pooled(some, others, together >= 2 * _FEW)
    together, size, other_size = some + others, some.sum(), others.sum()
    statistic = (
        (some * np.sqrt(other_size / size) - others * np.sqrt(size / other_size)) ** 2 / together
    ).sum()
    return float(chi2.sf(statistic, len(some) - 1)) if len(some) > 1 else 1.0


def _pooled(some, others, enough):
    """Cells that are large enough, and one of all others."""
    pairs = [
        np.append(values[enough], values[~enough].sum()).astype(float) for values in (some, others)
    ]
    kept = pairs[0] + pairs[1] > 0
    return pairs[0][kept], pairs[1][kept]
