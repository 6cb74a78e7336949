"""A client's program: jobs of three kinds in rounds without end, and what became of each.

    python load.py BITS NAME FOLDER [--release namespace/name]

It runs on this machine, where HelmCluster finds the release, and in a pod, where the address of the
scheduler is in the environment. So it is a single file that imports nothing of the tests. Each line
that it prints is an object of JSON.
"""

from __future__ import annotations

import argparse
import itertools
import json
import lzma
import os
import pickle
import shutil
import sys
import threading
import time
import traceback
import uuid
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import qiskit_aer
from distributed import Client
from qiskit import QuantumCircuit, transpile
from qiskit.circuit.library import quantum_volume
from qiskit.quantum_info import SparsePauliOp
from qiskit_aer import primitives as aer
from qiskit_aer.noise import NoiseModel, depolarizing_error

from aer_dask import AerSimulator, ClusterError, EstimatorV2, HelmCluster, StoreError
from aer_dask.jobs.report import lost_with_workers
from aer_dask.testing import differences

#: Tasks of each program, all of one size.
TASKS = 20
#: Seeds of each program, in turns, so that plain Aer's bits need be computed only once each.
SEEDS = (11, 12)
#: Seconds after which a job that has not ended is a fault, and to find the release.
BOUND, PATIENCE = 600.0, 300.0
_POLL = 0.1


class Watched(AerSimulator):
    """Remembers its last job; a primitive tells nobody."""

    job: Any = None

    def run_batches(self, *arguments: Any, **options: Any) -> Any:
        """As it is, and remembered."""
        self.job = super().run_batches(*arguments, **options)
        return self.job


def noisy(seed: int) -> QuantumCircuit:
    """One circuit, to be run with noise and its shots divided over tasks."""
    circuit = transpile(quantum_volume(11, seed=seed), basis_gates=["u", "cx"],
                        optimization_level=0)  # fmt: skip
    circuit.name = "noisy"  # by itself it would be a count
    circuit.measure_all()
    return circuit


def noise() -> NoiseModel:
    """Of which each shot draws other errors."""
    model = NoiseModel()
    model.add_all_qubit_quantum_error(depolarizing_error(0.01, 2), ["cx"])
    return model


def small(seed: int) -> list[QuantumCircuit]:
    """Many small circuits."""
    circuits = []
    for index, angle in enumerate(np.random.default_rng(seed).uniform(0, 6, 2000)):
        circuit = QuantumCircuit(5, name=f"small {index}")
        circuit.ry(angle, 0)
        for qubit in range(4):
            circuit.cx(qubit, qubit + 1)
        circuit.measure_all()
        circuits.append(circuit)
    return circuits


def pubs(seed: int) -> list[tuple[QuantumCircuit, SparsePauliOp]]:
    """Many pubs of an estimator."""
    observable = SparsePauliOp(["Z" * 14, "X" * 14, "ZX" * 7], [1, 0.5, 0.25])
    volumes = (quantum_volume(14, depth=6, seed=100 * seed + index) for index in range(120))
    basis = ["u", "cx"]
    return [(transpile(each, basis_gates=basis, optimization_level=0), observable)
            for each in volumes]  # fmt: skip


@cache
def circuits(program: str, seed: int) -> Any:
    """What a program runs, made once."""
    return PROGRAMS[program](seed)


def on_plain_aer(program: str, seed: int) -> Any:
    """What plain Aer gives for a program."""
    if program == "pubs":
        return estimator(aer.EstimatorV2, seed).run(circuits(program, seed)).result()
    backend = qiskit_aer.AerSimulator()
    return backend.run(circuits(program, seed), **options(program, seed)).result()


def on_workers(program: str, seed: int, backend: Watched) -> Any:
    """The same over an executor, in `TASKS` tasks.

    What a process that was killed has left, this one goes on with: pubs by running them again,
    other jobs by their ids.
    """
    if program == "pubs":
        primitive = estimator(partial(EstimatorV2.from_backend, backend), seed, max_job_size=6)
        return primitive.run(circuits(program, seed)).result()
    with suppress(StoreError):  # one that was killed before its circuits were kept
        if left := backend.jobs(limit=1):
            backend.job = left[0].resume()
            return backend.job.result()
    size = {"max_shot_size": 60} if program == "noisy" else {"max_job_size": 100}
    return backend.run(circuits(program, seed), **options(program, seed), **size).result()


def estimator(make: Callable[..., Any], seed: int, **size: int) -> Any:
    """An estimator; how many pubs go in one task is for ours alone."""
    return make(options={"run_options": {"seed_simulator": seed, **size}})


def options(program: str, seed: int) -> dict[str, Any]:
    """Of a run."""
    if program == "noisy":
        return {"shots": 1200, "seed_simulator": seed, "noise_model": noise(),
                "method": "statevector"}  # fmt: skip
    return {"shots": 200, "seed_simulator": seed}


PROGRAMS: dict[str, Callable[[int], Any]] = {"noisy": noisy, "small": small, "pubs": pubs}


def plain_bits() -> bytes:
    """What plain Aer gives for every program and seed, as `main` reads it."""
    found = {(name, seed): on_plain_aer(name, seed) for name in PROGRAMS for seed in SEEDS}
    return lzma.compress(pickle.dumps(found))


def unequal(found: Any, plain: Any) -> list[str]:
    """Where two results differ, in words; of primitives the values, exactly."""
    if not hasattr(plain, "results"):
        pairs = zip(found, plain, strict=True)
        return [
            f"pub {index}: {mine.data.evs!r} is not {theirs.data.evs!r}"
            for index, (mine, theirs) in enumerate(pairs)
            if mine.data.evs.tobytes() != theirs.data.evs.tobytes()
        ]
    return differences(found, plain)


class Reporter:
    """Prints lines, each with the time, who says it, and a number by which it is known."""

    def __init__(self, client: str) -> None:
        self._client, self._process = client, uuid.uuid4().hex[:8]
        self._count = itertools.count()

    def __call__(self, what: str, **facts: Any) -> None:
        """Say something."""
        line = {"what": what, "client": self._client, "process": self._process,
                "number": next(self._count), "at": time.time(), **facts}  # fmt: skip
        print(json.dumps(line, default=str), flush=True)


class Round:
    """One program with one seed, run and watched.

    Args:
        say: what tells.
        backend: with an executor.
        bits: plain Aer's, of this program and seed.
    """

    def __init__(self, say: Reporter, backend: Watched, program: str, seed: int, bits: Any) -> None:
        self._say, self._backend, self._bits = say, backend, bits
        self._program, self._seed = program, seed
        self._result: Any = None
        # how much of what the job has noted was told
        self._ran = self._lost = 0
        self._lost_with_workers: set[Any] = set()
        backend.job = None

    def run(self) -> bool:
        """Run it to its end; whether the bits are equal."""
        self._say("begun", program=self._program, seed=self._seed)
        worker = threading.Thread(target=self._work, daemon=True)
        started = time.monotonic()
        worker.start()
        while worker.is_alive():
            worker.join(_POLL)
            self._tell()
            if time.monotonic() - started > BOUND:
                self._say("failed", why=f"A job took longer than {BOUND:g} s.", **self._report())
                os._exit(1)
        self._tell()
        if isinstance(self._result, BaseException):
            why = "".join(traceback.format_exception(self._result))
            self._say("failed", why=why, **self._report())
            return False
        found = unequal(self._result, self._bits)
        self._say("ended", seconds=time.monotonic() - started, program=self._program,
                  differences=found[:3], **self._report())  # fmt: skip
        return not found

    def _work(self) -> None:
        try:
            self._result = on_workers(self._program, self._seed, self._backend)
        except BaseException as error:  # noqa: BLE001 (told by who waits)
            self._result = error

    def _tell(self) -> None:
        """Tell of each task that came, when it had begun, on the clock of all; and of each lost."""
        if self._backend.job is None:
            return
        driver = self._backend.job._driver
        for each in driver.record.ran[self._ran :]:
            self._say("ran", task=each.task, began=each.trace.began, worker=each.trace.worker)
            self._ran += 1
        lost = list(driver.record.lost)
        for loss in lost[self._lost :]:
            self._say("lost", task=loss.task, why=loss.why, begun=loss.begun)
            self._lost += 1
        for loss in set(lost_with_workers(driver, lost)) - self._lost_with_workers:
            why = f"Worker {loss.worker} was lost."
            self._say("lost", task=loss.task, why=why, begun=True)
            self._lost_with_workers.add(loss)

    def _report(self) -> dict[str, Any]:
        """What the job itself reports."""
        if self._backend.job is None:
            return {}
        report = self._backend.job.report()
        return {"tasks": report.tasks, "done": report.done, "waits_for": report.waits_for,
                "repeats": len(report.repeats), "resent": len(report.resent),
                "stored": report.stored_shots / report.shots}  # fmt: skip


def connected(release: str) -> Any:
    """The release as an executor, as soon as there is a scheduler."""
    end = time.monotonic() + PATIENCE
    while True:
        try:
            if release:
                namespace, name = release.split("/")
                return HelmCluster(name, namespace, quiet=True)
            return Client(os.environ["DASK_SCHEDULER_ADDRESS"])
        except (OSError, ClusterError):
            if time.monotonic() > end:
                raise
            time.sleep(1)


def rounds(folder: Path, first: int) -> Iterator[tuple[str, int]]:
    """Program and seed of each round, without end; from where a former process was, if one was.

    Args:
        folder: of what outlives a process: the number of the round, and its store.
        first: the number to begin with.
    """
    number, store = folder / "round", folder / "store"
    folder.mkdir(parents=True, exist_ok=True)
    if number.exists():
        first = int(number.read_text())
    for index in itertools.count(first):
        number.write_text(str(index))
        yield list(PROGRAMS)[index % len(PROGRAMS)], SEEDS[index // len(PROGRAMS) % len(SEEDS)]
        shutil.rmtree(store, ignore_errors=True)  # or the next one of this kind would take it all


def main() -> None:
    """Run rounds until somebody ends this process."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("bits", type=Path)
    parser.add_argument("name")
    parser.add_argument("folder", type=Path, help="of what outlives this process")
    parser.add_argument("--release", default="", help="as namespace/name; default: in the pod")
    words = parser.parse_args()
    say = Reporter(words.name)
    bits = pickle.loads(lzma.decompress(words.bits.read_bytes()))
    say("started", pid=os.getpid())
    backend = Watched(executor=connected(words.release), store=words.folder / "store")
    say("connected")
    # so that two clients do not do the same at once
    for program, seed in rounds(words.folder, first=len(words.name)):
        if not Round(say, backend, program, seed, bits[program, seed]).run():
            sys.exit(1)


if __name__ == "__main__":
    main()
