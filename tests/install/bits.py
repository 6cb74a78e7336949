"""Run by the Python of an installation: circuits on an embedded cluster, bit for bit."""

import importlib.metadata
import json
import tempfile

from qiskit import QuantumCircuit, transpile
from qiskit.circuit.library import quantum_volume
from qiskit_aer import AerSimulator as Plain
from qiskit_aer.noise import NoiseModel, depolarizing_error

from aer_dask import AerSimulator, EmbeddedCluster
from aer_dask.testing import differences

OPTIONS = {"shots": 500, "seed_simulator": 7}


def circuits() -> list[QuantumCircuit]:
    """A few of those that are read as columns, and one with a classical condition."""
    volumes = [quantum_volume(4, 4, seed=seed) for seed in range(6)]
    for circuit in volumes:
        circuit.measure_all()
    condition = QuantumCircuit(2, 2)
    condition.h(0)
    condition.measure(0, 0)
    with condition.if_test((0, True)):
        condition.x(1)
    condition.measure(1, 1)
    return transpile([*volumes, condition], basis_gates=["cx", "rz", "sx", "x"])


def main() -> None:
    """Compare with plain Aer; print the versions of what is installed."""
    noise = NoiseModel()
    noise.add_all_qubit_quantum_error(depolarizing_error(0.02, 2), ["cx"])
    batch = circuits()
    with EmbeddedCluster(workers=2) as cluster, tempfile.TemporaryDirectory() as folder:
        backend = AerSimulator(executor=cluster)
        for options in (OPTIONS, OPTIONS | {"noise_model": noise}):
            plain = Plain().run(batch, **options).result()
            job = backend.run(batch, **options, max_job_size=1, store=f"file://{folder}")
            found = differences(job.result(timeout=120, progress=True), plain)
            assert found == [], found
            assert job.report().workers
    installed = importlib.metadata.distributions()
    print(json.dumps({each.name: each.version for each in installed}))


if __name__ == "__main__":
    main()
