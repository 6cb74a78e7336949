"""The script of the 2021 tutorial, of whose lines only the import has changed; then circuits.

It wants dask-kubernetes' operator on the cluster, and values/worker-spec.yml beside it.
"""

from aer_dask import KubeCluster

cluster = KubeCluster("worker-spec.yml")
cluster.scale(3)  # specify number of workers explicitly
cluster.adapt(minimum=1, maximum=10)  # or dynamically scale based on current workload

# Example usage
import dask.array as da
from dask.distributed import Client

# Connect Dask to the cluster
client = Client(cluster)

# Create a large array and calculate the mean
array = da.ones((1000, 1000, 1000))
print(array.mean().compute())  # Should print 1.0

# Simulate circuits on the same workers
from qiskit import transpile
from qiskit.circuit.library import quantum_volume

from aer_dask import AerSimulator

backend = AerSimulator(executor=cluster)
circuits = [quantum_volume(10, seed=seed) for seed in range(12)]
for circuit in circuits:
    circuit.measure_all()
circuits = transpile(circuits, backend, optimization_level=0)
job = backend.run(circuits, shots=1000, seed_simulator=7)
print(job.result().get_counts(0).most_frequent())

client.close()
cluster.close()
