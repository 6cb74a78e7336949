"""The smoke checks: workers share the mean of an array, and circuits, with plain Aer's bits.

    python -m aer_dask.smoke [array-mean | aer-parallel] [--scheduler tcp://host:8786]

``make smoke-test`` and the chart's tests run them so, ``aer-dask smoke-test`` over a release.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dask.array as da
import qiskit_aer
from distributed import Client, get_task_stream
from qiskit import QuantumCircuit, transpile
from qiskit.circuit.library import quantum_volume
from qiskit.exceptions import QiskitError
from qiskit_aer.noise import NoiseModel, depolarizing_error

from .clusters.embedded import EmbeddedCluster
from .errors import AerDaskError
from .simulator import AerSimulator
from .testing import differences
from .versions import installed

LEAST_WORKERS = 2
#: Seconds that a cluster has to connect, to bring workers, and for one run.
PATIENCE = 300.0
OPTIONS: dict[str, Any] = {"seed_simulator": 7, "memory": True}


def main() -> None:
    """Run the checks that the command line names; exit with a sentence if one fails."""
    parser = argparse.ArgumentParser(
        prog="aer_dask.smoke", description=(__doc__ or "").split("\n")[0]
    )
    parser.add_argument("check", nargs="?", choices=CHECKS, help="default: both")
    parser.add_argument(
        "--scheduler",
        default=os.environ.get("SCHEDULER") or None,
        help="address such as tcp://host:8786; default $SCHEDULER, else an embedded cluster",
    )
    words = parser.parse_args()
    with connected(words.scheduler) as client:
        run(client, [words.check] if words.check else list(CHECKS))


@contextlib.contextmanager
def connected(scheduler: str | None) -> Iterator[Client]:
    """A client of the scheduler given, or of a cluster of processes on this machine."""
    with contextlib.ExitStack() as stack:
        if scheduler:
            print(f"cluster: {scheduler}")
            yield stack.enter_context(Client(scheduler, timeout=PATIENCE))
        else:
            print(f"cluster: embedded, {LEAST_WORKERS} dask worker processes on this machine")
            embedded = stack.enter_context(EmbeddedCluster(workers=LEAST_WORKERS))
            yield stack.enter_context(Client(embedded, timeout=PATIENCE))


def run(client: Client, checks: list[str], timeout: float = PATIENCE) -> None:
    """Run checks by name, once two workers are there.

    Args:
        client: of the cluster.
        checks: which of :data:`CHECKS`.
        timeout: seconds that the workers have to come, and then each run.

    Raises:
        SystemExit: with a sentence, if one fails.
    """
    try:
        client.wait_for_workers(LEAST_WORKERS, timeout=timeout)
        print("versions:", ", ".join(f"{name} {found}" for name, found in installed().items()))
        for name in checks:
            print(f"== {name}", flush=True)
            CHECKS[name](client, timeout)
    except QiskitError as error:  # whose str() is in quotes
        raise SystemExit(f"FAILED: {error.message}") from error
    except (AerDaskError, OSError) as error:
        said = str(error) or f"No answer after {timeout:g} s."  # Dask's timeouts may have no words
        raise SystemExit(f"FAILED: {said}") from error


def timed_mean(
    client: Client, timeout: float, workers: list[str] | None = None
) -> tuple[float, float]:
    """The mean, and the seconds it took, on all workers or on some."""
    ones = da.ones((1000, 1000, 1000), chunks=(100, 500, 500))
    started = time.perf_counter()
    mean = float(client.compute(ones.mean(), workers=workers).result(timeout))
    return mean, time.perf_counter() - started


def array_mean(client: Client, timeout: float) -> None:
    """The mean of a dask array of 1000 x 1000 x 1000 ones is 1.0, computed by workers.

    All workers compute it, and then one of them alone, for the speed-up.
    """
    timed_mean(client, timeout)  # not counted: the workers still import what it takes
    with get_task_stream(client) as stream:
        mean, seconds = timed_mean(client, timeout)
    used = by_worker(stream)
    _, alone = timed_mean(client, timeout, [first_worker(client)])
    rows: list[tuple[str, ...]] = [
        ("check", "workers used", "tasks per worker", "seconds", "one worker", "speed-up", "mean"),
        (
            "array mean", str(len(used)), " ".join(map(str, used.values())), f"{seconds:.2f}",
            f"{alone:.2f}", f"{alone / seconds:.2f}x", str(mean),
        ),
    ]  # fmt: skip
    print(table(rows))
    require(mean == 1.0, f"the mean of ones is {mean}.")
    require(
        len(used) >= LEAST_WORKERS,
        f"only {len(used)} of the workers did anything; look at their logs.",
    )


def first_worker(client: Any) -> str:
    """The address of one of the workers.

    Not by client.scheduler_info(), which at times gives what the client has noted by itself: that
    has no workers.
    """
    workers = client.sync(client.scheduler.identity, n_workers=1)["workers"]
    return str(next(iter(workers)))


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


def workloads() -> dict[str, tuple[list[QuantumCircuit], dict[str, Any]]]:
    """What is run: name, circuits, options."""
    return {
        "noisy": ([volume(11, seed) for seed in range(2)],
                  {"shots": 600, "noise_model": noise(), "method": "statevector"}),
        "ideal": ([volume(14, seed) for seed in range(16)], {"shots": 1000}),
    }  # fmt: skip


def seconds_of_one_worker(
    client: Client, circuits: list[QuantumCircuit], settings: dict[str, Any], timeout: float
) -> float:
    """How long the same run takes on one of the workers."""
    backend = AerSimulator(executor=client.get_executor(workers=first_worker(client)))
    started = time.perf_counter()
    backend.run(circuits, **OPTIONS, **settings).result(timeout)
    return time.perf_counter() - started


def blas() -> str:
    """Which BLAS libraries this process has loaded, by numpy and by Aer."""
    with contextlib.suppress(OSError):  # Linux only
        maps = Path("/proc/self/maps").read_text().split()
        found = {Path(word).name for word in maps if "blas" in Path(word).name.lower()}
        return ", ".join(sorted(found))
    return "unknown"


def aer_parallel(client: Client, timeout: float) -> None:
    """Circuits given to AerSimulator(executor=...) run on workers, with plain Aer's bits.

    Noisy and ideal circuits go through the cluster, through one worker of it alone for the
    speed-up, and through plain Aer in this process for the bits.
    """
    print(f"BLAS: {blas()}")
    rows: list[tuple[str, ...]] = [
        ("check", "workers used", "tasks per worker", "seconds", "one worker", "speed-up", "bits")
    ]
    failures = []
    AerSimulator(executor=client).run(volume(2, 1), shots=1).result(timeout)  # warm up
    for name, (circuits, settings) in workloads().items():
        started = time.perf_counter()
        with get_task_stream(client) as stream:
            job = AerSimulator(executor=client).run(circuits, **OPTIONS, **settings)
            result = job.result(timeout)
        seconds = time.perf_counter() - started
        used = by_worker(stream, f"aer-{job.job_id()}")
        alone = seconds_of_one_worker(client, circuits, settings, timeout)
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


def by_worker(stream: get_task_stream, prefix: str = "") -> Counter[str]:
    """How many tasks whose key begins so each worker executed, as the scheduler recorded it."""
    return Counter(task["worker"] for task in stream.data if str(task["key"]).startswith(prefix))


def table(rows: list[tuple[str, ...]]) -> str:
    """Rows in columns; the first row is the heading."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["  ".join(f"{cell:<{w}}" for cell, w in zip(row, widths, strict=True)) for row in rows]
    lines.insert(1, "  ".join("-" * width for width in widths))
    return "\n".join(line.rstrip() for line in lines)


def require(condition: bool, sentence: str) -> None:
    """End the check with a sentence unless the condition holds."""
    if not condition:
        raise SystemExit(f"FAILED: {sentence}")


CHECKS = {"array-mean": array_mean, "aer-parallel": aer_parallel}

if __name__ == "__main__":
    main()
