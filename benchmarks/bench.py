"""Ratios of one run: plain Aer, a hand-written client.map, and ours, side by side.

    make bench                # everything, medians of 3, to build/bench.json
    make bench REPEATS=5

Each round times every contender once, in turn, so that a noisy machine is noisy for all of them;
what is reported is the median over the rounds, and its ratio to plain Aer on one thread.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import qiskit_aer
from distributed import Client
from qiskit import QuantumCircuit, transpile
from qiskit.circuit.library import quantum_volume
from qiskit.quantum_info import Pauli
from qiskit_aer.noise import NoiseModel, depolarizing_error
from qiskit_nature.second_q.circuit.library import UCCSD, HartreeFock
from qiskit_nature.second_q.drivers import PySCFDriver
from qiskit_nature.second_q.mappers import JordanWignerMapper

from aer_dask import AerSimulator, EmbeddedCluster

WORKERS = 2
Run = Callable[[], Any]


def volume(qubits: int, seed: int) -> QuantumCircuit:
    """A quantum volume circuit of u and cx gates, measured."""
    basis = ["u", "cx"]
    circuit = transpile(quantum_volume(qubits, seed=seed), basis_gates=basis, optimization_level=0)
    circuit.measure_all()
    return circuit


def small_circuits() -> tuple[list[QuantumCircuit], None, dict[str, Any]]:
    """200 circuits of quantum volume 4."""
    return [volume(4, seed) for seed in range(200)], None, {"shots": 1024}


def noisy_volume() -> tuple[list[QuantumCircuit], None, dict[str, Any]]:
    """One noisy circuit of quantum volume 12, 1200 shots one by one."""
    noise = NoiseModel()
    noise.add_all_qubit_quantum_error(depolarizing_error(0.01, 2), ["cx"])
    return [volume(12, 1)], None, {"shots": 1200, "noise_model": noise, "method": "statevector"}


def uccsd_gradient() -> tuple[list[QuantumCircuit], list[dict], dict[str, Any]]:
    """All 92 rows of a UCCSD gradient for LiH: 12 qubits, energies of shifted parameters."""
    molecule = PySCFDriver(atom="Li 0 0 0; H 0 0 1.6").run()
    mapper, size = JordanWignerMapper(), (molecule.num_spatial_orbitals, molecule.num_particles)
    ansatz = UCCSD(*size, mapper, initial_state=HartreeFock(*size, mapper))
    circuit = transpile(ansatz, basis_gates=["rx", "ry", "rz", "h", "cx", "x", "sx"])
    hamiltonian = mapper.map(molecule.second_q_ops()[0])
    for pauli in hamiltonian.paulis[:50]:
        circuit.save_expectation_value(Pauli(pauli), range(12), label=str(pauli))
    point = np.zeros((92, circuit.num_parameters))
    for row, parameter in enumerate(np.resize(np.arange(circuit.num_parameters), 92)):
        point[row, parameter] = 0.01
    binds = {parameter: point[:, i] for i, parameter in enumerate(circuit.parameters)}
    return [circuit], [binds], {}


def by_hand(client: Client, circuits: list, binds: list | None, options: dict[str, Any]) -> list:
    """What a user would write: one task for each circuit, or one for each row bound to it."""
    if binds:
        names, rows = list(binds[0]), np.stack(list(binds[0].values()), axis=1)
        circuits = [circuits[0].assign_parameters(dict(zip(names, r, strict=True))) for r in rows]
    elif len(circuits) == 1:
        parts = 4 * WORKERS
        options = {**options, "shots": options["shots"] // parts}
        circuits = circuits * parts
    return client.gather(client.map(simulate, circuits, pure=False, options=options))


def simulate(circuit: QuantumCircuit, options: dict[str, Any]) -> dict:
    """The task that a user would write."""
    return qiskit_aer.AerSimulator().run(circuit, **options).result().to_dict()


def contenders(client: Client, circuits: list, binds: list | None, options: dict) -> dict[str, Run]:
    """What is compared, by name."""
    plain, ours = qiskit_aer.AerSimulator(), AerSimulator(executor=client)
    return {
        "plain, 1 thread":
            lambda: plain.run(circuits, binds, max_parallel_threads=1, **options).result(),
        f"plain, {os.cpu_count()} threads": lambda: plain.run(circuits, binds, **options).result(),
        "client.map by hand": lambda: by_hand(client, circuits, binds, options),
        "aer_dask": lambda: ours.run(circuits, binds, **options).result(),
    }  # fmt: skip


def measure(runs: dict[str, Run], repeats: int) -> dict[str, float]:
    """Median seconds of each contender over so many rounds, after one that is not counted."""
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    for number in range(repeats + 1):
        for name, run in runs.items():
            started = time.perf_counter()
            run()
            if number:
                seconds[name].append(time.perf_counter() - started)
    return {name: statistics.median(values) for name, values in seconds.items()}


def main() -> None:
    """Measure all workloads, print the ratios, and write them down."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--output", type=Path, default=Path("build/bench.json"))
    options = parser.parse_args()
    report: dict[str, Any] = {"workers": WORKERS, "repeats": options.repeats, "workloads": {}}
    with EmbeddedCluster(workers=WORKERS, threads=1) as cluster, Client(cluster) as client:
        for workload in (small_circuits, noisy_volume, uccsd_gradient):
            seconds = measure(contenders(client, *workload()), options.repeats)
            base = seconds["plain, 1 thread"]
            print(f"\n{workload.__doc__}")
            for name, value in seconds.items():
                print(f"  {name:<20} {value:8.3f} s  {base / value:5.2f}x")
            report["workloads"][workload.__name__] = {
                name: {"seconds": value, "ratio": base / value} for name, value in seconds.items()
            }
    options.output.parent.mkdir(parents=True, exist_ok=True)
    options.output.write_text(json.dumps(report, indent=2) + "\n")


if __name__ == "__main__":
    main()
