"""Child processes: reuse, death, and cancellation at any moment."""

import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from multiprocessing import Pipe

import numpy as np
import pytest

from aer_dask import AerSimulator, InsufficientMemoryError
from aer_dask.compile import codec
from aer_dask.errors import OutOfMemoryError, WorkerLostError
from aer_dask.executors.base import Capacity, Lost
from aer_dask.executors.pool import PoolDispatcher
from aer_dask.testing import differences
from aer_dask.worker import child
from aer_dask.worker.child import Children
from aer_dask.worker.execute import simulate
from aer_dask.worker.serve import CHUNK
from tests.circuits import bell, plain, volume
from tests.compiling import assemble, compiled_run


@pytest.fixture
def children():
    children = Children(threads=1)
    yield children
    children.close()


@pytest.fixture(scope="module")
def task():
    """An encoded task and what it shares."""
    backend = plain()
    run = compiled_run(backend, [assemble(backend, [bell()], None, {"seed_simulator": 1})])
    return run.payload(run.planner(1).plan().tasks[0]), run.shared


@pytest.fixture(scope="module")
def long_task():
    """The same of one that takes longer than a first look at whether it is still wanted."""
    options = {"shots": 2000, "seed_simulator": 1}
    run = compiled_run(plain(), [assemble(plain(), [volume(16)], None, options)])
    return run.payload(run.planner(1).plan().tasks[0]), run.shared


def test_a_child_is_kept_for_the_next_task(children, task):
    children.run("first", *task)
    (first,) = children._idle
    children.run("second", *task)
    assert children._idle == [first]


def test_a_dead_child_is_replaced(children, task):
    before = codec.decode(children.run("first", *task))
    children._idle[0].close()
    after = codec.decode(children.run("second", *task))
    assert after["results"][0]["data"] == before["results"][0]["data"]


@pytest.mark.timeout(60)
def test_a_child_that_lives_without_its_connection_is_ended_and_its_task_lost(
    children, task, monkeypatch
):
    monkeypatch.setattr(child, "_ENDING", 0.5)
    children.run("first", *task)
    (first,) = children._idle
    first._process.send_signal(signal.SIGSTOP)
    first._connection.close()
    with pytest.raises(WorkerLostError, match="it was killed"):
        children.run("second", *task)
    assert not first.alive()


def test_a_child_whose_parent_died_before_it_could_serve_ends():
    ours, theirs = Pipe()
    nobody = "0"
    with ours, theirs:
        command = [sys.executable, "-m", "aer_dask.worker.serve", str(theirs.fileno()), nobody]
        ended = subprocess.run(command, check=False, pass_fds=[theirs.fileno()], timeout=60)
    assert ended.returncode == 1


def test_what_a_task_raises_is_raised_here_and_the_child_lives(children):
    with pytest.raises(Exception, match="decompressing data"):
        children.run("bad", b"no bytes of ours", b"nor these")
    assert children._idle[0].alive()


def test_what_becomes_of_tasks_and_children_is_counted(children, task):
    children.run("done", *task)
    children._idle[0]._process.kill()
    children._idle[0]._process.wait()
    with pytest.raises(Exception, match="decompressing data"):
        children.run("bad", b"no bytes of ours", b"nor these")
    children.kill("early")
    with pytest.raises(WorkerLostError):
        children.run("early", *task)
    assert counts(children) == {
        "circuits": 1, "shots": 1024, "tasks done": 1, "tasks failed": 1, "tasks cancelled": 1,
        "children_died killed": 1,
    }  # fmt: skip


def test_a_child_killed_for_lack_of_memory_is_counted_as_that(
    children, long_task, monkeypatch, tmp_path
):
    events = tmp_path / "memory.events"
    events.write_text("oom 0\noom_kill 0\n")
    monkeypatch.setattr(child, "_MEMORY_EVENTS", (events,))

    def as_the_kernel_does():
        events.write_text("oom 1\noom_kill 1\n")
        children._running["large"]._process.kill()

    with pytest.raises(OutOfMemoryError):
        children.run("large", *long_task, unwanted=as_the_kernel_does)
    assert counts(children) == {"tasks lost": 1, "children_died memory": 1}


def test_an_idle_child_killed_for_lack_of_memory_is_counted_as_that(
    children, task, monkeypatch, tmp_path
):
    events = tmp_path / "memory.events"
    events.write_text("oom 0\noom_kill 0\n")
    monkeypatch.setattr(child, "_MEMORY_EVENTS", (events,))
    children.configure(1, None, 1)
    events.write_text("oom 1\noom_kill 1\n")
    children._idle[0]._process.kill()
    children._idle[0]._process.wait()
    children.run("next", *task)
    found = counts(children)
    assert found["tasks done"] == 1
    assert {name for name in found if "died" in name} == {"children_died memory"}


def test_an_answer_that_cannot_be_read_is_counted_as_a_task_that_failed(children, task):
    with pytest.raises(AttributeError, match="Theirs"):
        children.run("bad", codec.encode(Unreadable()), task[1])
    assert counts(children) == {"tasks failed": 1}


@pytest.mark.parametrize(("task_waits", "expected"), [(False, {}), (True, {"tasks lost": 1})])
def test_a_child_that_cannot_be_started_loses_a_task_only_where_there_is_one(
    children, task, monkeypatch, task_waits, expected
):
    monkeypatch.setattr(sys, "executable", "/nowhere")
    with pytest.raises(WorkerLostError, match="could be started"):
        children.run("first", *task) if task_waits else children.configure(1, None, 1)
    assert counts(children) == expected


def test_circuits_that_aer_refuses_are_not_counted_as_simulated(children):
    backend = plain(method="stabilizer")
    run = compiled_run(backend, [assemble(backend, [volume(4), bell()], None, {"shots": 10})])
    children.run("half", run.payload(run.planner(1).plan().tasks[0]), run.shared)
    assert counts(children) == {"circuits": 1, "shots": 10, "tasks done": 1}


def counts(children):
    """What was counted, zeros and seconds left out, under short names."""
    return {
        " ".join(
            [family.name.removeprefix("aer_dask_worker_"), *sample.labels.values()]
        ): sample.value
        for family in children.tally.collect()
        for sample in family.samples
        if sample.value and family.unit != "seconds"
    }


def test_a_process_without_prometheus_client_counts_and_shows_nothing():
    program = (
        "import sys; sys.modules['prometheus_client'] = None\n"
        "from aer_dask.worker import child, metrics\n"
        "metrics.show(child.children.tally); child.children.tally.add('tasks', 'done')"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)


def test_a_task_cancelled_before_it_has_a_child_never_runs(children, task):
    children.kill("early")
    with pytest.raises(WorkerLostError, match="cancelled before it began"):
        children.run("early", *task)
    assert children.run("late", *task)


class Hostile:
    """Raises, when it is unpickled, an exception that cannot be pickled."""

    def __reduce__(self):
        code = (
            "class Local(Exception):\n    def __reduce__(self): raise TypeError\nraise Local('why')"
        )
        return exec, (code,)


class Unreadable:
    """Raises, when it is unpickled, an exception that only that process can unpickle again."""

    def __reduce__(self):
        code = (
            "import builtins\nclass Theirs(Exception): __module__ = 'builtins'\n"
            "builtins.Theirs = Theirs\nraise Theirs"
        )
        return exec, (code,)


def test_an_exception_that_cannot_be_pickled_is_told_by_its_text(children, task):
    with pytest.raises(RuntimeError, match="Local: why"):
        children.run("bad", codec.encode(Hostile()), task[1])
    assert children.run("next", *task)


def test_a_result_larger_than_a_chunk_arrives_whole(children):
    circuit = volume(18).remove_final_measurements(inplace=False)
    circuit.save_statevector()
    run = compiled_run(plain(), [assemble(plain(), [circuit], None, {"seed_simulator": 1})])
    task = run.payload(run.planner(1).plan().tasks[0]), run.shared
    found, expected = codec.decode(children.run("large", *task)), codec.decode(simulate(*task))
    vectors = [output["results"][0]["data"]["statevector"] for output in (found, expected)]
    assert np.array_equal(*vectors)
    assert vectors[0].nbytes > CHUNK


def test_a_child_that_was_left_in_the_middle_of_a_task_never_answers_another(
    children, task, long_task
):
    def interrupt():
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        children.run("interrupted", *long_task, unwanted=interrupt)
    (found,) = codec.decode_all(children.run("next", *task))
    assert found["results"][0]["data"] == codec.decode(simulate(*task))["results"][0]["data"]


@pytest.mark.parametrize("alone", [True, False])
def test_a_task_that_was_killed_for_lack_of_memory_asks_for_more_than_its_worker_had_or_for_all(
    monkeypatch, alone
):
    largest, limit, asked = 2**31, 2**30, []
    submit, fetch = PoolDispatcher.submit, PoolDispatcher.fetch

    def noting(self, key, task, memory, *rest):
        asked.append(memory)
        return submit(self, key, task, memory, *rest)

    def killed_first(self, futures):
        if len(asked) == 1:
            return [Lost(OutOfMemoryError("killed", limit, alone), deaths=1)]
        return fetch(self, futures)

    monkeypatch.setattr(PoolDispatcher, "submit", noting)
    monkeypatch.setattr(PoolDispatcher, "fetch", killed_first)
    monkeypatch.setattr(PoolDispatcher, "capacity", lambda self: Capacity(1, largest))
    with ThreadPoolExecutor(1) as pool:
        backend = AerSimulator(executor=pool)
        result = backend.run(bell(), shots=10, seed_simulator=1).result(timeout=60)
        assert differences(result, plain().run(bell(), shots=10, seed_simulator=1).result()) == []
        assert asked[1:] == [limit + 1 if alone else limit]

        largest = limit
        asked.clear()
        if alone:
            with pytest.raises(InsufficientMemoryError, match="none has more"):
                backend.run(bell()).result(timeout=60)
        else:
            assert backend.run(bell()).result(timeout=60).success
