"""Exact distributions of noisy circuits, and how likely it is that counts come from them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from itertools import product
from typing import Any, NamedTuple

import numpy as np
from qiskit import QuantumCircuit
from qiskit.circuit import Instruction
from qiskit.circuit.library import IGate
from qiskit.quantum_info import DensityMatrix
from qiskit_aer import AerSimulator
from qiskit_aer.noise import NoiseModel
from scipy.stats import chi2, chi2_contingency, chisquare

#: Below so many expected counts, cells are put together.
_FEW = 8.0


def counts_of(backend: AerSimulator, circuit: QuantumCircuit, **options: Any) -> np.ndarray:
    """How often a backend finds each value of the classical bits."""
    counts = np.zeros(2**circuit.num_clbits, int)
    for bits, count in backend.run(circuit, **options).result().get_counts().items():
        counts[int(bits.replace(" ", ""), 2)] = count
    return counts


def exact_distribution(circuit: QuantumCircuit, noise: NoiseModel | None) -> np.ndarray:
    """The probability of each value of the classical bits, by Aer's density matrix.

    In the place of measurements stand identities that have the errors of measurements, and where
    qubits are used again a projection, once for each outcome.
    """
    middle = [place for place in range(len(circuit.data)) if _is_used_again(circuit, place)]
    found = np.zeros(2**circuit.num_clbits)
    for values in product((0, 1), repeat=len(middle)):
        found += _with_outcomes(circuit, noise, dict(zip(middle, values, strict=True)))
    return found


def exact_state(circuit: QuantumCircuit, noise: NoiseModel | None) -> DensityMatrix:
    """The density matrix that a circuit without measurements ends with."""
    circuit = circuit.copy()
    circuit.save_density_matrix(label="rho")
    backend = AerSimulator(method="density_matrix", noise_model=noise, max_parallel_threads=1)
    return DensityMatrix(backend.run(circuit, shots=1).result().data(0)["rho"])


def _is_used_again(circuit, place):
    instruction, later = circuit.data[place], circuit.data[place + 1 :]
    return instruction.operation.name == "measure" and any(
        instruction.qubits[0] in other.qubits for other in later if other.name != "barrier"
    )


def _with_outcomes(circuit, noise, outcomes):
    """The part of the distribution in which measurements in the middle have these outcomes."""
    unmeasured, writes = circuit.copy_empty_like(), []
    for place, instruction in enumerate(circuit.data):
        if instruction.operation.name != "measure":
            unmeasured.append(instruction)
            continue
        qubit, bit = *instruction.qubits, *instruction.clbits
        unmeasured.append(IGate(label="measure"), [qubit])
        if place in outcomes:
            projection = np.diag(np.eye(4)[3 * outcomes[place]])
            unmeasured.append(Instruction("superop", 1, 0, [projection]), [qubit])
        where = circuit.find_bit(qubit).index, circuit.find_bit(bit).index
        writes.append((*where, outcomes.get(place)))
    probabilities = np.diag(exact_state(unmeasured, noise).data).real
    return _read_out(probabilities, circuit.num_clbits, writes, noise or NoiseModel())


def _read_out(probabilities, num_bits, writes, noise):
    """What is written down: each time a qubit, a bit, and the value found if it is known."""
    local, default = noise._local_readout_errors, noise._default_readout_error
    found = np.zeros(2**num_bits)
    for state, probability in enumerate(probabilities):
        values = {0: probability}
        for qubit, bit, known in writes:
            error = local.get((qubit,), default)
            row = np.eye(2) if error is None else error.probabilities
            chances = row[(state >> qubit) & 1 if known is None else known]
            written: dict[int, float] = defaultdict(float)
            for value, chance in values.items():
                for one in (0, 1):
                    written[value & ~(1 << bit) | one << bit] += chance * chances[one]
            values = written
        for value, chance in values.items():
            found[value] += chance
    return found


class ChiSquare(NamedTuple):
    """Pearson's statistic of one comparison, or of independent ones together."""

    statistic: float
    freedom: int

    @property
    def p_value(self) -> float:
        """How likely it is that chance alone makes it at least as large."""
        return float(chi2.sf(self.statistic, self.freedom)) if self.freedom else 1.0


def together(tests: Iterable[ChiSquare]) -> ChiSquare:
    """Independent comparisons as one."""
    statistics, freedoms = zip(*tests, strict=True)
    return ChiSquare(sum(statistics), sum(freedoms))


def goodness_of_fit(counts: np.ndarray, distribution: np.ndarray) -> ChiSquare:
    """Counts against a distribution; infinite where something happens that cannot."""
    expected = distribution * counts.sum()
    if counts[distribution < 1e-12].any():
        return ChiSquare(np.inf, 1)
    counts, expected = _pooled(counts, expected, expected >= _FEW)
    return ChiSquare(chisquare(counts, expected).statistic, len(counts) - 1)


def homogeneity(some: np.ndarray, others: np.ndarray) -> ChiSquare:
    """Two samples against each other, whose distribution is not known."""
    samples = _pooled(some, others, some + others >= 2 * _FEW)
    found = chi2_contingency(samples, correction=False)
    return ChiSquare(found.statistic, found.dof)


def p_value(counts: np.ndarray, distribution: np.ndarray) -> float:
    """How likely counts are that are no nearer to a distribution."""
    return goodness_of_fit(counts, distribution).p_value


def two_sample_p_value(some: np.ndarray, others: np.ndarray) -> float:
    """How likely it is that two samples of the same distribution differ at least as much."""
    return homogeneity(some, others).p_value


def _pooled(some, others, enough):
    """Cells that are large enough, and one of all others."""
    pairs = [
        np.append(values[enough], values[~enough].sum()).astype(float) for values in (some, others)
    ]
    kept = pairs[0] + pairs[1] > 0
    return pairs[0][kept], pairs[1][kept]
