"""Whatever was kept of a run, in whatever cut: with the rest it is the Result of plain Aer."""

import time
from dataclasses import replace
from itertools import chain, pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from qiskit_aer import AerError

from aer_dask import AerSimulator
from aer_dask.compile import codec
from aer_dask.runs.collect import Collector
from aer_dask.runs.kept import Kept, KeptResult, _apart
from aer_dask.runs.options import RunOptions
from aer_dask.runs.plan import Piece
from aer_dask.runs.run import Run
from aer_dask.store import format as form
from aer_dask.testing import differences
from aer_dask.worker.execute import simulate
from tests.circuits import (
    ANGLE,
    NOISES,
    bell,
    kraus_noise,
    mid_circuit,
    parameterised,
    pauli_noise,
    plain,
    random_circuits,
    saving,
    volume,
)
from tests.compiling import assemble


class Runs:
    """The same run, made anew as often as it is asked for."""

    def __init__(self, circuits, binds=None, *, noise=None, method="automatic", sizes=None,
                 **options):  # fmt: skip
        self.backend = AerSimulator(noise_model=noise, method=method)
        self.arguments = circuits, binds, options
        self.sizes = sizes or {}

    def new(self, **sizes):
        """A run with all its circuits compiled, of tasks of other sizes."""
        batch = assemble(self.backend, *self.arguments)
        run = Run(self.backend, [batch], RunOptions.of(None, {**self.sizes, **sizes}))
        run.compile()
        return run

    def pieces(self, slots, **sizes):
        """What the tasks of a run give that is cut for so many slots, as a store gives it back."""
        run, found = self.new(**sizes), []
        for task in run.planner(slots).plan().tasks:
            outputs = codec.decode_all(simulate(run.payload(task), run.shared))
            found.append([
                (Piece(p.start, p.stop, p.first_shot, p.shots, 0, part=p.part, parts=p.parts),
                 form.decode(b"".join(form.encode(output))))
                for p, output in zip(task.pieces, outputs, strict=True)
            ])  # fmt: skip
        return found

    def finished(self, found, slots, **sizes):
        """The Result with what was found, the tasks that were run for it, and what was kept."""
        run = self.new(**sizes)
        kept = Kept(run.planner(1), found)
        run.missing = kept.missing
        collector, again = Collector(run), []
        collector.take(kept)
        tasks = list(chain.from_iterable(run.tasks(run.planner(slots))))
        for task in tasks:
            again += collector.add(task, simulate(run.payload(task), run.shared))
        for index in dict.fromkeys(again):
            whole = run.planner(1).whole(index)
            collector.add(whole, simulate(run.payload(whole), run.shared))
        return collector.results("job", 0.0)[0], tasks, kept

    def expected(self):
        """The Result of an undisturbed run, and of plain Aer where that has the same bits."""
        if self.sizes:
            return self.finished([], 1)[0]
        circuits, binds, options = self.arguments
        settings = {
            "noise": self.backend.options.noise_model,
            "method": self.backend.options.method,
        }
        return plain(settings["noise"], method=settings["method"]).run(
            circuits, binds, **options).result()  # fmt: skip


def check(runs, draw):
    """Any tasks of two cuts are kept, and another cut is made of the rest."""
    of_tasks = {"max_job_size": st.none() | st.integers(1, 4)}
    if "seed_policy" not in runs.sizes:
        of_tasks["max_shot_size"] = st.none() | st.integers(3, 40)
    sizes = st.fixed_dictionaries(of_tasks)
    tasks = runs.pieces(draw(st.integers(1, 4)), **draw(sizes))
    tasks += runs.pieces(draw(st.integers(1, 4)), **draw(sizes))
    found = list(chain.from_iterable(task for task in tasks if draw(st.booleans())))
    result, sent, kept = runs.finished(found, draw(st.integers(1, 5)), **draw(sizes))
    assert differences(result, runs.expected()) == []
    covered = set(chain.from_iterable(task.experiments() for task in sent))
    assert covered.isdisjoint(kept.complete), "what is there is not run again"
    whole = set(range(len(runs.new().experiments)))
    assert covered | set(kept.complete) == whole


@settings(max_examples=60, deadline=None)
@given(
    circuits=st.lists(random_circuits(), min_size=1, max_size=4),
    noise=st.sampled_from(list(NOISES)),
    method=st.sampled_from(["automatic", "statevector", "density_matrix", "matrix_product_state"]),
    shots=st.integers(0, 40),
    seed=st.integers(0, 2**62),
    data=st.data(),
)
def test_any_tasks_of_any_circuits(circuits, noise, method, shots, seed, data):
    runs = Runs(circuits, noise=NOISES[noise](), method=method, shots=shots, seed_simulator=seed,
                memory=True)  # fmt: skip
    check(runs, data.draw)


@settings(max_examples=15, deadline=None)
@given(rows=st.lists(st.integers(1, 5), min_size=1, max_size=3), at_run_time=st.booleans(),
       noisy=st.booleans(), data=st.data())  # fmt: skip
def test_any_tasks_of_rows_of_parameters(rows, at_run_time, noisy, data):
    circuits = [parameterised() for _ in rows] + [bell()]
    binds = [{ANGLE: [0.3 * i for i in range(n)]} for n in rows] + [{}]
    runs = Runs(circuits, binds, noise=pauli_noise() if noisy else None, method="statevector",
                shots=20, seed_simulator=5, memory=True,
                runtime_parameter_bind_enable=at_run_time)  # fmt: skip
    check(runs, data.draw)


@settings(max_examples=15, deadline=None)
@given(sizes=st.sampled_from([{"seed_policy": "independent"},
                              {"seed_policy": "independent", "max_shot_size": 7},
                              {"noise_sampling": "shared"}, {"noise_sampling": "auto"}]),
       data=st.data())  # fmt: skip
def test_any_tasks_of_other_ways_to_draw_shots(sizes, data):
    circuits = [mid_circuit(), bell(), volume(4)]
    runs = Runs(circuits, noise=pauli_noise(), method="statevector", sizes=sizes, shots=50,
                seed_simulator=5, memory=True)  # fmt: skip
    check(runs, data.draw)


@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_any_slices_of_shots_and_any_circuits_between(data):
    """Two clients with other sizes have kept this and that of shots that are cut anywhere."""
    circuits = [mid_circuit("all"), bell(), bell(), mid_circuit(), bell()]
    runs = Runs(circuits, noise=NOISES["readout"](), method="statevector", shots=60,
                seed_simulator=5, memory=True)  # fmt: skip
    found = []
    for _ in range(2):
        sizes = {"max_job_size": data.draw(st.integers(1, 3)),
                 "max_shot_size": data.draw(st.integers(7, 40))}  # fmt: skip
        found += [task for task in runs.pieces(1, **sizes) if data.draw(st.booleans())]
    found = data.draw(st.permutations(found))
    result, sent, kept = runs.finished(chain.from_iterable(found), 2, max_shot_size=25)
    assert differences(result, runs.expected()) == []
    assert set(chain.from_iterable(t.experiments() for t in sent)).isdisjoint(kept.complete)
    simulated = sum(
        piece.shots * (piece.stop - piece.start) for task in sent for piece in task.pieces
    )
    assert simulated + kept.shots == 5 * 60


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 50), st.integers(1, 20))))
def test_slices_that_are_chosen_do_not_overlap_and_leave_out_none_that_would_fit(slices):
    found = [KeptResult(Piece(0, 1, first, shots, 0), {}, {}) for first, shots in slices]
    chosen = [(k.piece.first_shot, k.piece.first_shot + k.piece.shots) for k in _apart(found)]
    assert chosen == sorted(chosen)
    assert all(end <= first for (_, end), (first, _) in pairwise(chosen))
    for first, shots in slices:
        assert any(first < end and start < first + shots for start, end in chosen)


def test_choosing_among_many_slices_takes_no_longer_than_it_must():
    found = [KeptResult(Piece(0, 1, 3 * i, 3, 0), {}, {}) for i in range(30_000)]
    began = time.process_time()
    assert len(_apart(found)) == len(found)
    assert time.process_time() - began < 20, "each with each other would take 100 s"


def test_blocks_of_another_size_have_other_seeds_and_are_not_taken():
    arguments = {"noise": pauli_noise(), "method": "statevector", "shots": 40, "seed_simulator": 5,
                 "memory": True}  # fmt: skip
    of_seven, of_ten = (
        Runs([mid_circuit()], **arguments,
             sizes={"seed_policy": "independent", "max_shot_size": size})
        for size in (7, 10)
    )  # fmt: skip
    found = list(chain.from_iterable(of_ten.pieces(1)))
    result, _, kept = of_seven.finished(found, 1)
    assert (kept.results, differences(result, of_seven.expected())) == ({}, [])
    assert of_ten.finished(found[1:], 1)[2].shots == 30


def test_circuits_that_cannot_be_separated_are_kept_together_or_not_at_all():
    circuits = [saving("statevector", measure=True), bell(), bell()]
    runs = Runs(circuits, noise=kraus_noise(), shots=40, seed_simulator=0, memory=True)
    (((piece, output),),) = runs.pieces(2)
    assert (piece.start, piece.stop) == (0, 3)
    output["results"][1]["success"] = False
    result, tasks, kept = runs.finished([(piece, output)], 2)
    assert (kept.results, len(tasks)) == ({}, 1)
    assert differences(result, runs.expected()) == []


def test_slices_that_were_split_wrongly_are_not_taken():
    from qiskit import QuantumCircuit

    circuit = QuantumCircuit(2)
    circuit.y([0, 1])  # a gate that the noise leaves alone, so Aer samples after all
    circuit.measure_all()
    runs = Runs([circuit], noise=kraus_noise(), method="statevector", shots=30, seed_simulator=1,
                memory=True)  # fmt: skip
    slices = list(chain.from_iterable(runs.pieces(1, max_shot_size=10)))
    assert len(slices) == 3
    result, tasks, kept = runs.finished(slices[:2], 1, max_shot_size=10)
    assert (kept.results, len(tasks)) == ({}, 3)
    assert differences(result, runs.expected()) == []


def test_what_another_task_has_given_is_refused():
    run = Runs([mid_circuit()], shots=40, seed_simulator=1, method="statevector").new(
        max_shot_size=30)  # fmt: skip
    thirty, ten = run.planner(1).plan().tasks
    with pytest.raises(AerError, match=r"of 30 shots has given \[10\]"):
        Collector(run).add(thirty, simulate(run.payload(ten), run.shared))


def test_what_is_kept_is_counted():
    runs = Runs([mid_circuit(), bell()], noise=pauli_noise(), method="statevector", shots=40,
                seed_simulator=1)  # fmt: skip
    tasks = runs.pieces(1, max_shot_size=10, max_job_size=1)
    assert len(tasks) == 8
    _, sent, kept = runs.finished([*tasks[0], *tasks[2], *tasks[2], *chain(*tasks[4:])], 1,
                                  max_shot_size=10)  # fmt: skip
    assert (kept.complete, kept.pieces, kept.shots) == ([1], 6, 60)
    assert [(p.first_shot, p.shots) for task in sent for p in task.pieces] == [(10, 10), (30, 10)]


@pytest.mark.parametrize("change", [
    {"start": -1}, {"stop": 3}, {"start": 1, "stop": 1}, {"shots": 41}, {"first_shot": 5},
    {"first_shot": -1}, {"first_shot": -10, "shots": 50}, {"parts": 2}, {"shots": 0},
], ids=str)  # fmt: skip
def test_pieces_that_are_none_of_the_run_are_not_taken(change):
    runs = Runs([mid_circuit(), bell()], shots=40, seed_simulator=1, method="statevector")
    ((piece, output),) = runs.pieces(1, max_job_size=1)[0]
    wrong = replace(piece, **change)
    assert Kept(runs.new().planner(1), [(piece, output)]).complete == [0]
    assert Kept(runs.new().planner(1), [(wrong, output)]).results == {}


@pytest.mark.parametrize("output", [
    None, [], {}, {"results": None}, {"results": []}, {"results": [None]}, {"results": [{}]},
    {"results": [{"success": True, "shots": 40}]}, {"metadata": 3, "results": [{}]},
], ids=str)  # fmt: skip
def test_outputs_that_are_none_are_not_taken(output):
    runs = Runs([mid_circuit()], shots=40, seed_simulator=1)
    assert Kept(runs.new().planner(1), [(Piece(0, 1, 0, 40, 0), output)]).results == {}
