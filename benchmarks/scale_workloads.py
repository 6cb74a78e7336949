"""What is run over the workers of :mod:`benchmarks.scale`."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from qiskit import QuantumCircuit
from qiskit.circuit.library import efficient_su2
from qiskit.quantum_info import Pauli, SparsePauliOp
from qiskit_aer.noise import NoiseModel, depolarizing_error

from aer_dask import AerSimulator, EstimatorV2
from aer_dask.jobs.jobset import AerJobSet
from benchmarks.scale_farm import Pace

#: Tasks from which a backend learns, before it is measured, how long the simulations take.
LESSONS = 16


class Backend(AerSimulator):
    """An AerSimulator that counts what it sends, since a primitive shows no jobs."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        #: bytes of all tasks, and of what each worker fetches for a run
        self.sent = self.shared = 0

    def run_batches(self, *args: Any, **options: Any) -> AerJobSet:
        """As the simulator itself does it."""
        job = super().run_batches(*args, **options)
        self.sent += sum(job.plan().payload_bytes)
        self.shared = job.plan().shared_bytes
        return job


class Workload(ABC):
    """Something to run, the same for each number of workers."""

    #: options of the backend
    options: dict[str, Any] = {}  # noqa: RUF012 (never changed)

    @abstractmethod
    def pace(self, workers: int, seconds: float) -> Pace:
        """How long simulations must take to keep so many workers busy for so many seconds."""

    @abstractmethod
    def learn(self, backend: Backend) -> None:
        """Run :data:`LESSONS` small tasks of the same kind."""

    @abstractmethod
    def run(self, backend: Backend) -> None:
        """Run it, and refuse a result that is not whole."""


class Circuits(Workload):
    """Circuits of two qubits, measured; at most ``per_task`` in a task, where that is given."""

    def __init__(self, count: int = 100_000, per_task: int | None = None) -> None:
        self._circuits = [_bell(f"circuit{index}") for index in range(count)]
        self._per_task = per_task

    def pace(self, workers: int, seconds: float) -> Pace:
        return Pace(experiment=workers * seconds / len(self._circuits))

    def learn(self, backend: Backend) -> None:
        backend.run(self._circuits[:LESSONS], max_job_size=1).result()

    def run(self, backend: Backend) -> None:
        job = backend.run(self._circuits, max_job_size=self._per_task)
        assert len(job.result().results) == len(self._circuits)


class Shots(Workload):
    """Many shots of one noisy circuit, simulated one by one."""

    shots = 10_000_000

    def __init__(self) -> None:
        noise = NoiseModel()
        noise.add_all_qubit_quantum_error(depolarizing_error(0.01, 2), ["cx"])
        self.options = {"noise_model": noise, "method": "statevector"}
        self._circuit = _bell("noisy")

    def pace(self, workers: int, seconds: float) -> Pace:
        return Pace(shot=workers * seconds / self.shots)

    def learn(self, backend: Backend) -> None:
        backend.run(self._circuit, shots=LESSONS * 1000, max_shot_size=1000).result()

    def run(self, backend: Backend) -> None:
        counts = backend.run(self._circuit, shots=self.shots).result().get_counts()
        assert sum(counts.values()) == self.shots


class Pubs(Workload):
    """An estimator's pubs, of two rows and two observables; so many rows in a task, if given."""

    count = 5_000

    def __init__(self, per_task: int | None = None) -> None:
        self._options = {"run_options": {"max_job_size": per_task}}
        ansatz = efficient_su2(2, reps=1).decompose()
        rows = np.random.default_rng(1).random((2, ansatz.num_parameters))
        self._pubs = [(ansatz, SparsePauliOp(["ZZ", "XX"]), rows)] * self.count

    def pace(self, workers: int, seconds: float) -> Pace:
        return Pace(experiment=workers * seconds / (2 * self.count))

    def learn(self, backend: Backend) -> None:
        options = {"run_options": {"max_job_size": 1}}
        estimator = EstimatorV2.from_backend(backend, options=options)
        estimator.run(self._pubs[: LESSONS // 2]).result()

    def run(self, backend: Backend) -> None:
        estimator = EstimatorV2.from_backend(backend, options=self._options)
        result = estimator.run(self._pubs).result()
        assert len(result) == self.count


class Gradients(Workload):
    """Gradients of 100 parameters, one a second where they are done by then.

    A gradient's rows, spread evenly over the workers, take :attr:`ideal` seconds.
    """

    count = 20
    ideal = 0.5

    def __init__(self) -> None:
        self._ansatz = efficient_su2(10, reps=4).decompose()
        self._ansatz.save_expectation_value(Pauli("Z" * 10), range(10))
        self._point = np.random.default_rng(1).random(self._ansatz.num_parameters)
        #: seconds from each gradient's start to its end
        self.took: list[float] = []

    @property
    def rows(self) -> int:
        """Two for each parameter."""
        return 2 * len(self._point)

    def pace(self, workers: int, seconds: float) -> Pace:
        return Pace(experiment=self.ideal * min(workers, self.rows) / self.rows)

    def learn(self, backend: Backend) -> None:
        self._gradient(backend, max_job_size=self.rows // LESSONS)

    def run(self, backend: Backend) -> None:
        for _ in range(self.count):
            started = time.monotonic()
            self._gradient(backend)
            self.took.append(time.monotonic() - started)
            time.sleep(max(0.0, 1 - self.took[-1]))

    def _gradient(self, backend: Backend, **options: Any) -> None:
        shift = np.pi / 2 * np.identity(len(self._point))
        points = np.concatenate([self._point + shift, self._point - shift])
        binds = dict(zip(self._ansatz.parameters, points.T.tolist(), strict=True))
        result = backend.run(self._ansatz, [binds], **options).result()
        assert len(result.results) == self.rows


def _bell(name: str) -> QuantumCircuit:
    circuit = QuantumCircuit(2, 2, name=name)
    circuit.h(0)
    circuit.cx(0, 1)
    circuit.measure([0, 1], [0, 1])
    return circuit


WORKLOADS: dict[str, Callable[[], Workload]] = {
    "circuits": Circuits, "shots": Shots, "pubs": Pubs, "pubs-apart": partial(Pubs, 2),
    "gradients": Gradients,
}  # fmt: skip
