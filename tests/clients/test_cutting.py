"""qiskit-addon-cutting: the subcircuits of a cut are many small circuits."""

from qiskit.circuit.library import efficient_su2
from qiskit.quantum_info import SparsePauliOp
from qiskit_addon_cutting import (
    generate_cutting_experiments,
    partition_problem,
    reconstruct_expectation_values,
)


def test_a_cut_circuit_has_the_value_that_plain_aer_gives(on_both):
    circuit = efficient_su2(4, entanglement="linear", reps=2).decompose()
    circuit.assign_parameters([0.4] * circuit.num_parameters, inplace=True)
    observables = SparsePauliOp(["ZZII", "IZZI", "IIXX"])
    problem = partition_problem(circuit, "AABB", observables=observables.paulis)
    experiments, coefficients = generate_cutting_experiments(
        problem.subcircuits, problem.subobservables, num_samples=50
    )

    def program(backend, primitives):
        sampler = primitives.SamplerV2.from_backend(backend, seed=8)
        results = {
            label: sampler.run(circuits, shots=200).result()
            for label, circuits in experiments.items()
        }
        return reconstruct_expectation_values(results, coefficients, problem.subobservables)

    spread, expected = on_both(
        "qiskit-addon-cutting", "two cuts over `aer_dask.SamplerV2`", program
    )
    assert spread == expected
