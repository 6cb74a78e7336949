"""qiskit-algorithms, qiskit-nature and qiskit-machine-learning, over our primitives."""

import numpy as np
from qiskit import QuantumCircuit, transpile
from qiskit.circuit import Parameter
from qiskit.circuit.library import efficient_su2, qaoa_ansatz, zz_feature_map
from qiskit.quantum_info import SparsePauliOp
from qiskit_algorithms import VQE, SamplingVQE
from qiskit_algorithms.gradients import ParamShiftEstimatorGradient
from qiskit_algorithms.optimizers import SLSQP, SPSA
from qiskit_algorithms.state_fidelities import ComputeUncompute
from qiskit_algorithms.utils import algorithm_globals
from qiskit_machine_learning.kernels import FidelityQuantumKernel
from qiskit_machine_learning.neural_networks import EstimatorQNN
from qiskit_nature.second_q.algorithms import GroundStateEigensolver
from qiskit_nature.second_q.hamiltonians import FermiHubbardModel
from qiskit_nature.second_q.hamiltonians.lattices import BoundaryCondition, LineLattice
from qiskit_nature.second_q.mappers import JordanWignerMapper
from qiskit_nature.second_q.problems import LatticeModelProblem

BASIS = ["rx", "ry", "rz", "h", "x", "sx", "cx", "p"]


def estimator_over(backend, primitives):
    return primitives.EstimatorV2.from_backend(
        backend, options={"run_options": {"seed_simulator": 2}}
    )


def test_sampling_vqe_finds_the_same_maximum_cut(on_both):
    cut = SparsePauliOp.from_sparse_list([("ZZ", [i, (i + 1) % 5], 0.5) for i in range(5)], 5)

    def program(backend, primitives):
        algorithm_globals.random_seed = 3
        ansatz = transpile(qaoa_ansatz(cut, reps=1), basis_gates=BASIS)
        sampler = primitives.SamplerV2.from_backend(backend, seed=6, default_shots=500)
        solver = SamplingVQE(sampler, ansatz, SPSA(maxiter=5), initial_point=[0.3, 0.4])
        result = solver.compute_minimum_eigenvalue(cut)
        return result.eigenvalue, list(result.optimal_point)

    spread, expected = on_both("qiskit-algorithms", "`SamplingVQE` with QAOA, SPSA", program)
    assert spread == expected


def test_a_gradient_by_parameter_shifts_is_the_same(on_both):
    ansatz = transpile(efficient_su2(4, reps=2), basis_gates=BASIS)
    values = np.linspace(0, 1, ansatz.num_parameters)
    observable = SparsePauliOp(["ZZII", "XXYY"])

    def program(backend, primitives):
        gradient = ParamShiftEstimatorGradient(estimator_over(backend, primitives))
        return gradient.run([ansatz], [observable], [values]).result().gradients[0].tolist()

    spread, expected = on_both("qiskit-algorithms", "`ParamShiftEstimatorGradient`", program)
    assert spread == expected


def test_the_ground_state_of_a_hubbard_chain_is_the_same(on_both):
    chain = LineLattice(2, boundary_condition=BoundaryCondition.OPEN)
    model = FermiHubbardModel(chain.uniform_parameters(-1.0, 0.0), onsite_interaction=4.0)
    mapper = JordanWignerMapper()

    def program(backend, primitives):
        ansatz = transpile(efficient_su2(4, reps=1), basis_gates=BASIS)
        vqe = VQE(estimator_over(backend, primitives), ansatz,
                  SLSQP(maxiter=3, max_evals_grouped=100),
                  initial_point=np.full(ansatz.num_parameters, 0.2))  # fmt: skip
        solved = GroundStateEigensolver(mapper, vqe).solve(LatticeModelProblem(model))
        return float(solved.groundenergy)

    spread, expected = on_both("qiskit-nature", "Fermi-Hubbard chain, VQE with SLSQP", program)
    assert spread == expected


def test_a_quantum_kernel_is_the_same(on_both):
    points = np.random.default_rng(4).random((6, 3))

    def program(backend, primitives):
        sampler = primitives.SamplerV2.from_backend(backend, seed=5, default_shots=300)
        passes = _Basis()
        kernel = FidelityQuantumKernel(
            feature_map=zz_feature_map(3), fidelity=ComputeUncompute(sampler, transpiler=passes)
        )
        return kernel.evaluate(points).tolist()

    spread, expected = on_both(
        "qiskit-machine-learning", "`FidelityQuantumKernel`, 6 points", program
    )
    assert spread == expected


def test_a_neural_network_and_its_gradient_are_the_same(on_both):
    features, weights = [Parameter("x0"), Parameter("x1")], [Parameter("w0"), Parameter("w1")]
    circuit = QuantumCircuit(2)
    for qubit in range(2):
        circuit.ry(features[qubit], qubit)
    circuit.cx(0, 1)
    for qubit in range(2):
        circuit.rx(weights[qubit], qubit)
    inputs = np.random.default_rng(4).random((10, 2))

    def program(backend, primitives):
        estimator = estimator_over(backend, primitives)
        network = EstimatorQNN(
            circuit=circuit, estimator=estimator, input_params=features, weight_params=weights,
        )  # fmt: skip
        forward = network.forward(inputs, [0.1, 0.2])
        _, backward = network.backward(inputs, [0.1, 0.2])
        return forward.tolist(), backward.tolist()

    spread, expected = on_both(
        "qiskit-machine-learning", "`EstimatorQNN`, 10 inputs, forward and backward", program
    )
    assert spread == expected


class _Basis:
    """A transpiler, as the fidelities take one."""

    def run(self, circuits, **_):
        return transpile(circuits, basis_gates=BASIS, seed_transpiler=1)
