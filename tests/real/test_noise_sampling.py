"""Shots that share trajectories come out on real workers as they do in this process."""

from aer_dask import AerSimulator
from tests.circuits import bell, kraus_noise, pauli_noise, volume


def test_workers_give_the_shots_of_this_process(client):
    options = {"shots": 3000, "memory": True, "seed_simulator": 8}
    for noise in (pauli_noise(), kraus_noise()):
        circuits = [bell(), volume(7), volume(8)]
        backend = AerSimulator(noise_sampling="shared", noise_model=noise)
        expected = backend.run(circuits, **options).result()
        job = backend.run(circuits, executor=client, **options)
        found = job.result(timeout=120)
        assert len(job.plan().tasks) > 1
        for index in range(3):
            assert found.get_memory(index) == expected.get_memory(index)
            assert found.get_counts(index) == expected.get_counts(index)
