"""Shots that share trajectories come out on real workers as they do in this process."""

import os

import numpy as np
import pytest
from distributed import Client
from qiskit.circuit import QuantumCircuit
from qiskit.circuit.library import efficient_su2

from aer_dask import AerSimulator, EmbeddedCluster, EstimatorV2
from tests.circuits import bell, conditional, kraus_noise, pauli_noise, volume
from tests.waiting import wait_until

from .processes import simulations

OPTIONS = {"shots": 3000, "memory": True, "seed_simulator": 8}


def ansatz():
    """A circuit with parameters, and three rows of their values."""
    circuit = efficient_su2(4, reps=2).decompose()
    circuit.measure_all()
    rows = np.random.default_rng(1).uniform(0, 3, (3, circuit.num_parameters))
    return circuit, dict(zip(circuit.parameters, rows.T.tolist(), strict=True))


@pytest.fixture(scope="module")
def other_cluster():
    """Three workers."""
    with EmbeddedCluster(workers=3) as cluster, Client(cluster, set_as_default=False) as client:
        yield client


@pytest.mark.parametrize("noise", [pauli_noise, kraus_noise])
@pytest.mark.parametrize("sampling", ["shared", "auto"])
def test_any_number_of_workers_gives_the_shots_of_this_process(
    client, other_cluster, noise, sampling
):
    circuit, binds = ansatz()
    circuits = [bell(), volume(7), circuit, conditional("all"), volume(8)]
    arguments = circuits, [{}, {}, binds, {}, {}]
    backend = AerSimulator(noise_sampling=sampling, noise_model=noise())
    expected = backend.run(*arguments, **OPTIONS).result()
    ways = [each.metadata.get("noise_sampling") for each in expected.results]
    assert "shared" in ways
    for executor in (client.get_executor(workers=[0]), client, other_cluster):
        job = backend.run(*arguments, executor=executor, max_job_size=1, **OPTIONS)
        found = job.result(timeout=120)
        for index in range(7):
            assert found.get_memory(index) == expected.get_memory(index)
            assert found.get_counts(index) == expected.get_counts(index)
    assert len(job.plan().tasks) >= 7


def test_a_killed_simulation_is_repeated_and_changes_no_shot(own_cluster):
    client = own_cluster(2)
    circuit = volume(12)
    backend = AerSimulator(noise_sampling="shared", noise_model=pauli_noise())
    options = {**OPTIONS, "shots": 1500}
    expected = backend.run(circuit, **options).result().get_memory()
    workers = client.run(os.getpid).values()
    for _ in range(5):
        backend.run([bell()] * 2, executor=client, max_job_size=1, **options).result()
        children = [child for worker in workers for child in simulations(worker)]
        spent = [(child, child.cpu_times().user) for child in children]
        job = backend.run(circuit, executor=client, **options)
        assert len(job.plan().tasks) > 1
        wait_until(
            lambda spent=spent: any(c.cpu_times().user > b + 0.5 for c, b in spent),
            "one simulates",
        )
        for child in children:
            child.kill()
        assert job.result(timeout=120).get_memory() == expected
        if max(job._driver.sendings) > 1:  # else all was over before it was killed
            break
    assert max(job._driver.sendings) > 1


def test_an_estimator_gives_the_same_values_on_workers(client):
    circuit = QuantumCircuit(3)
    circuit.h(0)
    circuit.cx(0, 1)
    circuit.cx(1, 2)
    backend = {"noise_model": pauli_noise(), "noise_sampling": "shared"}
    options = {"backend_options": backend, "run_options": {"seed_simulator": 4, "shots": 2000}}
    pubs = [(circuit, ["ZZI", "XXX", "IIZ"])] * 2
    here, there = (
        EstimatorV2(options=options, executor=executor).run(pubs, precision=0).result()
        for executor in (None, client)
    )
    for one, other in zip(here, there, strict=True):
        assert np.array_equal(one.data.evs, other.data.evs)
