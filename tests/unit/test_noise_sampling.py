"""The option ``noise_sampling="shared"``, with an executor and without."""

from concurrent.futures import ThreadPoolExecutor
from itertools import chain

import numpy as np
import pytest
from qiskit import QuantumCircuit
from qiskit_aer import AerError

from aer_dask import AerSimulator
from aer_dask.runs import plan
from aer_dask.runs.collect import Collector
from aer_dask.runs.options import RunOptions
from aer_dask.runs.run import Run
from aer_dask.trajectories.engine import Engine
from aer_dask.worker.execute import simulate
from tests.circuits import bell, kraus_noise, mid_circuit, parameterised, pauli_noise
from tests.compiling import assemble
from tests.statistics import exact_distribution, p_value


def ghz(qubits=4):
    circuit = QuantumCircuit(qubits, name="ghz", metadata={"kind": "ghz"})
    circuit.h(0)
    for qubit in range(qubits - 1):
        circuit.cx(qubit, qubit + 1)
    circuit.measure_all()
    return circuit


def shared(noise=pauli_noise, **options):
    return AerSimulator(noise_sampling="shared", noise_model=noise(), seed_simulator=3, **options)


def test_it_works_without_an_executor_and_gives_a_result_like_any_other():
    result = shared().run([ghz(), bell()], shots=600, memory=True).result()
    assert (result.success, result.status) == (True, "COMPLETED")
    for index, circuit in enumerate([ghz(), bell()]):
        counts, memory = result.get_counts(index), result.get_memory(index)
        assert sum(counts.values()) == len(memory) == 600
        assert {bits: memory.count(bits) for bits in counts} == counts
        values = np.bincount([int(bits, 2) for bits in memory], minlength=2**circuit.num_clbits)
        assert p_value(values, exact_distribution(circuit, pauli_noise())) > 1e-3
    assert result.results[0].header["name"] == "ghz"
    assert result.results[0].header["metadata"] == {"kind": "ghz"}


def test_the_metadata_say_how_it_was_done():
    metadata = shared(kraus_noise).run(ghz(), shots=600).result().results[0].metadata
    assert metadata["noise_sampling"] == "shared"
    assert metadata["scheme"] == 1
    assert 1 <= metadata["patterns"] <= 600
    assert metadata["work"] > 0
    assert metadata["choice_probability"] == 1.0  # amplitude damping
    metadata = shared().run(ghz(), shots=600).result().results[0].metadata
    assert metadata["choice_probability"] == 0.0
    assert metadata["work"] <= 1.2 * metadata["expected_work"] < 0.5


def test_a_seed_gives_the_same_shots_again_and_another_one_gives_others():
    def memory(seed):
        job = shared().run([ghz(), ghz()], shots=200, memory=True, seed_simulator=seed)
        return [job.result().get_memory(index) for index in (0, 1)]

    assert memory(5) == memory(5) != memory(6)
    assert memory(5)[0] != memory(5)[1]


def in_parts(noise, slots):
    """What comes of the tasks for so many workers, the last one first."""
    backend = shared(noise)
    batch = assemble(backend, [ghz(), bell()], None, {"shots": 400, "memory": True})
    run = Run(backend, [batch], RunOptions(shared_noise=True))
    tasks = list(chain.from_iterable(run.tasks(run.planner(slots))))
    collector = Collector(run)
    for task in reversed(tasks):
        assert collector.add(task, simulate(run.payload(task), run.shared)) == []
    (result,) = collector.results("job", 0.0)
    return [result.get_memory(index) for index in (0, 1)], len(tasks)


@pytest.mark.parametrize("noise", [pauli_noise, kraus_noise])
def test_any_number_of_workers_gives_the_same_shots(noise, monkeypatch):
    monkeypatch.setattr(plan, "ROUND_TRIP", 0.0)
    monkeypatch.setattr(plan, "SHORTEST_TASK", 1e-3)
    (alone, _), (some, more), (many, most) = (in_parts(noise, slots) for slots in (1, 3, 8))
    assert alone == some == many
    assert 2 <= more < most


def test_a_pool_gives_the_shots_of_this_process():
    with ThreadPoolExecutor(2) as pool:
        result = shared(executor=pool).run(ghz(), shots=300, memory=True).result()
    expected = shared().run(ghz(), shots=300, memory=True).result()
    assert result.get_memory() == expected.get_memory()


@pytest.mark.parametrize(
    ("options", "what"),
    [
        ({"method": "density_matrix"}, 'method="density_matrix"'),
        ({"precision": "single"}, 'precision="single"'),
        ({"shots": 0}, "shots=0"),
    ],
)
def test_options_under_which_the_result_would_be_another_are_refused(options, what):
    with pytest.raises(AerError, match=f'noise_sampling="shared" cannot do {what}'):
        shared().run(ghz(), **options)


def test_circuits_that_are_not_eligible_are_refused_when_they_are_run():
    with pytest.raises(AerError, match="on a qubit that was measured before"):
        shared().run(mid_circuit())
    circuit = parameterised()
    with pytest.raises(AerError, match="parameter_binds"):
        shared().run(circuit, [{parameter: [0.1, 0.2] for parameter in circuit.parameters}])


def test_a_wrong_noise_sampling_is_refused_without_an_executor_too():
    with pytest.raises(AerError, match="noise_sampling must be one of"):
        AerSimulator().run(bell(), noise_sampling="lucky")


def test_plain_aer_is_the_default():
    assert AerSimulator(noise_model=pauli_noise()).run(bell()).result().results[0].metadata[
        "method"
    ] == "density_matrix"  # fmt: skip


def test_aers_private_state_does_what_the_engine_asks_of_it():
    engine = Engine(3)
    begin = np.arange(8) + 1j
    for _ in range(2):  # it can be used again
        engine.load(begin)
        engine.apply([2, 0], np.diag([1, 2, 3, 4 + 0j]) @ np.eye(4)[[1, 0, 2, 3]])
        engine.apply([1], np.array([[0, 1], [0, 0]], complex))  # not unitary
        found = engine.unload()
        expected = np.zeros(8, complex)
        for state in range(8):
            low, middle, high = state & 1, state >> 1 & 1, state >> 2
            pair = high + 2 * low
            moved = {0: 1, 1: 0}.get(pair, pair)
            if middle == 1:
                where = (moved >> 1) + ((moved & 1) << 2)
                expected[where] += (moved + 1) * begin[state]
        assert np.array_equal(found, expected)
    assert np.array_equal(begin, np.arange(8) + 1j)
