"""The chaos run's schedule, and how it reads from what clients say what a fault has cost."""

from collections import Counter
from pathlib import Path
from types import SimpleNamespace

import pytest

from tests.chaos import __main__ as chaos
from tests.chaos.events import EVENTS
from tests.chaos.load import TASKS
from tests.chaos.recovery import Fault, count, died, goes_on
from tests.chaos.schedule import KINDS, schedule

ROOT = Path(__file__).resolve().parents[2]
(KILLED,) = (kind for kind in KINDS if kind.name == "client killed")


@pytest.mark.parametrize("seed", range(20))
def test_a_seed_decides_the_schedule_in_which_every_kind_occurs(seed):
    planned = schedule(seed, 10)
    assert planned == schedule(seed, 10)
    assert {each.kind for each in planned} == set(KINDS)
    assert planned != schedule(seed + 1, 10)
    assert all(0 <= each.at < 600 for each in planned)


def test_an_hour_has_every_kind_six_times():
    counts = Counter(each.kind for each in schedule(1, 60))
    assert counts == dict.fromkeys(KINDS, 6)


def test_every_kind_is_done_by_a_function_and_has_time_for_it():
    assert {kind.name for kind in KINDS} == set(EVENTS)
    assert all(kind.lasts < kind.bound <= 600 for kind in KINDS)


def lines(*said):
    """What a process has said, with the seconds and the facts of each line."""
    return [
        {"what": what, "process": "a", "number": number, "at": at, **facts}
        for number, (at, what, facts) in enumerate(said)
    ]


def test_a_client_goes_on_with_the_first_output_of_a_task_that_began_after_the_fault():
    said = lines(
        (0, "begun", {}),
        (11, "ran", {"task": 0, "began": 9}),  # was running when the fault came
        (14, "ran", {"task": 1, "began": 12}),
    )
    assert goes_on(said, 10) == 14
    assert goes_on(said, 13) is None


def test_lost_tasks_count_for_the_fault_that_was_there_until_they_begin_again():
    said = lines(
        (0, "begun", {}),
        (5, "lost", {"task": 3, "why": "before", "begun": True}),
        (11, "lost", {"task": 0, "why": "gone", "begun": True}),
        (11, "lost", {"task": 1, "why": "gone", "begun": False}),
        (20, "ran", {"task": 0, "began": 17}),
        (21, "lost", {"task": 0, "why": "after", "begun": True}),
        (22, "ended", {}),
    )
    fault = Fault(KINDS[0], began=10, ended=21)
    count(fault, said)
    assert (fault.repeated, fault.resent, fault.again) == (1, 1, 7)
    assert fault.why == {"gone": 2}


def test_what_a_killed_client_had_done_and_what_its_store_has_kept_of_it_are_counted():
    said = lines(
        (0, "begun", {}),
        (7, "ran", {"task": 0, "began": 6}),
        (9, "ran", {"task": 1, "began": 8}),  # might not be kept yet
    )
    next_one = lines(
        (12, "begun", {}),
        (15, "ended", {"tasks": 25, "stored": 2 / TASKS}),
        (16, "begun", {}),
        (19, "ended", {"tasks": 20, "stored": 0}),
    )
    said += [dict(line, process="b") for line in next_one]
    fault = Fault(KILLED, began=10, ended=20)
    count(fault, said)
    assert (fault.done, fault.kept) == (1, 1)


def test_a_client_that_starts_again_though_no_fault_has_ended_it_has_died():
    said = lines((0, "started", {}), (13, "started", {}), (300, "started", {}))
    killed = Fault(KILLED, began=10, ended=20, hit="outside")
    (sentence,) = died("outside", said, [killed])
    assert "The client outside ended by itself" in sentence
    assert len(died("inside", said, [killed])) == 2
    (lost,) = (kind for kind in KINDS if kind.name == "node lost")
    assert len(died("inside", said, [Fault(lost, began=1, ended=250)])) == 0
    assert len(died("outside", said, [Fault(lost, began=1, ended=250)])) == 2


@pytest.mark.parametrize(
    ("said", "changed", "sentence"),
    [
        ({}, {}, ""),
        ({"differences": ["counts of circuit 3"]}, {}, "Bits differ: inside, noisy: counts of"),
        (
            {"what": "failed", "why": "It was lost."},
            {},
            "A job of the client inside failed: It was",
        ),
        ({"what": "begun"}, {}, "No job of the client inside has ended."),
        ({}, {"done": 5, "kept": 4}, "After child killed 4 of 5 tasks were in the store."),
        ({}, {"trouble": ["No client went on."]}, "No client went on."),
        ({"what": "started", "at": 90}, {}, "The client inside ended by itself"),
    ],
)
def test_a_run_whose_result_is_not_what_it_must_be_says_so_and_has_the_status_1(
    tmp_path, monkeypatch, capsys, said, changed, sentence
):
    monkeypatch.setattr(chaos, "BUILD", tmp_path)
    ended = {"program": "noisy", "differences": []}
    clients = []
    for name, last in {"outside": {}, "inside": said}.items():
        heard = lines((0, "started", {}), (1, "begun", {}), (15, "ended", {**ended, **last}))
        heard = [{**line, "client": name} for line in heard]
        clients.append(SimpleNamespace(name=name, lines=heard.copy))
    fault = Fault(KINDS[0], began=10, ended=20, goes_on=1.0, whole=2.0)
    vars(fault).update(changed)
    assert chaos.conclude([fault], clients, 0.0) == bool(sentence)
    assert sentence in capsys.readouterr().out


def test_the_page_on_reliability_has_every_kind():
    page = (ROOT / "docs" / "reliability.md").read_text()
    assert [str(kind) for kind in KINDS if f"| {kind} |" not in page] == []
