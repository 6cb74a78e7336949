"""How many runs each kind of primitive makes of several pubs: what the documents say of it."""

import pytest
from qiskit import QuantumCircuit
from qiskit.circuit import Parameter
from qiskit.primitives import BackendEstimatorV2, BackendSamplerV2
from qiskit_aer import primitives as aer
from qiskit_ibm_runtime import EstimatorV2, SamplerV2

import aer_dask
from aer_dask import AerSimulator

ANGLE = Parameter("angle")
ESTIMATORS = {
    "qiskit BackendEstimatorV2": lambda backend: BackendEstimatorV2(backend=backend),
    "qiskit-ibm-runtime EstimatorV2": lambda backend: EstimatorV2(mode=backend),
    "qiskit-aer EstimatorV2": aer.EstimatorV2.from_backend,
    "aer_dask EstimatorV2": aer_dask.EstimatorV2.from_backend,
}
SAMPLERS = {
    "qiskit BackendSamplerV2": lambda backend: BackendSamplerV2(backend=backend),
    "qiskit-ibm-runtime SamplerV2": lambda backend: SamplerV2(mode=backend),
    "qiskit-aer SamplerV2": aer.SamplerV2.from_backend,
    "aer_dask SamplerV2": aer_dask.SamplerV2.from_backend,
}


def circuit(*, measured):
    circuit = QuantumCircuit(2)
    circuit.rx(ANGLE, 0)
    circuit.cx(0, 1)
    if measured:
        circuit.measure_all()
    return circuit


@pytest.mark.parametrize(
    ("primitive", "same", "different"),
    [
        ("qiskit BackendEstimatorV2", 1, 6),
        ("qiskit-ibm-runtime EstimatorV2", 1, 6),
        ("qiskit-aer EstimatorV2", 6, 6),
        ("aer_dask EstimatorV2", 1, 1),
    ],
)
def test_runs_of_an_estimator_with_six_pubs(client, jobs, primitive, same, different):
    estimator = ESTIMATORS[primitive](AerSimulator(executor=client))
    estimator.run([(circuit(measured=False), "ZZ", [0.1, 0.2], 0.1)] * 6).result()
    assert len(jobs) == same, "of one precision"
    pubs = [(circuit(measured=False), "ZZ", [0.1, 0.2], 0.1 + 0.05 * i) for i in range(6)]
    estimator.run(pubs).result()
    assert len(jobs) - same == different, "of different precisions"


@pytest.mark.parametrize(
    ("primitive", "same", "different"),
    [
        ("qiskit BackendSamplerV2", 1, 6),
        ("qiskit-ibm-runtime SamplerV2", 1, 6),
        ("qiskit-aer SamplerV2", 1, 6),
        ("aer_dask SamplerV2", 1, 1),
    ],
)
def test_runs_of_a_sampler_with_six_pubs(client, jobs, primitive, same, different):
    sampler = SAMPLERS[primitive](AerSimulator(executor=client))
    sampler.run([(circuit(measured=True), [0.1, 0.2], 100)] * 6).result()
    assert len(jobs) == same, "of one number of shots"
    sampler.run([(circuit(measured=True), [0.1, 0.2], 100 + i) for i in range(6)]).result()
    assert len(jobs) - same == different, "of different numbers of shots"
