"""Smoke check: circuits given to AerSimulator(executor=...) run on workers, with plain Aer's bits.

    python scripts/smoke_aer_parallel.py [--scheduler tcp://host:8786]

Noisy and ideal circuits go through the cluster, through one worker of it alone for the speed-up,
and through plain Aer in this process for the bits.
"""

import contextlib
import time
from pathlib import Path
from typing import Any

import qiskit_aer
from _smoke import LEAST_WORKERS, arguments, by_worker, cluster, require, table
from distributed import Client, get_task_stream
from qiskit import QuantumCircuit, transpile
from qiskit.circuit.library import quantum_volume
from qiskit_aer.noise import NoiseModel, depolarizing_error

from aer_dask import AerSimulator
from aer_dask.testing import differences

OPTIONS: dict[str, Any] = {"seed_simulator": 7, "memory": True}


def noise() -> NoiseModel:
    """One per cent of depolarisation on every two-qubit gate."""
    model = NoiseModel()
    model.add_all_qubit_quantum_error(depolarizing_error(0.01, 2), ["cx"])
    return model


def volume(qubits: int, seed: int) -> QuantumCircuit:
    """A quantum volume circuit of u and cx gates, measured."""
    basis = ["u", "cx"]
    circuit = transpile(quantum_volume(qubits, seed=seed), basis_gates=basis, optimization_level=0)
    circuit.measure_all()
    return circuit


def checks() -> dict[str, tuple[list[QuantumCircuit], dict[str, Any]]]:
    """What is run: name, circuits, options."""
    return {
        "noisy": ([volume(11, seed) for seed in range(2)],
                  {"shots": 600, "noise_model": noise(), "method": "statevector"}),
        "ideal": ([volume(14, seed) for seed in range(16)], {"shots": 1000}),
    }  # fmt: skip


def seconds_of_one_worker(
    client: Client, circuits: list[QuantumCircuit], settings: dict[str, Any]
) -> float:
    """How long the same run takes on one of the workers."""
    first = next(iter(client.scheduler_info(n_workers=1)["workers"]))
    backend = AerSimulator(executor=client.get_executor(workers=first))
    started = time.perf_counter()
    backend.run(circuits, **OPTIONS, **settings).result()
    return time.perf_counter() - started


def blas() -> str:
    """Which BLAS libraries this process has loaded, by numpy and by Aer."""
    with contextlib.suppress(OSError):  # Linux only
        maps = Path("/proc/self/maps").read_text().split()
        found = {Path(word).name for word in maps if "blas" in Path(word).name.lower()}
        return ", ".join(sorted(found))
    return "unknown"


def main() -> None:
    """Run the checks; exit with a sentence if one fails."""
    options = arguments(__doc__)
    rows: list[tuple[str, ...]] = [
        ("check", "workers used", "tasks per worker", "seconds", "one worker", "speed-up", "bits")
    ]
    failures = []
    with cluster(options) as client:
        print(f"BLAS: {blas()}")
        AerSimulator(executor=client).run(volume(2, 1), shots=1).result(options.timeout)  # warm up
        for name, (circuits, settings) in checks().items():
            started = time.perf_counter()
            with get_task_stream(client) as stream:
                job = AerSimulator(executor=client).run(circuits, **OPTIONS, **settings)
                result = job.result(options.timeout)
            seconds = time.perf_counter() - started
            used = by_worker(stream, f"aer-{job.job_id()}")
            alone = seconds_of_one_worker(client, circuits, settings)
            plain = qiskit_aer.AerSimulator().run(circuits, **OPTIONS, **settings).result()
            wrong = differences(result, plain)
            rows.append((name, str(len(used)), " ".join(map(str, used.values())), f"{seconds:.2f}",
                         f"{alone:.2f}", f"{alone / seconds:.2f}x",
                         "DIFFER" if wrong else "equal"))  # fmt: skip
            if wrong:
                failures.append(f"{name} differs from plain Aer: {wrong[0]}.")
            if len(used) < LEAST_WORKERS:
                failures.append(f"{name} ran on {len(used)} worker; look at the workers' logs.")
    print(table(rows))
    require(not failures, " ".join(failures))


if __name__ == "__main__":
    main()
