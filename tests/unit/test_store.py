"""What a store does with what it should not have: odd objects, odd names, and whoever prunes it."""

import os
import shutil
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from fsspec.implementations.local import LocalFileSystem
from qiskit import QuantumCircuit
from qiskit.providers import JobStatus
from qiskit.quantum_info import Pauli

from aer_dask import AerSimulator, StoreError, VersionMismatchError
from aer_dask.compile import codec
from aer_dask.jobs.keeping import _most_bytes
from aer_dask.runs.options import RunOptions
from aer_dask.runs.run import Run
from aer_dask.store import Store, prune
from aer_dask.store import format as form
from aer_dask.store import keeper as keepers
from aer_dask.store.entries import Entries, JobRecord, record_object, tasks_object
from aer_dask.store.keeper import Keeper
from aer_dask.testing import differences
from aer_dask.worker.execute import simulate
from tests.circuits import bell, mid_circuit, pauli_noise, plain, zoo
from tests.compiling import assemble
from tests.waiting import wait_until

OPTIONS = {"shots": 10, "seed_simulator": 1}
ADDRESS = "a" * 64
NOW = datetime.now(UTC)
RECORD = JobRecord("j", ADDRESS, NOW, NOW, "", "", "b" * 16, 1, 1, ("x", "1"), {})


@pytest.fixture
def pool():
    with ThreadPoolExecutor(1) as pool:
        yield pool


@pytest.fixture
def backend(pool, tmp_path):
    """A backend, whose store has a run of two circuits."""
    backend = AerSimulator(executor=pool, store=tmp_path)
    backend.run([bell(), bell()], **OPTIONS).result()
    return backend


def changed(path, change):
    """Write an object anew, whose value was changed."""
    value = form.decode(path.read_bytes())
    change(value)
    path.write_bytes(b"".join(form.encode(value)))


def failing_reads(monkeypatch, part, times):
    """Have objects with this in their path not be read so often; gives what is left of that."""
    read, left = LocalFileSystem.cat_file, [*range(times)]

    def fails(self, path, *arguments, **options):
        if part in path and left:
            left.pop()
            raise ConnectionError("away for a moment")
        return read(self, path, *arguments, **options)

    monkeypatch.setattr(LocalFileSystem, "cat_file", fails)
    return left


def grow_old(folder):
    """Everything in it was written two months ago."""
    for path in folder.rglob("*"):
        os.utime(path, (time.time() - 60 * 86400,) * 2)


def test_jobs_are_listed_the_newest_first(backend):
    first, *_ = backend.jobs()
    later = [backend.run(bell(), **OPTIONS) for _ in range(2)]
    for job in later:
        job.result()
    ids = [job.job_id() for job in (*reversed(later), first)]
    assert [job.job_id() for job in backend.jobs()] == ids
    assert [job.job_id() for job in backend.jobs(limit=1)] == ids[:1]
    assert [job.job_id() for job in backend.jobs(limit=1, skip=1)] == ids[1:2]


# --- pruning ---------------------------------------------------------------------------


def test_pruning_removes_nothing_while_a_job_cannot_be_read(backend, tmp_path, monkeypatch):
    grow_old(tmp_path)
    (record,) = tmp_path.glob("jobs/*")
    whole = record.read_bytes()
    record.write_bytes(whole[:9] + b"\x07" + whole[10:])  # of another format
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(StoreError, match="Its run may be in use"):
        prune(tmp_path, older_than="30d")
    record.write_bytes(whole)
    left = failing_reads(monkeypatch, "/jobs/", times=1)
    assert prune(tmp_path, older_than="30d") == []
    assert (left, sorted(tmp_path.rglob("*"))) == ([], before)


def test_a_run_of_no_job_is_as_old_as_its_last_object(backend, tmp_path):
    shutil.rmtree(tmp_path / "jobs")
    assert prune(tmp_path, older_than="30d") == []
    grow_old(tmp_path)
    (removed,) = prune(tmp_path, older_than="30d")
    assert removed.jobs == ()
    assert timedelta(days=59) < datetime.now(UTC) - removed.used < timedelta(days=61)


def test_pruning_takes_only_what_is_ours(backend, tmp_path):
    (run,) = tmp_path.glob("runs/*")
    others = [tmp_path / "runs" / "notes.txt", tmp_path / "runs" / "experiment1" / "events",
              run / "mine", tmp_path / "jobs" / "readme"]  # fmt: skip
    for path in others:
        path.parent.mkdir(exist_ok=True)
        path.write_text("not ours")
    grow_old(tmp_path)
    assert len(prune(tmp_path, older_than=0)) == 1
    assert sorted(p for p in tmp_path.rglob("*") if p.is_file()) == sorted(others)


def test_a_record_that_names_another_place_is_none(backend, tmp_path):
    victim = tmp_path / "victim"
    victim.mkdir()
    (record,) = tmp_path.glob("jobs/*")
    for key, value in [("address", "../victim"), ("labels", "")]:
        changed(record, lambda plain, key=key, value=value: plain.update({key: value}))
        assert backend.jobs() == []
        with pytest.raises(StoreError, match="is no job that could be used"):
            prune(tmp_path, older_than=0)
    assert victim.exists()


def test_pruning_looks_again_before_it_removes_a_run(backend, tmp_path, monkeypatch):
    grow_old(tmp_path)
    (record,) = Entries(Store(tmp_path)).records(Entries(Store(tmp_path)).jobs())
    (request,) = tmp_path.glob("runs/*/request")
    began = replace(record, job_id="other", created=datetime.now(UTC)).alive_now(ended="")
    remove = Store.remove

    def meanwhile(self, names):
        remove(self, names)
        self.write(*record_object(began))  # a job that begins while tasks are removed

    monkeypatch.setattr(Store, "remove", meanwhile)
    assert prune(tmp_path, older_than=0) == []
    assert request.exists(), "the job that has begun needs it"
    assert len(backend.jobs()) == 2


def test_a_folder_that_is_pruned_while_an_object_is_begun_is_made_again(tmp_path, monkeypatch):
    begin = Path.open
    left = [1]

    def pruned(self, *arguments, **options):
        if left:
            left.pop()
            self.parent.rmdir()
        return begin(self, *arguments, **options)

    monkeypatch.setattr(Path, "open", pruned)
    Store(tmp_path / "store").write("runs/x/request", [b"it"])
    assert (tmp_path / "store/runs/x/request").read_bytes() == b"it"


def test_files_that_were_never_finished_go_after_a_day(backend, tmp_path):
    (run,) = tmp_path.glob("runs/*")
    of_no_run = tmp_path / "runs" / ADDRESS
    of_no_run.mkdir()
    for folder in (tmp_path / "jobs", run, of_no_run):
        (folder / ".unfinished-1").write_bytes(b"")
    prune(tmp_path)
    assert len(list(tmp_path.rglob(".unfinished-*"))) == 3
    grow_old(tmp_path)
    prune(tmp_path)
    assert not list(tmp_path.rglob(".unfinished-*"))
    assert (run.exists(), of_no_run.exists()) == (True, False)


# --- reading ---------------------------------------------------------------------------


ODD = {
    "a piece that is a number": lambda value: value.update(pieces=[5], outputs=[{}]),
    "time that is a word": lambda value: value["outputs"][0]["metadata"].update(
        time_taken_execute="x"),
    "a method that is a list": lambda value: value["outputs"][0]["results"][0]["metadata"].update(
        method=[]),
}  # fmt: skip


@pytest.mark.parametrize("kind", ODD)
def test_odd_objects_fail_no_run(backend, tmp_path, kind):
    (tasks,) = tmp_path.glob("runs/*/tasks-*")
    changed(tasks, ODD[kind])
    job = backend.run([bell(), bell()], **OPTIONS)
    assert differences(job.result(), plain().run([bell(), bell()], **OPTIONS).result()) == []
    assert job.progress().total >= 1, "something was computed anew"


class Secretive:
    def __repr__(self):
        raise RuntimeError("no words for it")


def test_what_no_store_can_name_is_not_kept_and_runs(backend):
    circuit = bell()
    circuit.metadata = {"mine": Secretive()}
    job = backend.run(circuit, **OPTIONS)
    assert job.result().success
    assert "no words for it" in job.report().not_kept


def test_shots_cannot_be_in_more_parts_than_there_are(pool, tmp_path):
    backend = AerSimulator(executor=pool, store=tmp_path, noise_model=pauli_noise(),
                           noise_sampling="shared")  # fmt: skip
    backend.run(mid_circuit(), **OPTIONS).result()
    (tasks,) = tmp_path.glob("runs/*/tasks-*")
    changed(tasks, lambda value: value["pieces"][0].__setitem__(5, 20_000))
    job = backend.run(mid_circuit(), **OPTIONS)
    assert job.progress().total <= 10
    job.result()


def test_an_object_that_grows_beyond_what_a_run_can_give_is_not_read(backend, tmp_path, caplog):
    (run,) = tmp_path.glob("runs/*")
    body = b"\xdd" + (2**24).to_bytes(4, "big") + b"\x80" * 2**24
    (run / f"tasks-{'0' * 16}").write_bytes(b"".join(form.sealed([body])))
    (tmp_path / "jobs/20260101T000000.000000Z-bomb").write_bytes(b"".join(form.sealed([body])))
    assert backend.run([bell(), bell()], **OPTIONS).result().success
    assert "holds more than it can have to" in caplog.text
    caplog.clear()
    assert len(backend.jobs()) == 2
    assert "holds more than it can have to" in caplog.text


def many_expectation_values():
    """Little is predicted of each, and each has a long name."""
    circuit = QuantumCircuit(40)
    for i in range(300):
        pauli = Pauli("".join("IXYZ"[(i >> k) % 4] for k in range(40)))
        circuit.save_expectation_value(pauli, range(40), label=f"{pauli}")
    return circuit, "stabilizer"


BOUNDED = {**zoo(), "paulis": many_expectation_values(), "slices": (mid_circuit(), "statevector")}


@pytest.mark.parametrize("kind", BOUNDED)
def test_no_run_gives_nearly_as_much_as_its_objects_may_hold(kind):
    circuit, method = BOUNDED[kind]
    backend, size = AerSimulator(method=method), 1 if kind == "slices" else None
    options = {"shots": 100, "seed_simulator": 1, "memory": True}
    run = Run(
        backend, [assemble(backend, [circuit], None, options)], RunOptions(max_shot_size=size)
    )
    run.compile()
    outputs = [
        output
        for task in run.planner(1).plan().tasks
        for output in codec.decode_all(simulate(run.payload(task), run.shared))
    ]
    most = _most_bytes(run)
    assert most is None or sum(map(len, form.frames(outputs))) < most / 4


def test_a_request_that_is_damaged_is_mended_by_the_next_run(backend, tmp_path):
    for path in tmp_path.glob("runs/*/[rl]*"):
        whole = path.read_bytes()
        path.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    job = backend.run([bell(), bell()], **OPTIONS)
    job.result()
    assert backend.retrieve_job(job.job_id()).result().success


def test_labels_that_were_changed_are_not_used(backend, tmp_path):
    (labels,) = tmp_path.glob("runs/*/labels-*")
    labels.write_bytes(b"".join(form.encode([[{"name": "another"}]])))
    (job,) = backend.jobs()
    with pytest.raises(StoreError, match=r"labels of job .* were changed"):
        job.result()


def test_a_job_of_another_aer_is_not_resumed_but_its_results_are_there(backend, monkeypatch):
    monkeypatch.setattr("aer_dask.runs.request.__version__", "0.1.0")
    (job,) = backend.jobs()
    with pytest.raises(VersionMismatchError, match=r"qiskit-aer is 0\.1\.0 here and was 0\.18"):
        job.resume()
    assert job.result().success


def test_reading_that_fails_for_a_moment_is_tried_again(backend, monkeypatch):
    left = failing_reads(monkeypatch, "tasks-", times=2)
    job = backend.run([bell(), bell()], **OPTIONS)
    job.result()
    assert (left, job.progress().total, job.report().not_kept) == ([], 0, "")


def test_what_cannot_be_read_is_in_the_report(backend, monkeypatch):
    read = LocalFileSystem.cat_file

    def refuses(self, path, *arguments, **options):
        if "tasks-" in path:
            raise PermissionError("not for you")
        return read(self, path, *arguments, **options)

    monkeypatch.setattr(LocalFileSystem, "cat_file", refuses)
    job = backend.run([bell(), bell()], **OPTIONS)
    job.result()
    assert job.progress().total == 1
    assert "cannot be read: not for you" in job.report().not_kept


def test_objects_are_read_some_at_a_time(tmp_path):
    store, entries = Store(tmp_path), Entries(Store(tmp_path))
    for i in range(6):
        output = {"results": [{"success": True, "data": np.random.default_rng(i).random(2**21)}]}
        store.write(*tasks_object(ADDRESS, [((i, i + 1, 0, 1, 0, 0), output)]))
    asked = []
    read = LocalFileSystem.cat_ranges

    def counted(self, paths, *arguments, **options):
        asked.append(len(paths))
        return read(self, paths, *arguments, **options)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(LocalFileSystem, "cat_ranges", counted)
        assert len(list(entries.tasks(ADDRESS, entries.in_run(ADDRESS)))) == 6
    assert asked == [1] * 6, "two have more than 32 MiB"


# --- writing ---------------------------------------------------------------------------


def test_a_worse_object_does_not_take_the_place_of_a_better_one():
    pieces = [((i, i + 1, 0, 1, 0, 0), {"results": [{"success": True}]}) for i in range(2)]
    (piece, _), other = pieces
    worse = [(piece, {"results": [{"success": False}]}), other]
    name, _ = tasks_object(ADDRESS, pieces)
    assert name == tasks_object(ADDRESS, pieces)[0]
    assert name != tasks_object(ADDRESS, worse)[0]


def outputs_of(number, size):
    """The output of a task, of so many bytes."""

    def pieces():
        result = {"success": True, "data": np.zeros(size // 8)}
        yield (number, number + 1, 0, 1, 0, 0), {"results": [result]}

    return pieces


def test_large_results_wait_for_room_while_others_are_written(tmp_path, monkeypatch):
    monkeypatch.setattr(keepers, "_MOST_WAITING", 2**21)
    monkeypatch.setattr(keepers, "_HELD_UP", 300.0)
    keeper = Keeper(Store(tmp_path), RECORD, [])
    keeper.start()
    for i in range(8):
        keeper.keep(2**20 + 2**19, outputs_of(i, 2**20))
    keeper.end("done")
    assert (keeper.kept, keeper.why_not) == (8, "")


def test_a_store_that_is_slower_than_the_results_holds_a_job_up_once(tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(keepers, "_MOST_WAITING", 2**21)
    monkeypatch.setattr(keepers, "_HELD_UP", 0.2)
    write, may_write, held = Store.write, [], []

    def slow(self, name, parts):
        wait_until(lambda: may_write, "it may write")
        write(self, name, parts)

    monkeypatch.setattr(Store, "write", slow)
    keeper = Keeper(Store(tmp_path), RECORD, [])
    keeper.start()
    for i in range(8):
        keeper.keep(2**20 + 2**19, outputs_of(i, 2**20))
        held.append(keeper._bytes)
    assert max(held) <= 2**21
    may_write.append(True)
    keeper.end("done")
    assert keeper.kept == 1
    assert "takes less than what comes in" in keeper.why_not
    assert caplog.text.count("are not kept in") == 1


def test_how_a_job_has_ended_is_written_though_its_results_were_refused(
    pool, tmp_path, monkeypatch
):
    write = Store.write

    def refuses(self, name, parts):
        if "tasks-" in name:
            raise PermissionError("not here")
        write(self, name, parts)

    monkeypatch.setattr(Store, "write", refuses)
    backend = AerSimulator(executor=pool, store=tmp_path)
    job = backend.run(bell(), **OPTIONS)
    job.result()
    assert "not here" in job.report().not_kept
    stored = backend.retrieve_job(job.job_id())
    wait_until(lambda: stored.status() is JobStatus.DONE, "it is written")


def test_a_job_counts_as_running_for_ten_minutes_after_its_clients_last_word(backend, tmp_path):
    entries = Entries(Store(tmp_path))
    (job,) = backend.jobs()
    for minutes, status in [(9, JobStatus.RUNNING), (11, JobStatus.ERROR)]:
        alive = datetime.now(UTC) - timedelta(minutes=minutes)
        entries.store.write(*record_object(replace(job.record(), ended="", alive=alive)))
        assert job.status() is status
        assert len(prune(tmp_path, size=0)) == (status is JobStatus.ERROR)


def test_a_client_that_works_says_so_now_and_then(tmp_path, monkeypatch):
    monkeypatch.setattr(keepers, "ALIVE", timedelta(seconds=0.05))
    entries = Entries(Store(tmp_path))
    keeper = Keeper(entries.store, RECORD, [])
    keeper.start()
    wait_until(entries.jobs, "it has begun")
    first = entries.record("j").alive
    wait_until(lambda: entries.record("j").alive > first, "it says so again")
    keeper.end("done")
    assert entries.record("j").ended == "done"


# --- names and places ------------------------------------------------------------------


@pytest.mark.parametrize("name", ["my store", "run[1]", "what?", "100%", "a%20b", "é"])
def test_a_folder_of_any_name_is_the_folder_of_that_name(tmp_path, name):
    for store in (Store(tmp_path / name), Store(f"file://{tmp_path}/{name}")):
        store.write("jobs/x", [b"it"])
        assert (tmp_path / name / "jobs/x").exists()
        assert dict(store.read(store.list("jobs"))) == {"jobs/x": b"it"}
        assert str(store) == f"file://{tmp_path}/{name}"


def test_a_folder_that_cannot_be_listed_is_not_empty(tmp_path, monkeypatch):
    assert Store(tmp_path / "not there").list("jobs") == []

    def refuses(*_, **__):
        raise PermissionError("not for you")

    monkeypatch.setattr(LocalFileSystem, "ls", refuses)
    with pytest.raises(StoreError, match="not for you"):
        Store(tmp_path).list("jobs")


def test_secrets_in_urls_are_not_shown():
    for url in ("ftp://u:SECRET@h/x", "simplecache::ftp://u:SECRET@h/x", "memory://x?t=SECRET"):
        store = Store.__new__(Store)
        store.url = url
        assert "SECRET" not in f"{store} {store!r}"


def test_a_url_with_one_slash_is_no_folder():
    with pytest.raises(StoreError, match="two slashes"):
        Store("s3:/bucket")


def test_a_cache_is_no_folder(tmp_path):
    assert Store(f"filecache::file://{tmp_path}")._folder is None


def test_a_retrieved_result_bears_the_backends_name(pool, tmp_path):
    backend = AerSimulator(executor=pool, store=tmp_path)
    backend.name = "mine"
    job = backend.run(bell(), **OPTIONS)
    name = job.result().backend_name
    assert AerSimulator(store=tmp_path).retrieve_job(job.job_id()).result().backend_name == name
    assert name == "mine"
