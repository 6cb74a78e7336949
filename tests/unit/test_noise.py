"""A worker gives Aer the part of a noise model that its circuits can meet, and no bit differs."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from qiskit import QuantumCircuit
from qiskit.quantum_info import random_unitary
from qiskit_aer.noise import (
    NoiseModel,
    amplitude_damping_error,
    coherent_unitary_error,
    depolarizing_error,
    reset_error,
    thermal_relaxation_error,
)

from aer_dask.compile.noise import NoiseFacts, met_by, without_unmet
from tests.circuits import bell, plain, saving
from tests.compiling import assemble
from tests.unit.test_bits import assert_same

QUBITS = 5
ERRORS = {
    "pauli": lambda: depolarizing_error(0.2, 1),
    "kraus": lambda: amplitude_damping_error(0.3),
    "reset": lambda: reset_error(0.2),
    "relaxation": lambda: thermal_relaxation_error(50, 60, 20),
}


@st.composite
def local_noise(draw):
    """Errors of some qubits, of all, on measurements, some in the place of those of all."""
    noise = NoiseModel()
    for kind in draw(st.lists(st.sampled_from(list(ERRORS)), max_size=4)):
        gates = draw(st.lists(st.sampled_from(["h", "x", "t", "measure"]), min_size=1, unique=True))
        if draw(st.booleans()):
            noise.add_all_qubit_quantum_error(ERRORS[kind](), gates, warnings=False)
        else:
            qubit = draw(st.integers(0, QUBITS - 1))
            noise.add_quantum_error(ERRORS[kind](), gates, [qubit], warnings=False)
    for pair in draw(st.lists(st.sampled_from([(0, 1), (1, 2), (3, 4)]), max_size=2)):
        noise.add_quantum_error(depolarizing_error(0.2, 2), ["cx"], pair, warnings=False)
    for qubit in draw(st.lists(st.integers(0, QUBITS - 1), max_size=2)):
        noise.add_readout_error([[0.8, 0.2], [0.1, 0.9]], [qubit], warnings=False)
    return noise


@st.composite
def local_circuits(draw):
    """Circuits on some of the qubits, whole or with measurements in the middle."""
    circuit = QuantumCircuit(QUBITS, QUBITS)
    used = draw(st.lists(st.integers(0, QUBITS - 1), min_size=1, max_size=3, unique=True))
    for step in draw(st.lists(st.sampled_from(["h", "x", "t", "cx", "measure"]), max_size=8)):
        qubit = draw(st.sampled_from(used))
        if step == "measure":
            circuit.measure(qubit, qubit)
        elif step == "cx" and len(used) > 1:
            circuit.cx(*draw(st.permutations(used))[:2])
        elif step != "cx":
            getattr(circuit, step)(qubit)
    circuit.measure(used, used)
    return circuit


@settings(max_examples=120, deadline=None)
@given(st.lists(local_circuits(), min_size=1, max_size=3), local_noise(),
       st.sampled_from(["automatic", "statevector", "density_matrix", "stabilizer"]),
       st.sampled_from([5, 60]))  # fmt: skip
def test_errors_that_no_circuit_of_a_call_can_meet_change_no_bit(circuits, noise, method, shots):
    sizes = {"max_job_size": 1, "max_shot_size": 20}
    options = {"shots": shots, "memory": True, "seed_simulator": 3}
    assert_same(circuits, noise=noise, method=method, sizes=sizes, **options)


@settings(max_examples=100, deadline=None)
@given(local_noise(), st.frozensets(st.integers(0, QUBITS - 1)))
def test_what_is_left_of_a_model_is_of_the_same_kinds(noise, qubits):
    whole = noise.to_dict(serializable=True)
    left = met_by(qubits, whole)
    assert NoiseFacts.of(left) == NoiseFacts.of(whole)
    assert [e["type"] for e in left["errors"]] != [] or not whole["errors"]
    assert all(error in whole["errors"] for error in left["errors"])
    assert without_unmet(noise, qubits).to_dict(serializable=True) == left
    assert noise.to_dict(serializable=True) == whole


def test_kinds_of_errors_are_named_in_the_order_of_the_whole_model():
    noise = NoiseModel()
    noise.add_quantum_error(coherent_unitary_error(random_unitary(2, seed=1)), ["h"], [0])
    noise.add_quantum_error(amplitude_damping_error(0.3), ["h"], [4])
    circuit = QuantumCircuit(5, 1)
    circuit.h([3, 4])
    circuit.measure(4, 0)
    assert_same([circuit], noise=noise, method="stabilizer", shots=5, seed_simulator=1)


def test_a_device_of_many_qubits_costs_a_small_circuit_little():
    noise = NoiseModel()
    for qubit in range(127):
        noise.add_quantum_error(thermal_relaxation_error(50, 60, 1), ["h"], [qubit])
        noise.add_readout_error([[0.9, 0.1], [0.1, 0.9]], [qubit])
    whole = noise.to_dict(serializable=True)
    assert len(met_by(frozenset({5, 9}), whole)["errors"]) <= 6
    circuit = QuantumCircuit(127, 2)
    circuit.h([5, 9])
    circuit.barrier()
    circuit.measure([5, 9], [0, 1])
    assert len(assemble(plain(noise), [circuit], None, {}).noise["errors"]) <= 6
    assert_same([circuit, bell()], noise=noise, shots=500, memory=True, seed_simulator=1)


@pytest.mark.parametrize("noise", ["kraus", "relaxation"])
def test_a_density_matrix_after_a_pure_state_has_the_errors_of_one_run(noise):
    model = NoiseModel()
    for qubit in range(2):
        model.add_quantum_error(ERRORS[noise](), ["h"], [qubit])
    pure, mixed = saving("statevector", measure=True), saving("density_matrix")
    assert_same([pure, mixed, mixed], noise=model, shots=40, seed_simulator=1,
                sizes={"max_job_size": 1})  # fmt: skip
