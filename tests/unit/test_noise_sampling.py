"""The option ``noise_sampling="shared"``, with an executor and without."""

from concurrent.futures import ThreadPoolExecutor
from itertools import chain

import numpy as np
import pytest
from qiskit import QuantumCircuit
from qiskit.circuit import Parameter, ParameterVector
from qiskit.circuit.library import RXGate
from qiskit.quantum_info import Pauli, SparsePauliOp
from qiskit_aer import AerError

from aer_dask import AerSimulator, EstimatorV2, SamplerV2
from aer_dask.runs import plan
from aer_dask.runs.collect import Collector
from aer_dask.runs.options import RunOptions
from aer_dask.runs.run import Run
from aer_dask.worker.execute import simulate
from tests.circuits import (
    bell,
    conditional,
    kraus_noise,
    loops,
    mid_circuit,
    pauli_noise,
    plain,
    readout_noise,
    saving,
    volume,
)
from tests.compiling import assemble
from tests.statistics import counts_of, exact_distribution, exact_state, p_value, two_sample_p_value


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


def test_the_plan_says_what_is_expected():
    plan = shared().plan([volume(6), volume(6)], shots=600)
    forecast = plan.experiments[0].trajectories
    assert 0 < forecast.share < 1 < forecast.patterns < 600
    patterns = f"{2 * forecast.patterns:,.0f} patterns of errors"
    assert f"{patterns}, and {forecast.share:.1%} of the work" in str(plan)


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
    run = Run(backend, [batch], RunOptions(noise_sampling="shared"))
    tasks = list(chain.from_iterable(run.tasks(run.planner(slots))))
    collector = Collector(run)
    for task in reversed(tasks):
        assert collector.add(task, simulate(run.payload(task), run.shared)) == []
    (result,) = collector.results("job", 0.0)
    return [result.get_memory(index) for index in (0, 1)], len(tasks)


@pytest.mark.parametrize("noise", [pauli_noise, kraus_noise])
def test_any_number_of_workers_gives_the_same_shots(noise, monkeypatch):
    monkeypatch.setattr(plan, "ROUND_TRIP", 0.0)
    monkeypatch.setattr(plan, "SHORTEST_TASK", 1e-4)
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
        ({"device": "GPU"}, 'device="GPU"'),
        ({"shots": 0}, "shots=0"),
    ],
)
def test_options_under_which_the_result_would_be_another_are_refused(options, what):
    with pytest.raises(AerError, match=f'noise_sampling="shared" cannot do {what}'):
        shared().run(ghz(), **options)


def test_circuits_that_are_not_eligible_are_refused_when_they_are_run():
    with pytest.raises(AerError, match="classical variables"):
        shared().run(loops())


def test_measurements_in_the_middle_and_conditions_come_with_counts():
    for circuit in (mid_circuit("all"), conditional("all")):
        result = shared().run(circuit, shots=5000, memory=True).result()
        assert sum(result.get_counts().values()) == len(result.get_memory()) == 5000
        others = counts_of(plain(pauli_noise(), seed_simulator=10**9), circuit, shots=5000)
        found = counts_of(shared(), circuit, shots=5000)
        assert two_sample_p_value(found, others) > 1e-3


def test_the_number_of_threads_changes_no_shot():
    circuit = ghz(15)
    found = [
        shared().run(circuit, shots=50, memory=True, max_parallel_threads=threads).result()
        for threads in (1, 2)
    ]
    assert found[0].get_memory() == found[1].get_memory()


@pytest.mark.parametrize("kind", ["columns", "a program"])
def test_each_row_of_parameter_values_has_trajectories_of_its_own(kind):
    angles = ParameterVector("angles", 3)
    circuit = QuantumCircuit(2, global_phase=angles[2])
    circuit.h(0)
    circuit.rx(2 * angles[0] + angles[1], 0)
    circuit.cx(0, 1)
    circuit.rz(angles[1], 1)
    circuit.rx(angles[1], 1)
    if kind == "a program":
        circuit.append(RXGate(angles[0], label="rx"), [0])
    circuit.measure_all()
    rows = np.random.default_rng(1).uniform(0, 3, (4, 3))
    binds = [dict(zip(angles, rows.T.tolist(), strict=True))]
    options = {"shots": 3000, "memory": True}
    found = shared().run([bell(), circuit], [{}, *binds], **options).result()
    assigned = [circuit.assign_parameters(row) for row in rows]
    expected = shared().run([bell(), *assigned], **options).result()
    for index, row in enumerate([None, *assigned]):
        assert found.get_memory(index) == expected.get_memory(index)
        if row is not None:
            counts = np.bincount([int(b, 2) for b in found.get_memory(index)], minlength=4)
            assert p_value(counts, exact_distribution(row, pauli_noise())) > 1e-3


def test_averages_are_those_of_plain_aer_and_counts_come_with_them():
    circuit = ghz()
    circuit.remove_final_measurements()
    circuit.save_expectation_value(SparsePauliOp(["ZZII", "XXXX"], [2, 0.5]), range(4), label="e")
    circuit.save_probabilities([0, 3])
    options = {"shots": 4000, "method": "statevector"}
    found = shared().run(circuit, **options).result().data()
    expected = AerSimulator(noise_model=pauli_noise(), seed_simulator=10**9).run(circuit, **options)
    assert found.keys() == expected.result().data().keys()
    for key, value in expected.result().data().items():
        assert type(found[key]) is type(value)
        assert found[key] == pytest.approx(value, abs=0.1)
    circuit.measure_all()
    assert shared().run(circuit, **options).result().data().keys() == {*found, "counts"}


def test_single_precision_is_that_and_takes_half_the_memory():
    circuit = volume(5)
    circuit.save_probabilities(label="p")
    options = {"shots": 2000, "memory": True}
    double = shared().run(circuit, **options).result()
    single = shared().run(circuit, precision="single", **options).result()
    assert single.get_memory() == double.get_memory()
    error = abs(single.data()["p"] - double.data()["p"]).max()
    assert 0 < error < 1e-6
    plans = [shared().plan(circuit, precision=p, **options) for p in ("double", "single")]
    whole, half = (plan.experiments[0].trajectories.state_bytes for plan in plans)
    assert half == pytest.approx(whole / 2, abs=1)


@pytest.mark.parametrize("executor", [None, "a pool"])
def test_primitives_share_trajectories_too(executor):
    options = {
        "backend_options": {"noise_model": pauli_noise(), "noise_sampling": "shared"},
        "run_options": {"seed_simulator": 4, "shots": 4000},
    }
    angle = Parameter("angle")
    circuit = QuantumCircuit(2)
    circuit.rx(angle, 0)
    circuit.cx(0, 1)
    with ThreadPoolExecutor(1) as pool:
        given = {"options": options, "executor": executor and pool}
        sampled = SamplerV2(**given, default_shots=4000).run(
            [(circuit.measure_all(inplace=False), [[0.3], [2.0]])]
        )
        estimator = EstimatorV2(**given).run([(circuit, ["ZZ", "IZ"], 0.3)], precision=0)
        estimated = estimator.result()
        for row, value in enumerate([0.3, 2.0]):
            distribution = exact_distribution(
                circuit.assign_parameters([value]).measure_all(inplace=False), pauli_noise()
            )
            counts = sampled.result()[0].data.meas[row].get_int_counts()
            found = np.array([counts.get(key, 0) for key in range(4)])
            assert p_value(found, distribution) > 1e-3
    (pub,) = estimated
    assert pub.metadata["simulator_metadata"] is not None
    state = exact_state(circuit.assign_parameters([0.3]), pauli_noise())
    expected = [state.expectation_value(Pauli(name)).real for name in ("ZZ", "IZ")]
    assert pub.data.evs == pytest.approx(expected, abs=0.05)


def ways(circuits, noise, **options):
    """How ``"auto"`` decides about circuits."""
    backend = AerSimulator(noise_sampling="auto", noise_model=noise, seed_simulator=3)
    result = backend.run(circuits, **options).result()
    assert result.success
    return result, [each.metadata.get("noise_sampling", "aer") for each in result.results]


def test_auto_takes_what_is_faster_for_each_circuit():
    circuits = [volume(10), bell(), saving("statevector", measure=True)]
    result, found = ways(circuits, pauli_noise(), shots=300, memory=True)
    assert found == ["shared", "aer", "aer"]
    plain_result = plain(pauli_noise(), seed_simulator=3).run(circuits, shots=300, memory=True)
    for index in (1, 2):  # in their places of the batch, with its seeds
        assert result.get_memory(index) == plain_result.result().get_memory(index)


def test_auto_leaves_to_aer_what_cannot_be_shared():
    assert ways([volume(8)], pauli_noise(), shots=300, method="density_matrix")[1] == ["aer"]
    assert ways([volume(8)], None, shots=300)[1] == ["aer"]
    assert ways([volume(8)], readout_noise(), shots=300)[1] == ["aer"]


def test_circuits_do_not_influence_each_other_under_auto():
    # with plain Aer a state vector before a density matrix changes what that gives
    circuits = [saving("statevector", measure=True), bell(), bell()]
    result, found = ways(circuits, kraus_noise(), shots=20_000, method="automatic")
    assert found == ["aer"] * 3
    counts = [result.get_counts(1).get(f"{key:02b}", 0) for key in range(4)]
    assert p_value(np.array(counts), exact_distribution(bell(), kraus_noise())) > 1e-3


def test_a_wrong_noise_sampling_is_refused_without_an_executor_too():
    with pytest.raises(AerError, match="noise_sampling must be one of"):
        AerSimulator().run(bell(), noise_sampling="lucky")


def test_plain_aer_is_the_default():
    assert AerSimulator(noise_model=pauli_noise()).run(bell()).result().results[0].metadata[
        "method"
    ] == "density_matrix"  # fmt: skip
