"""What is predicted of Aer is what Aer then does."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from qiskit import QuantumCircuit

from aer_dask.compile.duration import Duration
from aer_dask.compile.memory import Memory
from aer_dask.compile.prediction import Prediction
from aer_dask.runs.costs import CostModel
from tests.circuits import NOISES, conditional, mid_circuit, plain, random_circuits, zoo
from tests.compiling import assemble


def predict(backend, circuit, shots):
    batch = assemble(backend, [circuit], None, {"shots": shots})
    return batch.circuits[0].prediction


def reported(backend, circuit, shots):
    result = backend.run(circuit, shots=shots, seed_simulator=1).result()
    return result.results[0].metadata if result.success else None


@settings(max_examples=150, deadline=None)
@given(random_circuits(), st.sampled_from(list(NOISES)), st.sampled_from([3, 50]),
       st.sampled_from(["automatic", "statevector", "matrix_product_state"]))  # fmt: skip
def test_method_qubits_and_sampling_are_predicted(circuit, noise, shots, method):
    backend = plain(NOISES[noise](), method=method)
    seen = reported(backend, circuit, shots)
    if seen is None:  # Aer refuses the circuit; there is nothing to compare with
        return
    expected = predict(backend, circuit, shots)
    assert (expected.method, expected.qubits) == (seen["method"], seen["num_qubits"])
    if expected.divisible and noise != "kraus":
        # with Kraus errors Aer samples where no error applies; the merge finds that out
        assert seen["measure_sampling"] is False


@pytest.mark.parametrize("noise", NOISES)
@pytest.mark.parametrize("build", [mid_circuit, conditional], ids=lambda f: f.__name__)
def test_dynamic_circuits_are_seen_to_be_divisible(build, noise):
    assert predict(plain(NOISES[noise]()), build("all"), 1000).divisible


@pytest.mark.parametrize(("kind", "entry"), zoo().items())
def test_the_method_of_every_kind_of_circuit_is_predicted(kind, entry):
    circuit, method = entry
    backend = plain(method=method)
    assert predict(backend, circuit, 10).method == reported(backend, circuit, 10)["method"]


@pytest.mark.parametrize(
    ("method", "qubits"), [("statevector", 20), ("density_matrix", 10), ("unitary", 10)]
)
def test_memory_is_what_aer_says_it_requires(method, qubits):
    circuit = QuantumCircuit(qubits)
    circuit.rx(0.1, range(qubits))
    if method == "unitary":
        circuit.save_unitary()
    else:
        circuit.measure_all()
    backend = plain(method=method)
    seen = reported(backend, circuit, 1)["required_memory_mb"]
    assert predict(backend, circuit, 1).memory.required // 2**20 == seen


def test_estimates_move_towards_what_was_measured():
    costs = CostModel()
    prediction = Prediction(2, "statevector", Memory(), Duration(1.0, 0.0), True, False)
    for _ in range(8):
        costs.learn("statevector", prediction.duration.seconds(1), 10.0)
    assert 9 < costs.seconds(prediction, 1) < 11
