"""qiskit-experiments: it runs through qiskit-ibm-runtime's sampler, from threads of its own."""

import pytest
from qiskit import QuantumCircuit
from qiskit_aer.noise import NoiseModel, depolarizing_error
from qiskit_experiments.library import StandardRB, StateTomography


def noisy(kind, **executor):
    noise = NoiseModel()
    noise.add_all_qubit_quantum_error(depolarizing_error(0.01, 1), ["sx", "x"])
    noise.add_all_qubit_quantum_error(depolarizing_error(0.03, 2), ["cx"])
    return kind(noise_model=noise, basis_gates=["sx", "x", "rz", "cx"], **executor)


def measured(experiment):
    """The counts and the analysis of an experiment, with a seed."""
    experiment.set_transpile_options(seed_transpiler=1, optimization_level=1)
    data = experiment.run(seed_simulator=9, shots=400).block_for_results(timeout=120)
    assert data.errors() == ""
    return [circuit["counts"] for circuit in data.data()], data


def test_randomised_benchmarking_finds_the_error_that_plain_aer_shows(on_both):
    def program(backend, _):
        experiment = StandardRB(
            [0, 1], lengths=[1, 10, 20, 40], num_samples=5, seed=3, backend=backend
        )
        counts, data = measured(experiment)
        return counts, data.analysis_results("EPC", dataframe=True).iloc[0].value.nominal_value

    spread, expected = on_both(
        "qiskit-experiments", "`StandardRB`, 20 circuits", program, make=noisy
    )
    assert spread[0] == expected[0]
    assert spread[1] == pytest.approx(expected[1], rel=1e-9)


def test_state_tomography_finds_the_state_that_plain_aer_shows(on_both):
    def program(backend, _):
        ghz = QuantumCircuit(3)
        ghz.h(0)
        ghz.cx(0, [1, 2])
        counts, data = measured(StateTomography(ghz, backend=backend))
        return counts, data.analysis_results("state_fidelity", dataframe=True).iloc[0].value

    spread, expected = on_both(
        "qiskit-experiments", "`StateTomography` of 3 qubits", program, make=noisy
    )
    assert spread[0] == expected[0]
    assert spread[1] == pytest.approx(expected[1], rel=1e-9)
