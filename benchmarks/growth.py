"""Processor time on the client per circuit, for few and for many: everything there is to be linear.

    make growth               # to build/growth.json; docs/testing.md has its table

What the workers do is not counted: they are other processes.
"""

from __future__ import annotations

import gc
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from qiskit import QuantumCircuit
from qiskit.circuit.library import efficient_su2
from qiskit.quantum_info import SparsePauliOp

from aer_dask import AerSimulator, EmbeddedCluster, EstimatorV2

CIRCUITS = (4_000, 16_000, 64_000)
PUBS = (500, 1_250, 5_000)
#: Aer's controller takes longer for each circuit the more it is given at once, so not all at once.
PER_TASK = 500


def run_circuits(cluster: EmbeddedCluster, count: int) -> float:
    """Seconds for circuits of two qubits, measured."""
    circuits = []
    for index in range(count):
        circuit = QuantumCircuit(2, 2, name=f"circuit{index}")
        circuit.h(0)
        circuit.cx(0, 1)
        circuit.measure([0, 1], [0, 1])
        circuits.append(circuit)
    backend = AerSimulator(executor=cluster, max_job_size=PER_TASK)
    return seconds(lambda: len(backend.run(circuits, shots=10).result().results) == count)


def run_pubs(cluster: EmbeddedCluster, count: int) -> float:
    """Seconds for pubs of two parameter rows and two observables."""
    ansatz = efficient_su2(2, reps=1).decompose()
    observables = SparsePauliOp(["ZZ", "XX"])
    rows = np.random.default_rng(1).random((2, ansatz.num_parameters))
    estimator = EstimatorV2(
        executor=cluster, options={"run_options": {"max_job_size": 2 * PER_TASK}}
    )
    pubs = [(ansatz, observables, rows)] * count
    return seconds(lambda: len(estimator.run(pubs).result()) == count)


def seconds(run: Callable[[], bool]) -> float:
    """Processor seconds of this process, all its threads together."""
    gc.collect()
    started = time.process_time()
    assert run()
    return time.process_time() - started


def main() -> None:
    """Measure and print; write build/growth.json."""
    report: dict[str, Any] = {}
    with EmbeddedCluster(workers=2) as cluster:
        for name, run, counts in (("circuits", run_circuits, CIRCUITS), ("pubs", run_pubs, PUBS)):
            run(cluster, 100)  # imports, and tables that are made once
            first = None
            for count in counts:
                each = run(cluster, count) / count * 1e6
                first = first or each
                report[f"{count} {name}"] = each
                print(
                    f"{count:>6} {name}: {each:.0f} µs each on the client, {each / first:.2f} "
                    f"times that of {counts[0]}",
                    flush=True,
                )
    path = Path("build/growth.json")
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(report, indent=2))


if __name__ == "__main__":
    main()
