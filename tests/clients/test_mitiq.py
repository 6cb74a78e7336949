"""mitiq: an executor of its own kind, batched, over a backend with noise."""

import pytest
from qiskit import QuantumCircuit, transpile
from qiskit_aer.noise import NoiseModel, depolarizing_error

mitiq = pytest.importorskip("mitiq", reason="mitiq has no release for this version of Python")
pec, zne = mitiq.pec, mitiq.zne

BASIS = ["sx", "x", "rz", "cx"]


def noisy(kind, **executor):
    noise = NoiseModel()
    noise.add_all_qubit_quantum_error(depolarizing_error(0.002, 1), ["sx", "x"])
    noise.add_all_qubit_quantum_error(depolarizing_error(0.02, 2), ["cx"])
    return kind(noise_model=noise, **executor)


def mirror():
    """A circuit that is the identity, so that without noise it ends where it began."""
    half = QuantumCircuit(3)
    for _ in range(3):
        half.h(0)
        half.cx(0, 1)
        half.cx(1, 2)
    circuit = half.compose(half.inverse())
    return transpile(circuit, basis_gates=BASIS, optimization_level=0)


def batched(backend):
    """The executor, in mitiq's sense: how often each of its circuits ends where it began."""

    def probabilities(circuits) -> list[float]:
        measured = [
            transpile(circuit.measure_all(inplace=False), basis_gates=BASIS, optimization_level=0)
            for circuit in circuits
        ]
        result = backend.run(measured, shots=1000, seed_simulator=12).result()
        return [result.get_counts(i).get("000", 0) / 1000 for i in range(len(measured))]

    return mitiq.Executor(probabilities, max_batch_size=100)


def test_zero_noise_extrapolation_gives_the_value_of_plain_aer(on_both):
    def program(backend, _):
        factory = zne.inference.LinearFactory([1 + i / 2 for i in range(16)])
        return zne.execute_with_zne(
            mirror(), batched(backend), factory=factory, scale_noise=zne.scaling.fold_global
        )

    spread, expected = on_both(
        "mitiq", "`execute_with_zne`, 16 scales in one batch", program, make=noisy
    )
    assert spread == expected


def test_probabilistic_error_cancellation_gives_the_value_of_plain_aer(on_both):
    circuit = mirror()
    representations = pec.represent_operations_in_circuit_with_local_depolarizing_noise(
        circuit, noise_level=0.01
    )

    def program(backend, _):
        return pec.execute_with_pec(
            circuit, batched(backend), representations=representations,
            num_samples=50, random_state=4,
        )  # fmt: skip

    spread, expected = on_both(
        "mitiq", "`execute_with_pec`, 50 samples in one batch", program, make=noisy
    )
    assert spread == expected
