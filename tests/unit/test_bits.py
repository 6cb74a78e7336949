"""Any cut of any run, executed task by task, merges to the Result of plain Aer.

Here without a cluster, so that hypothesis can try many; tests/real has the same on real workers.
"""

from itertools import chain
from unittest.mock import patch

import pytest
from hypothesis import given, note, settings
from hypothesis import strategies as st
from qiskit import QuantumCircuit
from qiskit.circuit import Parameter
from qiskit.quantum_info import random_unitary
from qiskit_aer import AerError
from qiskit_aer.noise import NoiseModel, depolarizing_error

from aer_dask import AerSimulator, InsufficientMemoryError
from aer_dask.runs import run as runs
from aer_dask.runs.collect import Collector
from aer_dask.runs.merge import merge_outputs
from aer_dask.runs.options import RunOptions
from aer_dask.runs.run import Run
from aer_dask.testing import differences
from aer_dask.worker.execute import simulate
from tests.circuits import (
    ANGLE,
    NOISES,
    SAVES,
    bell,
    conditional,
    kraus_noise,
    mid_circuit,
    parameterised,
    pauli_noise,
    plain,
    random_circuits,
    saving,
    volume,
)
from tests.compiling import assemble, compiled_run, with_saves


def in_pieces(circuits, binds=None, *, slots=3, noise=None, method="automatic", options=None,
              **run_options):  # fmt: skip
    """What a run gives when each of its tasks is executed on its own, last one first."""
    backend = AerSimulator(noise_model=noise, method=method)
    sizes = {k: run_options.pop(k) for k in ("max_job_size", "max_shot_size", "seed_policy")
             if k in run_options}  # fmt: skip
    paulis = run_options.pop("paulis", None)
    batch = assemble(backend, circuits, binds, run_options, paulis)
    run = Run(backend, [batch], RunOptions.of(None, sizes))
    with patch.object(runs, "PORTION", 7):  # so that even small runs are compiled in several parts
        tasks = list(chain.from_iterable(run.tasks(run.planner(slots))))
    collector, again = Collector(run), []
    for task in reversed(tasks):
        again += collector.add(task, simulate(run.payload(task), run.shared))
    for index in dict.fromkeys(again):
        whole = run.planner(slots).whole(index)
        collector.add(whole, simulate(run.payload(whole), run.shared))
    return collector.results("job", 0.0)[0]


def assert_same(circuits, binds=None, *, noise=None, method="automatic", sizes=None, **run_options):
    options = dict(run_options)
    saved = options.pop("paulis", None) or [()] * len(circuits)
    saving = [with_saves(*each) for each in zip(circuits, saved, strict=True)]
    expected = plain(noise, method=method).run(saving, binds, **options).result()
    found = in_pieces(circuits, binds, noise=noise, method=method, **run_options, **(sizes or {}))
    assert differences(found, expected) == []


@settings(max_examples=120, deadline=None)
@given(
    circuits=st.lists(random_circuits(), min_size=1, max_size=4),
    noise=st.sampled_from(list(NOISES)),
    method=st.sampled_from(["automatic", "statevector", "density_matrix", "matrix_product_state"]),
    shots=st.integers(1, 40),
    seed=st.integers(0, 2**62),
    job_size=st.none() | st.integers(1, 4),
    shot_size=st.none() | st.integers(1, 40),
)
def test_any_list_of_circuits_in_any_cut(circuits, noise, method, shots, seed, job_size, shot_size):
    note("\n".join(map(str, circuits)))
    sizes = {"max_job_size": job_size, "max_shot_size": shot_size}
    options = {"shots": shots, "seed_simulator": seed, "memory": True}
    assert_same(circuits, noise=NOISES[noise](), method=method, sizes=sizes, **options)


@settings(max_examples=30, deadline=None)
@given(
    rows=st.lists(st.integers(1, 5), min_size=1, max_size=3),
    noisy=st.booleans(),
    at_run_time=st.booleans(),
    job_size=st.integers(1, 6),
    shot_size=st.none() | st.integers(1, 20),
)
def test_any_rows_of_parameters_in_any_cut(rows, noisy, at_run_time, job_size, shot_size):
    circuits = [parameterised() for _ in rows] + [bell()]
    binds = [{ANGLE: [0.3 * i for i in range(n)]} for n in rows] + [{}]
    assert_same(circuits, binds, noise=pauli_noise() if noisy else None, method="statevector",
                shots=20, seed_simulator=5, memory=True, runtime_parameter_bind_enable=at_run_time,
                sizes={"max_job_size": job_size, "max_shot_size": shot_size})  # fmt: skip


METHODS = {
    "statevector": "all", "density_matrix": "all", "matrix_product_state": "all",
    "stabilizer": "clifford", "extended_stabilizer": "clifford", "automatic": "all",
}  # fmt: skip


@pytest.mark.parametrize("build", [mid_circuit, conditional], ids=lambda f: f.__name__)
@pytest.mark.parametrize("noise", ["ideal", "pauli", "readout"])
@pytest.mark.parametrize("method", METHODS)
def test_dynamic_circuits_are_cut_into_shots(method, noise, build):
    circuit = build(METHODS[method])
    assert_same([circuit, bell(), circuit], noise=NOISES[noise](), method=method, shots=60,
                seed_simulator=3, memory=True,
                sizes={"max_job_size": 1, "max_shot_size": 20})  # fmt: skip


@pytest.mark.parametrize("measure", [False, True])
@pytest.mark.parametrize("noise", ["ideal", "pauli", "kraus"])
@pytest.mark.parametrize("save", SAVES)
def test_saved_data_of_every_kind_is_put_together(save, noise, measure):
    methods = {"stabilizer": "stabilizer", "mps": "matrix_product_state", "unitary": "unitary",
               "superop": "superop", "density_matrix_cond": "density_matrix"}  # fmt: skip
    circuits = [saving(save, measure=measure and save not in ("unitary", "superop"))] * 2
    assert_same(circuits, noise=NOISES[noise](), method=methods.get(save, "automatic"), shots=12,
                seed_simulator=3, sizes={"max_job_size": 1, "max_shot_size": 5})  # fmt: skip


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("save", ["statevector", "statevector_shots", "probabilities"])
def test_what_only_some_slices_save_is_put_together(save, seed):
    circuit = QuantumCircuit(2, 1)
    circuit.h(0)
    circuit.measure(0, 0)
    with circuit.if_test((circuit.clbits[0], 1)):
        SAVES[save](circuit)
    assert_same([circuit], shots=8, seed_simulator=seed, memory=True, sizes={"max_shot_size": 1})


def test_times_are_those_of_all_tasks_together():
    outputs = [
        {"metadata": {"time_taken_execute": 1.0, "mpi_rank": 0}},
        {"metadata": {"time_taken_execute": 2.0, "time_taken_parameter_binding": 0.5}},
    ]
    assert merge_outputs(outputs, [])["metadata"] == {
        "time_taken_execute": 3.0, "time_taken_parameter_binding": 0.5, "mpi_rank": 0,
    }  # fmt: skip


def test_a_channel_in_one_circuit_changes_the_others_as_it_does_in_one_run():
    noisy, ideal = bell("noisy"), QuantumCircuit(3)
    noisy.append(depolarizing_error(0.2, 1).to_instruction(), [0])
    noisy.measure(0, 0)
    ideal.rx(0.3, [0, 1, 2])
    ideal.measure_all()
    for circuits in ([noisy, ideal], [ideal, noisy]):
        assert_same(circuits, shots=100, seed_simulator=1, memory=True, sizes={"max_job_size": 1})


def test_circuits_that_influence_each_other_in_one_run_stay_together():
    pure, mixed = saving("statevector", measure=True), bell()
    for circuits in ([pure, mixed, mixed], [mixed, pure]):
        assert_same(circuits, noise=kraus_noise(), shots=40, seed_simulator=0, memory=True,
                    sizes={"max_job_size": 1, "max_shot_size": 9})  # fmt: skip


def test_parameterised_global_phases_come_out_as_in_plain_aer():
    phase, angle = Parameter("phase"), Parameter("angle")
    circuit = QuantumCircuit(1, global_phase=phase)
    circuit.rx(angle, 0)
    circuit.save_statevector()
    binds = [{phase: [0.3, 0.6, 0.9, 1.2], angle: [1.0, 2.0, 3.0, 4.0]}]
    assert_same([circuit], binds, seed_simulator=1, sizes={"max_job_size": 1})


@pytest.mark.parametrize("policy", ["aer", "independent"])
def test_slices_that_fail_give_what_plain_aer_says(policy):
    circuits = [bell(), conditional("all"), mid_circuit()]
    options = {"method": "stabilizer", "shots": 20, "seed_simulator": 1}
    expected = plain(method="stabilizer").run(circuits, shots=20, seed_simulator=1).result()
    found = in_pieces(circuits, seed_policy=policy, **options)
    assert (found.status, [r.status for r in found.results]) == (
        expected.status, [r.status for r in expected.results])  # fmt: skip
    assert found.success is expected.success is False


def test_each_result_has_a_header_of_its_own():
    found = in_pieces([parameterised()], [{ANGLE: [0.1, 0.2]}], seed_simulator=1)
    found.results[0].header["creg_sizes"].append(["mine", 1])
    assert found.results[1].header["creg_sizes"] == [["c", 2]]


def test_parameters_with_different_numbers_of_values_are_refused_in_a_sentence():
    one, two = Parameter("one"), Parameter("two")
    circuit = QuantumCircuit(1)
    circuit.u(one, two, 0.0, 0)
    circuit.measure_all()
    with pytest.raises(AerError, match="different numbers of values: 2, 3"):
        in_pieces([circuit], [{one: [0.1, 0.2, 0.3], two: [0.1, 0.2]}])


def test_noise_that_spreads_to_other_qubits_keeps_all_qubits():
    noise = NoiseModel()
    noise.add_quantum_error(depolarizing_error(0.5, 1), ["h"], [0])
    circuit = QuantumCircuit(5, 1)
    circuit.h(0)
    circuit.unitary(random_unitary(2, seed=1), 4)
    circuit.measure(0, 0)
    assert_same([circuit], noise=noise, shots=40, seed_simulator=1, memory=True,
                sizes={"max_shot_size": 10})  # fmt: skip


def test_a_failing_circuit_fails_alone_and_as_in_plain_aer():
    huge = QuantumCircuit(60)
    huge.h(range(60))
    huge.t(range(60))
    huge.measure_all()
    options = {"method": "statevector", "shots": 10, "seed_simulator": 1, "max_memory_mb": 100}
    for circuits in ([bell(), huge, bell()], [huge, huge]):
        assert_same(circuits, sizes={"max_job_size": 1}, **options)


def test_a_circuit_that_cannot_be_loaded_fails_the_run_as_in_plain_aer():
    twice = bell()
    twice.save_statevector(label="same")
    twice.save_statevector(label="same")
    expected = plain().run([bell(), twice], seed_simulator=1).result()
    found = in_pieces([bell(), twice], seed_simulator=1, max_job_size=1)
    assert (found.status, found.results) == (expected.status, expected.results)
    assert "Duplicate key" in found.status


@pytest.mark.parametrize("kind", ["kraus untouched by noise", "raw parameterizations"])
def test_what_cannot_be_split_is_run_whole(kind):
    if kind == "raw parameterizations":
        options = {"parameterizations": [[((0, 0), [0.1, 0.2, 0.3])]], "shots": 10}
        circuit = QuantumCircuit(1)
        circuit.rx(0.0, 0)
        circuit.measure_all()
        assert_same([circuit], seed_simulator=1, memory=True, sizes={"max_job_size": 1}, **options)
    else:
        circuit = QuantumCircuit(2)
        circuit.y([0, 1])  # a gate that the noise leaves alone, so Aer samples after all
        circuit.measure_all()
        assert_same([circuit], noise=kraus_noise(), method="statevector", shots=30,
                    seed_simulator=1, memory=True, sizes={"max_shot_size": 10})  # fmt: skip


def test_a_slice_that_comes_after_the_whole_that_replaced_it_changes_nothing():
    backend = AerSimulator(method="statevector")
    options = {"shots": 30, "seed_simulator": 1, "memory": True}
    run = compiled_run(
        backend, [assemble(backend, [mid_circuit()], None, options)], RunOptions(None, 10)
    )
    collector = Collector(run)
    slices, whole = run.planner(2).plan().tasks, run.planner(2).whole(0)
    for task in (slices[0], whole, slices[1], slices[0]):
        collector.add(task, simulate(run.payload(task), run.shared))
    expected = plain(method="statevector").run(mid_circuit(), **options).result()
    assert differences(collector.results("job", 0.0)[0], expected) == []


def test_memory_is_checked_for_all_batches_of_a_run():
    backend = AerSimulator(method="statevector")
    batches = [assemble(backend, [volume(n)], None, {"shots": 1}) for n in (15, 2)]

    def check(available):
        run = compiled_run(backend, batches)
        run.check_memory(run.planner(2, available).plan().tasks, available)

    check(2**19 + 1000)
    with pytest.raises(InsufficientMemoryError, match="15 qubits, statevector"):
        check(2**19)


def test_unseeded_runs_report_a_seed_that_repeats_them():
    first = in_pieces([mid_circuit()], shots=50, memory=True)
    seed = first.results[0].seed_simulator
    again = in_pieces([mid_circuit()], shots=50, memory=True, seed_simulator=seed, max_shot_size=7)
    assert differences(again, first) == []


def test_ten_shots_in_tasks_of_eight_are_ten_shots():
    result = in_pieces([mid_circuit()], shots=10, max_shot_size=8)
    assert sum(result.get_counts().values()) == result.results[0].shots == 10


def test_independent_seeds_do_not_repeat_shots_between_circuits():
    circuit = mid_circuit("all")
    options = {"shots": 4000, "memory": True, "seed_simulator": 7, "noise": pauli_noise(),
               "method": "statevector"}  # fmt: skip
    overlap = in_pieces([circuit, circuit], **options)
    assert overlap.get_memory(0)[2113:] == overlap.get_memory(1)[: 4000 - 2113]
    free = in_pieces([circuit, circuit], seed_policy="independent", **options)
    assert free.get_memory(0)[2113:] != free.get_memory(1)[: 4000 - 2113]
    assert differences(free, in_pieces([circuit, circuit], seed_policy="independent", slots=9,
                                       **options)) == []  # fmt: skip
