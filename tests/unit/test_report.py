"""The numbers of a report, its looks, and its picture."""

import pickle
import re
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from types import SimpleNamespace

import pytest
from distributed.core import Status
from distributed.scheduler import TaskGroup, TaskPrefix, TaskState, WorkerState

from aer_dask import AerSimulator
from aer_dask.errors import OutOfMemoryError, WorkerLostError
from aer_dask.executors import pool as pool_module
from aer_dask.executors.base import LostWorker, Outlook
from aer_dask.executors.shared_store import LOST, SharedStore, begun
from aer_dask.jobs.driver import Driver
from aer_dask.jobs.errors import JobTimeoutError
from aer_dask.jobs.plot import plot
from aer_dask.jobs.record import Loss, Ran
from aer_dask.jobs.report import JobReport, Repeat, TaskRun, busy, lost_with_workers, report
from aer_dask.worker.trace import Trace, split, traced
from tests.circuits import bell, volume


class Recording(ThreadPoolExecutor):
    """Keeps the futures of what it was given."""

    def __init__(self, *arguments, **options):
        super().__init__(*arguments, **options)
        self.futures = []

    def submit(self, *arguments, **options):
        self.futures.append(super().submit(*arguments, **options))
        return self.futures[-1]


def made(**numbers):
    """A report of two workers, one of which lost a run and the other a worker's process."""
    return JobReport(**{
        "status": "done", "waits_for": "", "circuits": 3, "complete": 3, "shots": 300, "tasks": 3,
        "done": 3, "workers": ("a", "b"), "seconds": 5.0, "worker_seconds": 6.0, "busy": 0.75,
        "bytes_sent": 1000, "shared_bytes": 10, "bytes_received": 2000,
        "repeats": (Repeat(1, "It <died>.", "a", 102.0),
                    Repeat(2, "The worker was lost.", "b", 103.0)),
        "resent": (),
        "runs": (TaskRun(0, "b", 100.0, 101.0), TaskRun(1, "a", 100.0, 102.0, lost=True),
                 TaskRun(1, "a", 102.5, 104.0, repeat=True)),
        **numbers,
    })  # fmt: skip


def test_who_ran_a_task_stands_behind_its_output():
    data = traced(lambda: bytearray(b"output"), "wörker", 2, ahead=1e6)
    output, trace = split(data)
    assert bytes(output) == b"output"
    assert trace[:2] == ("wörker", 2)
    assert 0 <= trace.ended - trace.began < 10
    assert trace.began - split(traced(bytearray, "w"))[1].began == pytest.approx(1e6, abs=10)
    assert len(data) - len(output) < 50


@pytest.mark.parametrize("kind", [WorkerLostError, OutOfMemoryError])
def test_a_task_that_is_lost_says_who_ran_it_in_another_process_too(kind):
    def dies():
        raise kind("gone")

    with pytest.raises(kind) as lost:
        traced(dies, "worker")
    assert pickle.loads(pickle.dumps(lost.value)).trace.worker == "worker"


def test_busy_is_the_share_of_the_time_of_those_that_ran_something():
    two = [Trace("a", 1, 0.0, 4.0), Trace("b", 1, 1.0, 2.0), Trace("b", 1, 2.0, 3.0)]
    assert busy(two) == pytest.approx(6 / 8)
    # a worker that runs two tasks at once has twice the time
    assert busy([*two, Trace("b", 2, 1.0, 3.0)]) == pytest.approx(8 / 12)
    assert busy([*two, Trace("c", 0, 1.0, 3.0)]) is None
    assert busy([]) is None


def test_a_scheduler_tells_of_our_tasks_that_died_with_a_worker():
    told = []

    class Scheduler(SimpleNamespace):
        def log_event(self, topic, message):
            told.append((topic, message))

    store = SharedStore()
    tasks = {key: given(key, i) for i, key in enumerate([("x", 2), "aer-1", "aer-3", "y"])}
    store._scheduler, store._workers = Scheduler(tasks=tasks), {"tcp://a:1": worker_of(2)}
    lost = {"action": "remove-worker", "worker": "tcp://a:1", "expected": False,
            "lost-computed-tasks": {"aer-2"},
            "processing-tasks": {"aer-1", "aer-3", ("x", 2)}}  # fmt: skip
    store.log_event("tcp://a:1", lost)
    store.log_event("all", {**lost, "expected": True})
    store.log_event("all", {**lost, "processing-tasks": {"y"}, "lost-computed-tasks": set()})
    store.log_event("all", {"action": "add-worker", "worker": "tcp://a:1"})
    assert told == []
    store.log_event("all", lost)
    ((topic, message),) = told
    assert (topic, message["worker"]) == (LOST, "a")
    assert sorted(message["keys"]) == ["aer-1", "aer-2"], "there was no thread for the third one"


def worker_of(threads, **resources):
    """What a scheduler knows of a worker."""
    worker = WorkerState(address="tcp://a:1", pid=1, name="a", nthreads=threads, memory_limit=0,
                         local_directory="", nanny="", server_id="", status=Status.running,
                         services={}, versions={}, extra={})  # fmt: skip
    worker.resources.update(resources)
    return worker


def given(key, priority, **asked):
    """A task of a scheduler's."""
    group = TaskGroup("aer", TaskPrefix("aer"))
    task = TaskState(key, None, "processing", group, validate=False)
    task.priority, task.resource_restrictions = (priority,), asked
    return task


def test_a_worker_has_begun_what_its_threads_and_resources_allow_first_what_it_said_last():
    worker = worker_of(3, aer=10.0)
    tasks = [given(i, i, aer=4.0) for i in range(4)]
    assert begun(worker, tasks[::-1]) == [0, 1]
    worker.executing = {tasks[2]: 0.5, given("ended", 0): 1.0}
    assert begun(worker, tasks) == [2, 0]
    # what asks for nothing passes those that wait, what asks for a little does not
    assert begun(worker, [*tasks, given(4, 4, aer=1.0), given(5, 5)]) == [2, 0, 5]
    assert begun(worker, [given(i, -i) for i in range(3, 9)]) == [8, 7, 6]
    assert begun(worker_of(2), tasks) == []


def test_the_last_loss_of_a_task_that_the_executor_gives_up_counts_once():
    def died(prefix):
        return [LostWorker(f"w{i}", (f"{prefix}0-1", f"{prefix}{i}-2"), float(i)) for i in range(3)]

    driver = Driver(None, SimpleNamespace(lost_workers=died), "j")
    lost = [Loss(0, 1, "Dask has given it up.")]
    found = [(loss.task, loss.worker) for loss in lost_with_workers(driver, lost)]
    assert found == [(0, "w0"), (0, "w0"), (0, "w1"), (1, "w1"), (2, "w2")]


def test_what_may_never_have_begun_is_sent_again_and_no_repeat():
    class Dispatcher(SimpleNamespace):
        def outlook(self, futures, timeout):
            return Outlook(1)

    driver = Driver(None, Dispatcher(lost_workers=lambda prefix: []), "j")
    run = SimpleNamespace(experiments=[], shared=b"")
    trace = Trace("w", 1, 1.0, 2.0)
    driver.record.lost = [Loss(0, 1, "Dask has cancelled it.", begun=False),
                          Loss(1, 1, "Dask has cancelled it.", begun=False),
                          Loss(1, 2, "It died.", trace)]  # fmt: skip
    driver.record.ran = [Ran(0, 2, trace), Ran(1, 3, trace)]
    driver.plan = SimpleNamespace(tasks=[None, None])
    numbers = report(run, driver, "running")
    assert [(repeat.task, repeat.why) for repeat in numbers.repeats] == [(1, "It died.")]
    assert [repeat.task for repeat in numbers.resent] == [0, 1]
    assert [(run.task, run.lost) for run in numbers.runs if run.repeat] == [(1, False)]
    assert re.search(r"^resent +2, .*\n +2 times: Dask has", str(numbers), re.MULTILINE)


def test_a_report_is_a_table_in_a_terminal_and_in_a_notebook():
    text, html = str(made()), made()._repr_html_()
    assert repr(made()) == text
    assert re.search(r"^tasks +3 of 3$", text, re.MULTILINE)
    assert re.search(r"^busy +75% of the workers' time", text, re.MULTILINE)
    assert re.search(r"^repeats +2\n +on a: It <died>\.\n +on b: The worker", text, re.MULTILINE)
    assert "busy" not in str(made(busy=None)), "what is not known is left out"
    assert "on a: It &lt;died&gt;." in html
    assert html.count("<tr>") == len(text.splitlines())


def test_reasons_beyond_the_first_few_are_counted():
    repeats = tuple(Repeat(i, f"reason {i % 7}", "a") for i in range(21))
    assert ": reason 4" in str(made(repeats=repeats))
    assert ": reason 5" not in str(made(repeats=repeats))
    assert "and 2 other reasons" in str(made(repeats=repeats))
    assert "3 times on a: reason 0" in str(made(repeats=repeats))


def test_a_plot_has_a_row_for_each_worker_and_a_colour_for_each_kind_of_run():
    matplotlib = pytest.importorskip("matplotlib")
    matplotlib.use("Agg")
    ax = plot(made())
    assert [label.get_text() for label in ax.get_yticklabels()] == ["a", "b"]
    legend = {text.get_text() for text in ax.get_legend().get_texts()}
    assert legend == {"task", "repeated task", "lost run", "worker lost with its task", "idle"}
    bars = {bars.get_label(): bars.get_paths()[0].get_extents().intervalx.tolist()
            for bars in ax.collections}  # fmt: skip
    assert bars == {"task": [0, 1], "repeated task": [2.5, 4], "lost run": [0, 2]}
    (mark,) = ax.lines
    assert mark.get_xydata().tolist() == [[3.0, 1.0]]
    assert ax.get_xlabel() == "seconds since the first task began"
    assert plot(made(), ax) is ax
    matplotlib.pyplot.close("all")


def test_a_plot_without_any_run_begins_where_a_worker_was_lost_first():
    matplotlib = pytest.importorskip("matplotlib")
    matplotlib.use("Agg")
    repeats = tuple(Repeat(i, "The worker was lost.", "b", 1.7e9 + i) for i in range(2))
    ax = plot(made(workers=(), runs=(), repeats=repeats, busy=None))
    assert [mark.get_xdata().tolist() for mark in ax.lines] == [[0.0, 1.0]]
    assert ax.get_xlabel() == "seconds since a worker was lost first"
    matplotlib.pyplot.close("all")


def test_runs_side_by_side_on_one_worker_do_not_hide_one_another():
    matplotlib = pytest.importorskip("matplotlib")
    matplotlib.use("Agg")
    runs = TaskRun(0, "a", 0.0, 2.0), TaskRun(1, "a", 0.5, 1.0), TaskRun(2, "a", 1.1, 3.0)
    ax = plot(made(workers=("a",), repeats=(), runs=runs))
    lanes = [bars.get_paths()[0].get_extents().intervaly.tolist() for bars in ax.collections]
    (low, middle), (same, high) = sorted(lanes)
    assert middle == pytest.approx(same)
    assert low < middle < high
    assert [len(bars.get_paths()) for bars in ax.collections] == [1, 2]

    # a worker with one slot ran them one after the other, whatever its clock said
    ax = plot(made(workers=("a",), repeats=(), runs=[run._replace(slots=1) for run in runs]))
    assert [len(bars.get_paths()) for bars in ax.collections] == [3]
    matplotlib.pyplot.close("all")


def test_plot_says_what_to_install_where_there_is_no_matplotlib(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ImportError, match=r"pip install .aer-dask\[notebook\]"):
        plot(made())


def test_a_pool_tells_who_ran_what_and_a_bar_how_many_there_are(capsys, monkeypatch):
    simulate = pool_module._simulate_in_thread

    def slowly(*task):
        time.sleep(0.1)  # or the job is over before there is a bar
        return simulate(*task)

    monkeypatch.setattr(pool_module, "_simulate_in_thread", slowly)
    circuits = [volume(5, seed) for seed in range(6)]
    with Recording(2, thread_name_prefix="pool") as pool:
        job = AerSimulator(executor=pool).run(circuits, shots=10, max_job_size=1)
        job.result(60, progress=True)
        report = job.report()
        assert (report.status, report.done, report.complete, report.shots) == ("done", 6, 6, 60)
        assert set(report.workers) <= {"pool_0", "pool_1"}
        assert sorted(run.task for run in report.runs) == list(range(6))
        assert not any(run.repeat or run.lost for run in report.runs)
        assert report.bytes_sent == sum(job.plan().payload_bytes)
        assert report.bytes_received == sum(len(future.result()) for future in pool.futures)
        assert report.shared_bytes == job.plan().shared_bytes
        assert 0 < report.worker_seconds <= 2 * report.seconds
        assert report.seconds == job.report().seconds, "the job has ended"
    shown = capsys.readouterr().err
    assert re.search(r"6/6 \[\d\d:\d\d<00:00, .*, 2 workers\]", shown)


def test_a_pool_that_does_other_work_is_what_a_job_waits_for():
    free = threading.Event()
    with ThreadPoolExecutor(1) as pool:
        pool.submit(free.wait, 60)
        try:
            job = AerSimulator(executor=pool).run(bell())
            assert job.report().waits_for == "the executor is busy with other work"
            for wait in job.result, partial(job.result, progress=True), job.worker_results:
                with pytest.raises(JobTimeoutError, match=r"^'?No result after 0\.03 s: 0 of 1"):
                    wait(timeout=0.03)
            with pytest.raises(JobTimeoutError, match=r"^'?No result after 0\.03 s: 0 of 1"):
                next(job.as_completed(timeout=0.03))
        finally:
            free.set()
        assert job.result(60).success
        assert job.report().waits_for == ""
