"""Shots that share trajectories follow rules of Aer's that are easily overlooked."""

import numpy as np
import pytest
from qiskit import QuantumCircuit
from qiskit.circuit import Parameter
from qiskit.circuit.library import CRXGate, PauliGate, SXGate
from qiskit.quantum_info import Pauli
from qiskit_aer import AerError
from qiskit_aer.noise import (
    PauliLindbladError,
    amplitude_damping_error,
    depolarizing_error,
    pauli_error,
)

from aer_dask import AerSimulator, EstimatorV2
from aer_dask.compile.noise import NoiseFacts
from aer_dask.trajectories.draws import Draws
from aer_dask.trajectories.prediction import forecast
from aer_dask.trajectories.sampling import sample
from aer_dask.trajectories.simulation import cut, simulate
from tests.circuits import pauli_noise, plain, volume
from tests.noises import model
from tests.statistics import counts_of, two_sample_p_value
from tests.unit.test_bits import assert_same
from tests.unit.test_trajectories import noisy

LEVEL = 1e-3


def agrees(circuit, noise, shots=4000):
    """Whether counts are those of plain Aer, but for chance."""
    backend = AerSimulator(noise_model=noise, noise_sampling="shared", seed_simulator=1)
    expected = plain(noise, seed_simulator=10**9, method="statevector")
    found = (counts_of(each, circuit, shots=shots) for each in (backend, expected))
    return two_sample_p_value(*found) > LEVEL


@pytest.mark.parametrize("label", [None, "mine"])
@pytest.mark.parametrize("name", ["pauli", "ZZ", "mine"])
def test_the_errors_of_a_pauli_gate_are_found_by_its_string(label, name):
    circuit = QuantumCircuit(2)
    gate = PauliGate("ZZ")
    gate.label = label
    circuit.append(gate, [0, 1])
    circuit.measure_all()
    assert agrees(circuit, model((pauli_error([("XX", 0.5), ("II", 0.5)]), name)))


def test_a_channel_in_a_circuit_is_an_error_of_the_model():
    circuit = QuantumCircuit(2)
    circuit.x([0, 1])
    circuit.append(amplitude_damping_error(0.3).to_instruction(), [1])
    circuit.append(depolarizing_error(0.2, 2).to_instruction(), [1, 0])
    circuit.measure_all()
    assert agrees(circuit, None)
    assert agrees(circuit, pauli_noise())


def test_a_bit_has_the_value_that_was_written_last():
    circuit = QuantumCircuit(2, 2)
    circuit.x(0)
    circuit.measure(0, 0)  # nothing happens to the qubit afterwards, but to the bit
    circuit.measure(1, 0)
    circuit.x(1)
    circuit.measure(1, 1)
    backend = AerSimulator(noise_sampling="shared")
    assert backend.run(circuit, shots=50).result().get_counts() == {"10": 50}
    assert agrees(circuit, pauli_noise())


def test_what_is_saved_under_a_condition_is_refused():
    circuit = QuantumCircuit(1, 1)
    circuit.h(0)
    circuit.measure(0, 0)
    with circuit.if_test((circuit.clbits[0], 1)):
        circuit.save_expectation_value(Pauli("Z"), [0], label="e")
    with pytest.raises(AerError, match="what is saved under a condition"):
        noisy(circuit, None)


@pytest.mark.parametrize("label", ["e", "counts"])
def test_results_of_one_name_are_refused(label):
    circuit = QuantumCircuit(1)
    for each in ("e", label):
        circuit.save_expectation_value(Pauli("Z"), [0], label=each)
    with pytest.raises(AerError, match="a second result called"):
        noisy(circuit, None)


@pytest.mark.parametrize("sampling", ["shared", "auto"])
def test_a_circuit_without_gates_has_expectation_values(sampling):
    backend = {"noise_model": pauli_noise(), "noise_sampling": sampling}
    estimator = EstimatorV2(options={"backend_options": backend})
    (pub,) = estimator.run([(QuantumCircuit(2), ["ZZ", "XI"])], precision=0).result()
    assert pub.data.evs.tolist() == [1.0, 0.0]


def test_an_error_wider_than_its_gate_is_refused():
    circuit = QuantumCircuit(2)
    circuit.append(SXGate(label="wide"), [0])
    circuit.measure_all()
    with pytest.raises(AerError, match='an error of more qubits than "wide" has'):
        noisy(circuit, model((depolarizing_error(0.1, 2), "wide")))


def test_a_parameter_of_a_gate_with_open_controls_is_refused():
    angle = Parameter("angle")
    circuit = QuantumCircuit(2)
    circuit.append(CRXGate(angle, ctrl_state=0), [0, 1])
    circuit.measure_all()
    backend = AerSimulator(noise_model=pauli_noise(), noise_sampling="shared")
    with pytest.raises(AerError, match="assign it to the circuit"):
        backend.run(circuit, [{angle: [0.5, 2.0]}])


def test_pauli_lindblad_errors_are_noise():
    noise = model((PauliLindbladError(["XI", "ZZ"], [0.1, 0.2]), "cx"))
    assert NoiseFacts.of(noise.to_dict(serializable=True)).quantum
    circuit = QuantumCircuit(3)
    circuit.h(0)
    circuit.cx([0, 1], [1, 2])
    circuit.measure_all()
    for method in ("automatic", "statevector"):
        assert_same([circuit], noise=noise, method=method, shots=6, memory=True, seed_simulator=3,
                    sizes={"max_shot_size": 2})  # fmt: skip


def repeated(rounds=30, qubits=4):
    """A circuit in which every shot goes a way of its own."""
    circuit = QuantumCircuit(qubits, 1)
    for number in range(rounds):
        circuit.h(number % qubits)
        circuit.measure(number % qubits, 0)
    circuit.h(range(qubits))
    circuit.measure(0, 0)
    return circuit


@pytest.mark.parametrize(
    ("circuit", "noise"),
    [
        (repeated(), pauli_noise()),
        (volume(4), model((amplitude_damping_error(0.1), "u"))),
        (volume(6), model((depolarizing_error(0.05, 2), "cx"))),
        (volume(6), model((depolarizing_error(0.001, 2), "cx"))),
    ],
)
def test_parts_take_about_the_same(circuit, noise):
    read, draws = noisy(circuit, noise), Draws(1, 0)
    patterns = sample(read, 300, draws)
    parts = [simulate(read, patterns, draws, part, 4) for part in range(4)]
    assert sorted(np.concatenate([part.indices for part in parts])) == list(range(300))
    assert sum(part.patterns for part in parts) == len(patterns.shots)
    work = [part.statistics.blocks for part in parts]
    whole = simulate(read, patterns, draws).statistics.blocks
    assert max(work) <= 1.5 * whole / 4 + 2 * len(read.blocks)
    assert len(cut(read, patterns, 4)) == 4


def test_choices_by_the_state_count_in_the_forecast():
    read = noisy(repeated(60), pauli_noise())
    patterns = sample(read, 300, Draws(1, 0))
    statistics = simulate(read, patterns, Draws(1, 0)).statistics
    seconds = forecast(read, 300).seconds
    assert 1e-4 * statistics.choices < seconds < 2e-4 * statistics.choices
