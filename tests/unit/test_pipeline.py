"""Tasks leave while later circuits are still to be compiled."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from qiskit import QuantumCircuit
from qiskit.circuit import Gate, Parameter
from qiskit_aer import AerError

from aer_dask import AerSimulator, EstimatorV2
from aer_dask.compile import columns
from aer_dask.runs import run as runs
from aer_dask.testing import differences
from tests.circuits import bell, kraus_noise, mid_circuit, plain, saving, volume


class Recording(ThreadPoolExecutor):
    """Knows how many circuits were read when each task came."""

    def __init__(self, read):
        super().__init__(2)
        self._read, self.read_before, self.futures = read, [], []

    def submit(self, *args, **kwargs):
        self.read_before.append(len(self._read))
        self.futures.append(super().submit(*args, **kwargs))
        return self.futures[-1]


@pytest.fixture
def executor(monkeypatch):
    read, original = [], columns.read

    def recorded(circuit, *args):
        read.append(circuit)
        return original(circuit, *args)

    monkeypatch.setattr(columns, "read", recorded)
    monkeypatch.setattr(runs, "PORTION", 100)
    with Recording(read) as recording:
        yield recording


def test_the_first_task_leaves_before_the_last_circuit_is_compiled(executor):
    circuits = [volume(3, seed) for seed in range(30)]
    options = {"shots": 50, "seed_simulator": 1, "memory": True}
    job = AerSimulator(executor=executor).run(circuits, **options)
    assert executor.read_before[0] < 10
    assert differences(job.result(60), plain().run(circuits, **options).result()) == []
    assert sum(len(task.experiments()) for task in job.plan().tasks) == 30


def test_a_plan_is_what_is_then_sent(executor):
    backend, circuits = AerSimulator(executor=executor), [volume(3, seed) for seed in range(30)]
    plan = backend.plan(circuits, seed_simulator=1)
    assert backend.run(circuits, seed_simulator=1).plan().tasks == plan.tasks
    assert len(plan.experiments) == 30


def test_the_first_pubs_leave_before_the_last_is_compiled(executor):
    angle = Parameter("a")
    circuit = QuantumCircuit(2)
    for _ in range(20):
        circuit.rx(angle, [0, 1])
        circuit.cx(0, 1)
    pubs = [(circuit, "ZZ", [0.1 * i]) for i in range(30)]
    found = EstimatorV2(executor=executor).run(pubs).result()
    assert executor.read_before[0] < 10
    expected = EstimatorV2().run(pubs).result()
    assert [f.data.evs == e.data.evs for f, e in zip(found, expected, strict=True)] == [True] * 30


def test_a_circuit_that_aer_refuses_ends_the_run_and_all_that_was_sent(executor):
    circuits = [mid_circuit("all") for _ in range(60)]
    unknown = QuantumCircuit(2)
    unknown.append(Gate("mine", 2, []), [0, 1])
    backend = AerSimulator(executor=executor, noise_model=kraus_noise(), method="statevector")
    with pytest.raises(AerError, match="unknown instruction"):
        backend.run([*circuits, unknown], shots=200_000)
    assert executor.futures
    for future in executor.futures:
        assert future.cancelled() or future.exception(30)
    assert backend.run(bell()).result(60).success


def test_circuits_that_influence_each_other_are_all_compiled_first(executor):
    circuits = [saving("statevector", measure=True), *[mid_circuit()] * 30, *[bell()] * 30]
    options = {"shots": 40, "seed_simulator": 0, "memory": True, "noise_model": kraus_noise()}
    job = AerSimulator(executor=executor).run(circuits, **options)
    assert executor.read_before == [len(circuits)]
    assert differences(job.result(60), plain().run(circuits, **options).result()) == []
