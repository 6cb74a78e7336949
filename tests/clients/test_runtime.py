"""qiskit-ibm-runtime in local mode: its primitives copy the backend before they run anything."""

import numpy as np
from qiskit import QuantumCircuit
from qiskit.circuit.library import efficient_su2
from qiskit.quantum_info import SparsePauliOp
from qiskit.transpiler import generate_preset_pass_manager
from qiskit_ibm_runtime import EstimatorV2, SamplerV2, Session
from qiskit_ibm_runtime.fake_provider import FakeManilaV2

OPTIONS = {"simulator": {"seed_simulator": 11}}
ANGLES = np.random.default_rng(2).random((12, 16))


def manila(kind, **executor):
    """A simulator of either class with the noise of a device."""
    return kind.from_backend(FakeManilaV2(), **executor)


def prepared(backend, *, measured):
    """An ansatz in the backend's own gates."""
    circuit = efficient_su2(4, reps=1)
    if measured:
        circuit.measure_all()
    return generate_preset_pass_manager(1, backend, seed_transpiler=5).run(circuit)


def counts(result):
    return [
        [pub.data.meas.get_counts(i) for i in np.ndindex(pub.data.meas.shape)] for pub in result
    ]


def test_sampler_v2_counts_as_over_plain_aer(on_both):
    def program(backend, _):
        circuit = prepared(backend, measured=True)
        pubs = [(circuit, ANGLES), (circuit, ANGLES[0])]
        return counts(SamplerV2(mode=backend, options=OPTIONS).run(pubs, shots=500).result())

    spread, expected = on_both(
        "qiskit-ibm-runtime", "`SamplerV2(mode=backend)`, 2 pubs, 13 rows", program, make=manila
    )
    assert spread == expected


def test_estimator_v2_estimates_as_over_plain_aer(on_both):
    def program(backend, _):
        circuit = prepared(backend, measured=False)
        observable = SparsePauliOp(["ZZII", "XXII", "IIZZ"]).apply_layout(circuit.layout)
        pubs = [(circuit, observable, row) for row in ANGLES[:6]]
        result = EstimatorV2(mode=backend, options=OPTIONS).run(pubs, precision=0.05).result()
        return [(float(pub.data.evs), float(pub.data.stds)) for pub in result]

    spread, expected = on_both(
        "qiskit-ibm-runtime", "`EstimatorV2(mode=backend)`, 6 pubs", program, make=manila
    )
    assert spread == expected


def test_a_session_counts_as_over_plain_aer(on_both):
    def program(backend, _):
        bell = QuantumCircuit(2)
        bell.h(0)
        bell.cx(0, 1)
        bell.measure_all()
        with Session(backend=backend) as session:
            sampler = SamplerV2(mode=session, options=OPTIONS)
            return [counts(sampler.run([bell], shots=shots).result()) for shots in (100, 200)]

    spread, expected = on_both("qiskit-ibm-runtime", "`Session`, 2 jobs", program)
    assert spread == expected
