"""Same bits on real workers: every method and kind, for 1, 2 and 3 workers, whole and in chunks."""

import concurrent.futures
import multiprocessing

import pytest
from distributed import Client
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from qiskit import QuantumCircuit

from aer_dask import AerSimulator, EmbeddedCluster
from aer_dask.testing import differences
from tests.circuits import (
    ANGLE,
    NOISES,
    bell,
    conditional,
    mid_circuit,
    parameterised,
    pauli_noise,
    plain,
    random_circuits,
    saving,
)

SHOTS = 90
CUTS = {"whole": {"max_job_size": 1, "max_shot_size": SHOTS}, "3 chunks": {"max_shot_size": 30}}
METHODS = ["automatic", "statevector", "density_matrix", "matrix_product_state", "stabilizer",
           "extended_stabilizer", "unitary", "superop"]  # fmt: skip
SAVED = {"unitary": "unitary", "superop": "superop", "stabilizer": "stabilizer",
         "matrix_product_state": "mps", "density_matrix": "density_matrix",
         "extended_stabilizer": "statevector"}  # fmt: skip


def kinds(method):
    """Circuits, noise model: one entry for each kind of run that a method has."""
    gates = "clifford" if "stabilizer" in method else "all"
    saves = saving(SAVED.get(method, "expval"))
    if method in ("unitary", "superop"):
        noise = pauli_noise() if method == "superop" else None
        return {"save": ([saves, saves], None), "noisy": ([saves, saves], noise)}
    return {
        "ideal": ([bell(), bell("other")], None),
        "noisy": ([bell(), bell("other")], pauli_noise()),
        "mid-circuit": ([mid_circuit(gates), bell()], None),
        "noisy mid-circuit": ([mid_circuit(gates), bell()], pauli_noise()),
        "conditional": ([bell(), conditional(gates)], None),
        "save": ([saves, bell()], None),
        "save mid-circuit": ([saving(SAVED.get(method, "expval"), measure=True)], None),
    }


@pytest.fixture(scope="module", params=[1, 2, 3], ids=lambda n: f"{n} workers")
def workers(request):
    with EmbeddedCluster(workers=request.param, threads=1) as cluster, Client(cluster) as client:
        yield client


@pytest.mark.parametrize("cut", CUTS)
@pytest.mark.parametrize("method", METHODS)
def test_every_kind_of_run_has_plain_aers_bits(workers, method, cut):
    options = {"shots": SHOTS, "seed_simulator": 11, "memory": True}
    for kind, (circuits, noise) in kinds(method).items():
        expected = plain(noise, method=method).run(circuits, **options).result()
        backend = AerSimulator(noise_model=noise, method=method, executor=workers)
        found = backend.run(circuits, **options, **CUTS[cut]).result(timeout=120)
        assert differences(found, expected) == [], f"{method}, {kind}, {cut}"


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    circuits=st.lists(random_circuits(), min_size=1, max_size=4),
    rows=st.integers(1, 4),
    noise=st.sampled_from(list(NOISES)),
    shots=st.integers(1, 40),
    job_size=st.none() | st.integers(1, 4),
    shot_size=st.none() | st.integers(1, 40),
)
def test_any_run_in_any_cut_on_real_workers(
    client, circuits, rows, noise, shots, job_size, shot_size
):
    circuits = [*circuits, parameterised()]
    binds = [{} for _ in circuits[1:]] + [{ANGLE: [0.2 * row for row in range(rows)]}]
    options = {"shots": shots, "seed_simulator": 3, "memory": True}
    model = NOISES[noise]()
    expected = plain(model).run(circuits, binds, **options).result()
    backend = AerSimulator(noise_model=model, executor=client)
    job = backend.run(circuits, binds, max_job_size=job_size, max_shot_size=shot_size, **options)
    assert differences(job.result(timeout=120), expected) == []


@pytest.fixture(params=["dask", "threads", "processes"])
def executor(request, client):
    """One executor of each kind."""
    if request.param == "dask":
        yield client
    elif request.param == "threads":
        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            yield pool
    else:
        context = multiprocessing.get_context("spawn")
        with concurrent.futures.ProcessPoolExecutor(2, mp_context=context) as pool:
            yield pool


def test_every_kind_of_executor_has_plain_aers_bits(executor):
    circuits = [bell(), mid_circuit("all"), conditional("all"), parameterised()]
    binds = [{}, {}, {}, {ANGLE: [0.1, 0.2, 0.3]}]
    options = {"shots": 60, "seed_simulator": 5, "memory": True}
    expected = plain(pauli_noise()).run(circuits, binds, **options).result()
    backend = AerSimulator(noise_model=pauli_noise(), executor=executor)
    for sizes in ({}, {"max_job_size": 1}, {"max_shot_size": 25}):
        job = backend.run(circuits, binds, **options, **sizes)
        assert differences(job.result(timeout=120), expected) == []
        assert job.result().job_id == job.job_id()


def test_ten_shots_in_tasks_of_eight_are_ten_shots(executor):
    result = (
        AerSimulator(executor=executor).run(mid_circuit(), shots=10, max_shot_size=8).result(60)
    )
    assert sum(result.get_counts().values()) == 10


def test_circuits_come_back_as_aer_reports_them_when_one_fails(executor):
    huge = QuantumCircuit(40)
    huge.h(range(40))
    huge.t(range(40))
    huge.measure_all()
    options = {"method": "statevector", "max_memory_mb": 64, "seed_simulator": 1}
    expected = plain(**options).run([bell(), huge]).result()
    found = AerSimulator(executor=executor, **options).run([bell(), huge], max_job_size=1)
    assert differences(found.result(60), expected) == []
    assert found.result().status == "PARTIAL COMPLETED"
