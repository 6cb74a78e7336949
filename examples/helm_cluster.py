"""The tutorial's steps on a release of the chart: scale, adapt, the mean of an array, circuits."""

import dask.array as da
from dask.distributed import Client
from qiskit import transpile
from qiskit.circuit.library import quantum_volume

from aer_dask import AerSimulator, HelmCluster

with HelmCluster("aer") as cluster, Client(cluster) as client:
    cluster.scale(3)
    client.wait_for_workers(3, timeout=300)
    cluster.adapt(minimum=1, maximum=10)
    print(da.ones((1000, 1000, 1000)).mean().compute())

    backend = AerSimulator(executor=cluster)
    circuits = [quantum_volume(10, seed=seed) for seed in range(12)]
    for circuit in circuits:
        circuit.measure_all()
    circuits = transpile(circuits, backend, optimization_level=0)
    job = backend.run(circuits, shots=1000, seed_simulator=7)
    print(job.result().get_counts(0).most_frequent())
