"""Every shot of every circuit is in exactly one task, with Aer's own seed."""

import heapq
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aer_dask.compile.duration import Duration
from aer_dask.compile.memory import Memory
from aer_dask.compile.prediction import Prediction
from aer_dask.compile.seeds import STRIDE
from aer_dask.runs.experiments import Experiment
from aer_dask.runs.options import RunOptions
from aer_dask.runs.plan import LONGEST_TASK, SCHEDULING, Piece, Plan, Planner, Task
from aer_dask.trajectories.prediction import Forecast

LIGHT = Prediction(3, "statevector", Memory(), Duration(1e-3, 0.0), False, False)
HEAVY = Prediction(3, "statevector", Memory(), Duration(0.0, 1e-2), True, False)


def seconds(prediction, shots):
    return prediction.duration.seconds(shots)


@st.composite
def planners(draw):
    predictions = draw(st.lists(st.sampled_from([LIGHT, HEAVY]), min_size=1, max_size=12))
    shots = draw(st.integers(1, 500))
    split = draw(st.integers(0, len(predictions)))  # where a second batch begins
    experiments = [
        Experiment(int(i >= split), i, 0, i if i < split else i - split, shots, prediction, seed=7)
        for i, prediction in enumerate(predictions)
    ]
    size = st.none() | st.integers(1, 5)
    options = RunOptions(draw(size), draw(st.none() | st.integers(1, 999)), draw(st.booleans()))
    return Planner(experiments, draw(st.integers(1, 9)), seconds, options)


@settings(deadline=None)
@given(planners())
def test_every_shot_is_planned_once_and_in_order(planner):
    pieces = [piece for task in planner.plan().tasks for piece in task.pieces]
    seen = [(index, piece.first_shot, piece.shots)
            for piece in pieces for index in range(piece.start, piece.stop)]  # fmt: skip
    for index, experiment in enumerate(planner.experiments):
        first = 0
        for _, start, shots in (entry for entry in seen if entry[0] == index):
            assert start == first
            first += shots
        assert first == experiment.shots
    assert seen == sorted(seen)


@settings(deadline=None)
@given(planners())
def test_sizes_given_by_the_user_are_kept(planner):
    for task in planner.plan().tasks:
        if planner.options.max_job_size:
            assert len(task.experiments()) <= planner.options.max_job_size
        for piece in task.pieces:
            whole = planner.experiments[piece.start].shots
            if planner.options.max_shot_size and piece.shots != whole:
                assert piece.shots <= planner.options.max_shot_size


@settings(deadline=None)
@given(planners())
def test_seeds_are_those_of_an_unsplit_run(planner):
    for task in planner.plan().tasks:
        for piece in task.pieces:
            experiment = planner.experiments[piece.start]
            if not planner.options.independent:
                assert piece.seed == 7 + STRIDE * experiment.ordinal + piece.first_shot
            assert len({planner.experiments[i].batch for i in range(piece.start, piece.stop)}) == 1


def plan(prediction, count, shots, slots):
    experiments = [Experiment(0, i, 0, i, shots, prediction) for i in range(count)]
    return Planner(experiments, slots, seconds).plan()


def test_a_job_too_small_to_gain_is_one_task():
    assert len(plan(LIGHT, 10, 1, slots=8).tasks) == 1


def test_work_is_cut_into_a_few_tasks_for_each_slot():
    assert 3 * 2 <= len(plan(HEAVY, 1, 2000, slots=2).tasks) <= 5 * 2
    assert 3 * 2 <= len(plan(LIGHT, 4000, 1, slots=2).tasks) <= 6 * 2


@settings(deadline=None)
@given(shots=st.integers(2, 5000), slots=st.integers(1, 9))
def test_shots_that_are_cut_are_a_task_a_piece(shots, slots):
    assert all(len(task.pieces) == 1 for task in plan(HEAVY, 1, shots, slots).tasks)


@pytest.mark.parametrize(("each", "parts"), [(1e-6, 1), (1e-2, 8)])
def test_shots_that_share_trajectories_are_cut_only_where_that_gains(each, parts):
    work = Prediction(3, "statevector", Memory(), Duration(0.0, each), False, False)
    forecast = Forecast(3, 9, 0.1, 50.0, 0.5, 0.0, 3, True, each * 1000, 128)
    experiments = [Experiment(0, 0, 0, 0, 1000, work, seed=7, trajectories=forecast)]
    tasks = Planner(experiments, 2, seconds).plan().tasks
    assert [(p.part, p.parts) for t in tasks for p in t.pieces] == [
        (i, parts) for i in range(parts)
    ]


@pytest.mark.parametrize(
    ("count", "each", "slots"),
    [(10_000, 10.0, 1000), (1000, 0.7, 60), (5000, 1.0, 1000), (700, 3.0, 9)],
)
def test_workers_end_at_about_the_same_time(count, each, slots):
    prediction = Prediction(3, "statevector", Memory(), Duration(each, 0.0), False, False)
    experiments = [Experiment(0, i, 0, i, 1, prediction) for i in range(count)]
    free = [0.0] * slots
    for task in Planner(experiments, slots, seconds).plan().tasks:
        heapq.heappush(free, heapq.heappop(free) + len(task.experiments()) * each)
    whole_rounds = math.ceil(count / slots) * each  # no cut of theirs could take less
    assert max(free) <= 1.1 * whole_rounds


def in_portions(planner, portion):
    """The tasks of a planner that is told of so many experiments at a time."""
    count, tasks = len(planner.experiments), []
    for start in range(0, count, portion):
        stop = min(start + portion, count)
        tasks += planner.tasks(range(start, stop), stop / count)
        if len(tasks) < planner.slots:
            tasks += planner.rest()
    return [*tasks, *planner.rest()]


@pytest.mark.parametrize("slots", [1, 2, 5])
@pytest.mark.parametrize("each", [2e-3, 3e-2])
def test_workers_end_at_about_the_same_time_when_circuits_come_in_portions(slots, each):
    prediction = Prediction(3, "statevector", Memory(), Duration(each, 0.0), False, False)
    experiments = [Experiment(0, i, 0, i, 1, prediction) for i in range(200)]
    tasks = in_portions(Planner(experiments, slots, seconds), 20)
    free = [0.0] * slots
    for task in tasks:
        heapq.heappush(free, heapq.heappop(free) + len(task.experiments()) * each)
    assert sorted(i for task in tasks for i in task.experiments()) == list(range(200))
    assert max(free) <= 1.15 * 200 * each / slots
    assert len(tasks) <= 10 + 8 * slots


def test_rows_that_share_are_cut_so_that_every_slot_has_some():
    prediction = Prediction(3, "statevector", Memory(), Duration(2e-3, 0.0), False, False, 100)
    experiments = [Experiment(0, 0, i, i, 1, prediction, shared=100) for i in range(192)]
    tasks = Planner(experiments, 2, seconds).plan().tasks
    assert [len(task.experiments()) for task in tasks] == [96, 96]


def test_no_task_is_so_long_that_to_repeat_it_costs_too_much():
    prediction = Prediction(3, "statevector", Memory(), Duration(1.0, 0.0), False, False, 100)
    experiments = [Experiment(0, 0, i, i, 1, prediction, shared=100) for i in range(2000)]
    tasks = Planner(experiments, 2, seconds).plan().tasks
    assert max(len(task.experiments()) for task in tasks) <= LONGEST_TASK + 1


def test_tasks_for_many_workers_are_not_so_short_that_the_scheduler_cannot_follow():
    second = Prediction(3, "statevector", Memory(), Duration(1.0, 0.0), False, False)
    *tasks, _ = plan(second, 100_000, 1, slots=1000).tasks
    assert min(task.seconds for task in tasks) >= 1000 * SCHEDULING


def test_making_a_circuit_counts_once_for_all_its_rows():
    prediction = Prediction(3, "statevector", Memory(), Duration(1e-3, 0.0, 0.5), False, False)
    rows = [Experiment(0, 0, i, i, 1, prediction) for i in range(10)]
    (task,) = Planner(rows, 1, seconds, RunOptions(max_job_size=10)).plan().tasks
    assert task.seconds == pytest.approx(0.51)


@pytest.mark.parametrize("batches", [1, 1000])
def test_the_work_of_planning_grows_with_the_number_of_circuits_and_no_faster(batches):
    def calls(count):
        asked = 0

        def count_seconds(profile, shots):
            nonlocal asked
            asked += 1
            return seconds(profile, shots)

        experiments = [Experiment(i * batches // count, i, 0, i, 1, LIGHT) for i in range(count)]
        Planner(experiments, 2, count_seconds).plan()
        return asked

    assert calls(8000) == pytest.approx(4 * calls(2000), rel=0.02)


def test_seeds_wrap_as_in_cpp_at_the_end_of_64_bits():
    experiments = [Experiment(0, i, 0, i, 1, LIGHT, seed=2**63 - 1) for i in range(2)]
    tasks = Planner(experiments, 1, seconds, RunOptions(max_job_size=1)).plan().tasks
    assert tasks[1].pieces[0].seed == -(2**63) + STRIDE - 1


def test_independent_seeds_do_not_depend_on_the_cluster():
    prediction = Prediction(3, "stabilizer", Memory(), Duration(0.0, 1e-2), False, True)
    experiments = [Experiment(0, 0, 0, 0, 1000, prediction, seed=5)]
    options = RunOptions(independent=True)
    pieces = [
        [p for t in Planner(experiments, slots, seconds, options).plan().tasks
         for p in t.pieces]
        for slots in (1, 2, 50)
    ]  # fmt: skip
    assert pieces[0] == pieces[1] == pieces[2]
    assert len({piece.seed for piece in pieces[0]}) == len(pieces[0]) > 1


def test_a_plan_reads_as_a_table():
    experiments = [Experiment(0, i, 0, i, 40, HEAVY if i == 3 else LIGHT, seed=5) for i in range(4)]
    options = RunOptions(max_job_size=2, max_shot_size=25)
    made = Planner(experiments, 2, seconds, options).plan()
    head, columns, *rows = str(made.with_bytes([b"12345"] * 4, b"1" * 99)).splitlines()
    assert head == (
        "4 circuits (4 statevector), 160 shots in all, in 4 tasks: 20 bytes, "
        "and 99 bytes once per worker"
    )
    assert columns.split() == ["task", "circuits", "shots", "seconds", "bytes"]
    assert [row.split() for row in rows] == [
        ["0", "0-1", "80", "0.002", "5"],
        ["1", "2", "40", "0.001", "5"],
        ["2", "3", "25", "0.25", "5"],
        ["3", "3", "15", "0.15", "5"],
    ]


def test_a_task_of_a_part_of_shared_shots_says_how_many_they_are():
    piece = Piece(0, 2, 0, 1000, 7, part=1, parts=4)
    experiments = [Experiment(0, i, 0, i, 1000, LIGHT, seed=7) for i in range(2)]
    *_, row = str(Plan((Task((piece,), 1.0),), tuple(experiments))).splitlines()
    assert row.split() == ["0", "0-1", "500", "1", "0"]
