"""That a wrong probability would be found: of one error, by a twentieth, with as many shots."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from qiskit import QuantumCircuit
from qiskit_aer.noise import (
    NoiseModel,
    PauliLindbladError,
    amplitude_damping_error,
    depolarizing_error,
    mixed_unitary_error,
    reset_error,
    thermal_relaxation_error,
)

from tests.noises import flip, model, unitary
from tests.statistics import exact_distribution, p_value
from tests.stats.agreement import shared_counts

SHOTS = 200_000
WRONG = 1.05
#: Noise models in which one error is so many times as probable; of relaxation, as long.
SCALED: dict[str, Callable[[float], NoiseModel]] = {
    "depolarizing": lambda times: model((depolarizing_error(0.05 * times, 2), "cx")),
    "local over default": lambda times: model(
        (flip("ZZ", 0.2), "cx"), local=[(flip("YX", 0.05 * times), "cx", [0, 1])]
    ),
    "resets": lambda times: model((reset_error(0.05 * times), "x")),
    "relaxation in Kraus form": lambda times: model(
        (thermal_relaxation_error(50, 80, 3 * times), "x")
    ),
    "amplitude damping": lambda times: model((amplitude_damping_error(0.05 * times), "x")),
    "mixed unitaries": lambda times: model(
        (mixed_unitary_error([(np.eye(2), 1 - 0.1 * times), (unitary(1, 3), 0.1 * times)]), "x")
    ),
    "Pauli-Lindblad": lambda times: model(
        (PauliLindbladError(["IX", "ZZ", "YI"], [0.05 * times, 0.1, 0.02]), "cx")
    ),
    "measurements": lambda times: model((flip("X", 0.05 * times), "measure")),
    "readout": lambda times: model(
        readout=[[1 - 0.03 * times, 0.03 * times], [0.08 * times, 1 - 0.08 * times]]
    ),
}  # fmt: skip


class Found(NamedTuple):
    """P-values of counts with the right probability, and with the wrong one."""

    right: float
    wrong: float


def repeated() -> QuantumCircuit:
    """Gates that without errors end in one basis state, so that each error is seen."""
    circuit = QuantumCircuit(4)
    for _ in range(3):
        circuit.x([0, 2])
        circuit.cx([0, 2], [1, 3])
    circuit.measure_all()
    return circuit


def power(kind: str) -> Found:
    """Test counts of the right and of the wrong probability against the right distribution."""
    circuit, scaled = repeated(), SCALED[kind]
    distribution = exact_distribution(circuit, scaled(1))
    right, wrong = (
        p_value(shared_counts(circuit, scaled(times), SHOTS), distribution)
        for times in (1.0, WRONG)
    )
    return Found(right, wrong)
