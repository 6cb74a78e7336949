"""Primitives and the algorithms on top of them."""

import numpy as np
import pytest
from qiskit import transpile
from qiskit.circuit.library import efficient_su2
from qiskit.primitives import BackendEstimatorV2, BackendSamplerV2
from qiskit.quantum_info import SparsePauliOp
from qiskit_aer import primitives as aer
from qiskit_algorithms import VQE
from qiskit_algorithms.optimizers import SLSQP
from qiskit_nature.second_q.algorithms import GroundStateEigensolver
from qiskit_nature.second_q.circuit.library import UCCSD, HartreeFock
from qiskit_nature.second_q.drivers import PySCFDriver
from qiskit_nature.second_q.mappers import JordanWignerMapper, ParityMapper
from qiskit_nature.second_q.transformers import FreezeCoreTransformer

from aer_dask import AerSimulator, EstimatorV2, SamplerV2
from tests.circuits import plain

ZZ = SparsePauliOp(["ZZII", "XXYY", "IIZZ"], [1, 2, 0.5])
ANSATZ = transpile(efficient_su2(4, reps=1), basis_gates=["rx", "ry", "rz", "cx"])
ROWS = np.random.default_rng(1).random((3, ANSATZ.num_parameters))
PUBS = [
    (ANSATZ, ZZ, ROWS),
    (ANSATZ, [ZZ, SparsePauliOp("ZZZZ")], ROWS[0]),
    (ANSATZ, ZZ, ROWS[1], 0.01),
]
SEED = {"run_options": {"seed_simulator": 3}}


def measured():
    circuit = ANSATZ.copy()
    circuit.measure_all()
    return circuit


def make_estimators(client):
    return {
        "executor": EstimatorV2(executor=client, options=SEED),
        "backend option": EstimatorV2(options={**SEED, "backend_options": {"executor": client}}),
        "from_backend": EstimatorV2.from_backend(AerSimulator(executor=client), options=SEED),
        "from plain Aer": EstimatorV2.from_backend(plain(), executor=client, options=SEED),
        "Aer's own": aer.EstimatorV2.from_backend(AerSimulator(executor=client), options=SEED),
    }


@pytest.mark.parametrize(
    "way", ["executor", "backend option", "from_backend", "from plain Aer", "Aer's own"]
)
def test_estimates_are_those_of_aers_estimator(client, way):
    expected = aer.EstimatorV2(options=SEED).run(PUBS).result()
    found = make_estimators(client)[way].run(PUBS).result()
    for mine, theirs in zip(found, expected, strict=True):
        assert np.array_equal(mine.data.evs, theirs.data.evs)
        assert np.array_equal(mine.data.stds, theirs.data.stds)
        assert mine.metadata.keys() == theirs.metadata.keys()


def test_all_pubs_of_an_estimation_are_one_job_set(client, monkeypatch):
    jobs = []
    backend = AerSimulator(executor=client)
    run_batches = backend.run_batches
    monkeypatch.setattr(
        backend, "run_batches", lambda *a, **k: jobs.append(run_batches(*a, **k)) or jobs[-1]
    )
    EstimatorV2.from_backend(backend).run(PUBS * 5).result()
    assert len(jobs) == 1
    assert len(jobs[0].results()) == 15


def test_samples_are_those_of_aers_sampler(client):
    pubs = [(measured(), ROWS), (measured(), ROWS[0], 200), (measured(), ROWS[1], 77)]
    expected = aer.SamplerV2(seed=5).run(pubs).result()
    for sampler in (
        SamplerV2(seed=5, executor=client),
        SamplerV2.from_backend(AerSimulator(executor=client), seed=5),
        aer.SamplerV2.from_backend(AerSimulator(executor=client), seed=5),
    ):
        found = sampler.run(pubs).result()
        assert all(a.data.meas == b.data.meas for a, b in zip(found, expected, strict=True))


def test_qiskits_backend_primitives_take_the_backend(client):
    options = {"seed_simulator": 3}
    values = [
        BackendEstimatorV2(backend=backend, options=options).run([(ANSATZ, ZZ, ROWS)]).result()
        for backend in (AerSimulator(executor=client), plain())
    ]
    assert np.array_equal(values[0][0].data.evs, values[1][0].data.evs)
    samples = [
        BackendSamplerV2(backend=backend, options=options).run([(measured(), ROWS)]).result()
        for backend in (AerSimulator(executor=client), plain())
    ]
    assert samples[0][0].data.meas == samples[1][0].data.meas


def ground_state(molecule, mapper, estimator, iterations):
    """Energy in hartree of a UCCSD state, optimised for so many iterations."""
    ansatz = UCCSD(
        molecule.num_spatial_orbitals, molecule.num_particles, mapper,
        initial_state=HartreeFock(molecule.num_spatial_orbitals, molecule.num_particles, mapper),
    )  # fmt: skip
    circuit = transpile(ansatz, basis_gates=["rx", "ry", "rz", "h", "cx", "x", "sx"])
    solver = VQE(estimator, circuit, SLSQP(maxiter=iterations, max_evals_grouped=1024),
                 initial_point=np.zeros(circuit.num_parameters))  # fmt: skip
    result = GroundStateEigensolver(mapper, solver).solve(molecule)
    return float(result.total_energies[0])


MOLECULES = {
    "H2": ("H 0 0 0; H 0 0 0.735", 50, -1.137306),
    "LiH": ("Li 0 0 0; H 0 0 1.6", 3, None),
}


@pytest.mark.parametrize("name", MOLECULES)
def test_vqe_finds_plain_aers_energy(client, name):
    atoms, iterations, known = MOLECULES[name]
    molecule = PySCFDriver(atom=atoms).run()
    if name == "LiH":
        molecule = FreezeCoreTransformer(remove_orbitals=[3, 4]).transform(molecule)
    mapper = ParityMapper(molecule.num_particles) if name == "LiH" else JordanWignerMapper()
    energies = [
        ground_state(molecule, mapper, estimator, iterations)
        for estimator in (EstimatorV2(executor=client), aer.EstimatorV2())
    ]
    assert energies[0] == energies[1]
    if known is not None:
        assert energies[0] == pytest.approx(known, abs=1e-5)
