"""Results in a store: clients that die, others that go on, and stores that are damaged or full."""

import contextlib
import logging
import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from distributed import Client
from qiskit import QuantumCircuit
from qiskit.circuit import Parameter
from qiskit.providers import JobError, JobStatus
from qiskit.quantum_info import SparsePauliOp
from scipy.optimize import minimize

import aer_dask
from aer_dask import AerSimulator, EmbeddedCluster, EstimatorV2, ExecutorError, StoreError
from aer_dask.store import Store, keeper, prune
from aer_dask.testing import differences
from tests.circuits import bell, mid_circuit, pauli_noise, plain
from tests.waiting import wait_until

from .runs import expected, start_run

ROOT = Path(__file__).parents[2]
#: What another process does: the run of tests/real/runs.py, with a store.
START = """
import sys
from distributed import Client
from tests.real.runs import start_run
if __name__ == "__main__":
    job = start_run(Client(sys.argv[1]), store=sys.argv[2], shots=2400, max_shot_size=300)
    print(job.job_id(), flush=True)
    job.result(timeout=120)
"""
#: Before it: it writes what two tasks give, and no more until it is killed.
TWO_TASKS = """
import time
from aer_dask.store import Store, keeper
keeper._TOGETHER = 0
write, written = Store.write, []
def two_tasks(self, name, parts):
    written.extend([name] if "tasks-" in name else [])
    time.sleep(0 if len(written) <= 2 else 600)
    write(self, name, parts)
Store.write = two_tasks
"""
#: One that ends while its store, which is slow, has not taken everything.
LEAVE = """
import sys, time
from concurrent.futures import ThreadPoolExecutor
from aer_dask.store import Store
from tests.real.runs import start_run
from tests.waiting import wait_until
write = Store.write
def slow(self, name, parts):
    time.sleep(0.7 if "tasks-" in name else 0)
    write(self, name, parts)
Store.write = slow
if __name__ == "__main__":
    job = start_run(ThreadPoolExecutor(2), store=sys.argv[1], shots=2400)
    wait_until(lambda: job.progress().done >= 4, "some are done")
    print(job.progress().done, job.report().kept, flush=True)
"""
#: And a third one, which has no circuits.
RESUME = """
import sys
from distributed import Client
from aer_dask import AerSimulator
if __name__ == "__main__":
    backend = AerSimulator(executor=Client(sys.argv[1]), store=sys.argv[2])
    job = backend.retrieve_job(sys.argv[3]).resume()
    result = job.result(timeout=120)
    print(job.job_id(), job.report().stored_pieces, job.progress().total)
    print(result.get_memory())
"""


def script(text, *arguments):
    """A process of its own that runs a script."""
    return subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", text, *map(str, arguments)],
        stdout=subprocess.PIPE, text=True, cwd=ROOT, env=os.environ | {"PYTHONPATH": str(ROOT)},
    )  # fmt: skip


#: Of runs that go on when somebody comes who has waited for a part of them to be kept.
SHOTS = 2400
LONG = {"shots": SHOTS, "max_shot_size": SHOTS // 8}


def kept_tasks(store):
    """How many objects of tasks there are in a folder."""
    return len(list(Path(store).glob("runs/*/tasks-*")))


@pytest.fixture
def pool():
    """Two threads, whose tasks run in children of this process."""
    with ThreadPoolExecutor(2) as pool:
        yield pool


@pytest.fixture
def killed(client, tmp_path):
    """A store in which a client has left some of a run, and the id of its job."""
    process = script(TWO_TASKS + START, client.scheduler.address, tmp_path / "store")
    job_id = process.stdout.readline().strip()
    wait_until(lambda: kept_tasks(tmp_path / "store") == 2, "some are kept")
    process.kill()
    process.wait()
    wait_until(
        lambda: not client.processing() or not any(client.processing().values()), "it is over"
    )
    return str(tmp_path / "store"), job_id


def test_a_client_that_was_killed_is_started_again_and_costs_only_the_rest(killed, own_cluster):
    store, _ = killed
    client = own_cluster(3)  # another cluster, with another number of workers
    job = start_run(client, store=store, shots=SHOTS, max_shot_size=500)
    assert differences(job.result(timeout=120), expected(SHOTS)) == []
    report = job.report()
    assert report.stored_shots == 600
    assert sum(p.shots for task in job.plan().tasks for p in task.pieces) == (
        SHOTS - report.stored_shots)  # fmt: skip
    assert f"{report.stored_shots:,} shots were there" in str(report)
    assert report.kept == report.tasks
    again = start_run(client, store=store, shots=SHOTS)
    assert differences(again.result(timeout=60), expected(SHOTS)) == []
    assert (again.progress().total, again.report().stored_circuits) == (0, 1)


def test_a_job_whose_client_was_killed_is_resumed_without_its_circuits(killed, client):
    store, job_id = killed
    backend = AerSimulator(store=store)
    job = backend.retrieve_job(job_id)
    assert job.progress() == (0, 1)
    with pytest.raises(JobError, match=r"0 of 1 circuits are there; resume\(\)"):
        job.result()
    assert job.status() is JobStatus.RUNNING, "its client has said so a moment ago"
    process = script(RESUME, client.scheduler.address, store, job_id)
    output, _ = process.communicate(timeout=120)
    about, memory = output.strip().split("\n")
    same_id, pieces, tasks = about.split()
    assert (same_id, memory) == (job_id, str(expected(SHOTS).get_memory()))
    assert int(pieces) == 2
    assert int(tasks) >= 1
    assert job.status() is JobStatus.DONE
    assert differences(job.result(), expected(SHOTS)) == []
    assert [each.job_id() for each in backend.jobs()] == [job_id]


def test_a_job_that_is_resumed_while_its_client_lives_is_given_none_of_its_tasks(
    client, tmp_path, caplog, monkeypatch
):
    write, written, may_go_on = Store.write, [], threading.Event()

    def two_tasks(self, name, parts):
        written.extend([name] if "tasks-" in name else [])
        assert len(written) <= 2 or may_go_on.wait(60)
        write(self, name, parts)

    options = {"store": str(tmp_path), "seed_policy": "independent", **LONG}
    right = start_run(client, **options | {"store": False}).result(timeout=120)
    monkeypatch.setattr(keeper, "_TOGETHER", 0)
    monkeypatch.setattr(Store, "write", two_tasks)
    job = start_run(client, **options)
    wait_until(lambda: kept_tasks(tmp_path) == 2, "some are kept")
    stored = AerSimulator(executor=client, store=tmp_path).retrieve_job(job.job_id())
    resumed = stored.resume()
    assert "another client" in caplog.text
    assert 0 < resumed.progress().total < job.progress().total, "its plan is another one"
    may_go_on.set()
    assert differences(resumed.result(timeout=120), right) == []
    assert differences(job.result(timeout=120), right) == []
    assert resumed.attempts() == [1] * len(resumed.attempts())
    again = start_run(client, **options)
    assert differences(again.result(timeout=60), right) == []
    assert again.progress().total == 0


def test_a_job_that_was_done_stays_so_if_it_cannot_be_resumed(pool, tmp_path):
    job = AerSimulator(executor=pool, store=tmp_path).run(bell(), shots=10)
    job.result()
    for path in tmp_path.glob("runs/*/tasks-*"):
        path.unlink()
    other = ThreadPoolExecutor(1)
    other.shutdown()
    stored = AerSimulator(executor=other, store=tmp_path).retrieve_job(job.job_id())
    with pytest.raises(ExecutorError):
        stored.resume().result(timeout=60)
    assert stored.status() is JobStatus.DONE


def test_a_client_that_ends_leaves_nothing_unwritten(tmp_path):
    process = script(LEAVE, tmp_path)
    done, kept = map(int, process.stdout.readline().split())
    assert process.wait(timeout=60) == 0
    assert kept < done
    (job,) = AerSimulator(store=tmp_path).jobs()
    assert (job.status(), len(job._kept().results[0]) >= done) == (JobStatus.CANCELLED, True)


def test_two_clients_at_once_on_one_store_do_no_harm(client, tmp_path):
    processes = [script(START, client.scheduler.address, tmp_path) for _ in range(2)]
    assert [process.wait(timeout=200) for process in processes] == [0, 0]
    job = start_run(client, store=str(tmp_path), shots=SHOTS, max_shot_size=SHOTS)
    assert differences(job.result(timeout=60), expected(SHOTS)) == []
    assert job.progress().total == 0
    assert len(AerSimulator(store=tmp_path).jobs()) == 3


def ansatz():
    """A circuit of two parameters that saves the energy of a small Hamiltonian."""
    a, b = Parameter("a"), Parameter("b")
    circuit = QuantumCircuit(2)
    circuit.ry(a, 0)
    circuit.ry(b, 1)
    circuit.cx(0, 1)
    circuit.save_expectation_value(SparsePauliOp(["ZZ", "XI", "IX"], [1, 0.4, 0.3]), [0, 1],
                                   label="energy")  # fmt: skip
    return circuit


def test_a_vqe_that_is_started_again_costs_nothing_up_to_where_it_was(pool, tmp_path):
    circuit = ansatz()

    def run(steps):
        reports, energies = [], []

        def energy(values):
            if len(energies) == steps:
                raise InterruptedError
            backend = AerSimulator(executor=pool, store=tmp_path)
            job = backend.run(circuit.assign_parameters(values), shots=1, seed_simulator=1)
            energies.append(job.result(timeout=60).data()["energy"])
            reports.append(job.report())
            return energies[-1]

        with contextlib.suppress(InterruptedError):
            minimize(energy, [0.1, 0.2], method="COBYLA", options={"maxiter": 12})
        return energies, [report.tasks for report in reports]

    first, _ = run(steps=5)
    energies, tasks = run(steps=12)
    assert energies[:5] == first
    assert tasks == [0] * 5 + [1] * (len(tasks) - 5)


def test_primitives_keep_their_results_too(pool, tmp_path):
    options = {"backend_options": {"store": str(tmp_path)}, "run_options": {"seed_simulator": 1}}
    pubs = [(bell().remove_final_measurements(inplace=False), "ZZ")] * 3
    first = EstimatorV2(options=options, executor=pool).run(pubs).result()
    again = EstimatorV2(options=options, executor=pool).run(pubs).result()
    assert [pub.data.evs for pub in first] == [pub.data.evs for pub in again]
    jobs = AerSimulator(store=tmp_path).jobs()
    assert len(jobs) == 2
    assert [len(job.results()) for job in jobs] == [3, 3]


@pytest.mark.parametrize("damage", ["cut off", "changed", "swapped", "of another run", "empty"])
def test_damaged_objects_are_told_and_computed_anew(pool, tmp_path, damage, caplog):
    caplog.set_level(logging.WARNING, logger="aer_dask")
    circuits = [mid_circuit(), bell()]
    options = {"shots": 60, "seed_simulator": 1, "memory": True, "method": "statevector"}
    backend = AerSimulator(executor=pool, store=tmp_path, noise_model=pauli_noise())
    backend.run(circuits, max_shot_size=20, **options).result()
    backend.run(circuits, max_shot_size=20, **{**options, "seed_simulator": 2}).result()
    files = sorted(tmp_path.glob("runs/*/tasks-*"))
    one = files[0]
    others = [path for path in files if path.parent != one.parent]
    run = 1 if one.parent == sorted(tmp_path.glob("runs/*"), key=os.path.getctime)[0] else 2
    data = one.read_bytes()
    one.write_bytes({
        "cut off": data[:-7], "empty": b"",
        "changed": data[:70] + bytes([data[70] ^ 1]) + data[71:],
        "swapped": files[1].read_bytes() if files[1].parent == one.parent else b"",
        "of another run": others[0].read_bytes(),
    }[damage])  # fmt: skip
    job = backend.run(circuits, **{**options, "seed_simulator": run})
    alone = plain(pauli_noise()).run(circuits, **{**options, "seed_simulator": run}).result()
    assert differences(job.result(timeout=60), alone) == []
    assert job.progress().total >= 1
    if damage != "swapped":  # what it says it is, under the name of another
        assert "is not used" in caplog.text
        assert one.name in caplog.text
    caplog.clear()
    again = backend.run(circuits, **{**options, "seed_simulator": run})
    assert differences(again.result(timeout=60), alone) == []
    assert (again.progress().total, caplog.text) == (0, "")


def test_a_request_that_was_changed_is_not_resumed(pool, tmp_path):
    backend = AerSimulator(executor=pool, store=tmp_path)
    job = backend.run(bell(), shots=10)
    job.result()
    (request,) = tmp_path.glob("runs/*/request")
    backend.run(bell("x"), shots=11, seed_simulator=1).result()
    (other,) = (each for each in tmp_path.glob("runs/*/request") if each != request)
    request.write_bytes(other.read_bytes())
    with pytest.raises(StoreError, match="was changed"):
        backend.retrieve_job(job.job_id()).resume()


def assert_not_kept(job, why, caplog):
    """The job has its result, and says once in the log and in its report why it is not kept."""
    alone = plain().run([bell()] * 3, shots=50, seed_simulator=3).result()
    assert differences(job.result(timeout=100), alone) == []
    report = job.report()
    assert why in report.not_kept
    assert report.not_kept in str(report)
    assert caplog.text.count("are not kept in") == 1


def three_bells(pool, store):
    backend = AerSimulator(executor=pool, store=store)
    return backend.run([bell()] * 3, shots=50, seed_simulator=3, max_job_size=1)


def test_a_folder_that_cannot_be_written_costs_the_job_nothing(pool, tmp_path, caplog):
    (tmp_path / "file").write_text("no folder")
    job = three_bells(pool, tmp_path / "file" / "store")
    assert_not_kept(job, "Not a directory", caplog)
    assert job.report().seconds < keeper.PATIENCE, "it is not tried again and again"


def test_a_full_disk_costs_the_job_nothing(pool, tmp_path, caplog):
    full = tmp_path / "full"
    full.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", full], check=False, capture_output=True
    )
    if mounted.returncode:
        pytest.skip("nothing can be mounted here")
    try:
        (full / "other").write_bytes(bytes(48 * 2**10))
        job = three_bells(pool, full)
        assert_not_kept(job, "No space left on device", caplog)
        assert not list(full.glob("**/.unfinished*"))
        assert job.report().seconds < keeper.PATIENCE, "it is not tried again and again"
    finally:
        subprocess.run(["umount", full], check=True)


def test_what_can_never_work_is_refused_before_anything_runs(pool):
    for store, why in [
        ("nothing://there", "Protocol not known"),
        (3, "is no place for results"),
        ("hdfs://somewhere/else", "needs a package|cannot be used"),
    ]:
        with pytest.raises(StoreError, match=why):
            AerSimulator(executor=pool).run(bell(), store=store)
    with pytest.raises(StoreError, match="There is no store"):
        AerSimulator(executor=pool).jobs()
    with pytest.raises(StoreError, match="There is no job"):
        AerSimulator(store="/tmp/aer-dask-of-no-test").retrieve_job("nobody")


def test_dasks_configuration_names_a_store_which_a_run_can_do_without(pool, tmp_path):
    import dask

    with dask.config.set({"aer-dask.store": str(tmp_path)}):
        AerSimulator(executor=pool).run(bell()).result()
        assert len(AerSimulator(executor=pool).jobs()) == 1
        assert AerSimulator(executor=pool, store=False).run(bell()).report().store == ""
        assert not isinstance(AerSimulator().run(bell()), aer_dask.AerJobSet)


def test_without_an_executor_a_store_is_used_as_well(tmp_path):
    options = {"shots": 50, "seed_simulator": 2}
    job = AerSimulator(store=tmp_path).run([mid_circuit(), bell()], **options)
    alone = plain().run([mid_circuit(), bell()], **options).result()
    assert differences(job.result(), alone) == []
    assert job.report().kept == job.progress().total > 0


def test_results_from_the_store_come_first_and_have_no_task(pool, tmp_path, monkeypatch):
    monkeypatch.setattr(keeper, "_TOGETHER", 0)  # each task is an object of its own
    backend = AerSimulator(executor=pool, store=tmp_path, method="statevector")
    options = {"shots": 30, "seed_simulator": 2, "max_job_size": 1}
    backend.run([bell(), bell(), bell()], **options).result()
    for path in sorted(tmp_path.glob("runs/*/tasks-*"))[:1]:
        path.unlink()
    job = backend.run([bell(), bell(), bell()], **options)
    order = [index for index, _ in job.as_completed(timeout=60)]
    (missing,) = {0, 1, 2} - set(order[:2])
    assert order[2] == missing
    assert job.worker(missing) == 0
    assert job.worker_results(0).success
    with pytest.raises(JobError, match="came from the store"):
        job.worker(order[0])
    assert job.progress() == (1, 1)


def test_all_from_the_store_needs_no_worker(tmp_path):
    with EmbeddedCluster(workers=1) as cluster, Client(cluster) as client:
        backend = AerSimulator(executor=client, store=tmp_path)
        first = backend.run([bell()] * 5, shots=20, seed_simulator=1).result(timeout=60)
        cluster.scale(0)
        wait_until(lambda: not client.scheduler_info()["workers"], "no worker is there")
        job = backend.run([bell()] * 5, shots=20, seed_simulator=1)
        assert differences(job.result(timeout=60), first) == []
        assert (job.status(), job.plan().tasks) == (JobStatus.DONE, ())
        assert "0 of 0" in str(job.report())


def test_a_cancelled_job_leaves_what_it_had(pool, tmp_path):
    job = start_run(pool, store=str(tmp_path), **LONG)
    wait_until(lambda: job.progress().done >= 1, "one is done")
    job.cancel()
    wait_until(lambda: kept_tasks(tmp_path) >= 1, "it is kept")
    (stored,) = AerSimulator(store=tmp_path).jobs()
    wait_until(lambda: stored.status() is JobStatus.CANCELLED, "the store knows")
    again = start_run(pool, store=str(tmp_path), **LONG)
    assert differences(again.result(timeout=120), expected(SHOTS)) == []


def test_pruning_removes_the_oldest_and_nothing_that_is_written_now(pool, tmp_path):
    backend = AerSimulator(executor=pool, store=tmp_path)
    for seed in (1, 2, 3):
        backend.run(bell(), shots=10, seed_simulator=seed).result()
    backend.run(bell(), shots=10, seed_simulator=1).result()  # used again
    sizes = [sum(path.stat().st_size for path in run.iterdir()) for run in tmp_path.glob("runs/*")]
    working = start_run(pool, store=str(tmp_path), shots=1_000_000, max_shot_size=10_000)
    wait_until(lambda: len(list(tmp_path.glob("runs/*/request"))) == 4, "it writes")
    assert prune(tmp_path) == []
    assert prune(tmp_path, older_than="1h") == []
    removed = prune(tmp_path, older_than=0.0)
    assert len(removed) == 3
    assert sum(each.size for each in removed) == sum(sizes)
    assert [len(each.jobs) for each in removed] == [1, 1, 2], "the one that was used again is last"
    (left,) = tmp_path.glob("runs/*")
    assert len(list(tmp_path.glob("jobs/*"))) == 1
    working.cancel()
    wait_until(lambda: backend.jobs()[0].status() is JobStatus.CANCELLED, "it has ended")
    assert prune(tmp_path, size="1GB") == []
    assert [each.address for each in prune(tmp_path, size=100)] == [left.name]
    assert not list(tmp_path.glob("*/*"))


def test_the_command_lists_and_prunes(pool, tmp_path):
    AerSimulator(executor=pool, store=tmp_path).run(bell(), shots=10).result()

    def command(*words):
        done = subprocess.run(
            [sys.executable, "-m", "aer_dask", "store", *words], capture_output=True, text=True,
            check=False,
        )  # fmt: skip
        return done.stdout + done.stderr

    assert "done, 1 circuits, 10 shots" in command("list", tmp_path.as_uri())
    assert "'x' is not an age" in command("prune", str(tmp_path), "--older-than", "x")
    assert "Say which" in command("prune", str(tmp_path))
    assert "1 runs were removed" in command("prune", str(tmp_path), "--older-than", "0s")
    assert command("list", str(tmp_path)) == ""


def test_numbers_of_every_kind_survive(pool, tmp_path):
    """A statevector of 17 qubits, whose bytes stand beside the rest."""
    circuit = QuantumCircuit(17)
    circuit.h(range(17))
    circuit.rz(0.3, 3)
    circuit.save_statevector()
    backend = AerSimulator(executor=pool, store=tmp_path)
    first = backend.run(circuit, seed_simulator=1).result()
    job = backend.run(circuit, seed_simulator=1)
    again = job.result()
    assert job.progress().total == 0
    assert np.array_equal(np.asarray(first.get_statevector()), np.asarray(again.get_statevector()))
    assert differences(again, first) == []
