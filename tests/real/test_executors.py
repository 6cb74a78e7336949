"""What a user gives as executor: chosen workers, several clients, and options at the scheduler."""

import concurrent.futures
import os
import signal
import subprocess
import sys

import pytest
from distributed import Client
from qiskit.providers import JobError
from qiskit_aer import AerError
from qiskit_aer.noise import NoiseModel, depolarizing_error

from aer_dask import AerSimulator, ExecutorError
from aer_dask.compile import codec
from aer_dask.executors.session import session_of
from aer_dask.executors.shared_store import NAME
from aer_dask.jobs import driver
from aer_dask.runs.run import Run
from aer_dask.testing import differences
from tests.circuits import bell, mid_circuit, pauli_noise, plain, volume
from tests.waiting import wait_until

from .runs import expected, start_run

#: A program that makes no client.
NAMED = """
from aer_dask import AerSimulator
from tests.circuits import bell
for _ in range(2):
    job = AerSimulator(executor="dask").run(bell())
    print(job.result(60).success, len(job.attempts()))
"""


def test_where_dasks_configuration_has_a_scheduler_the_name_of_dask_is_enough(cluster):
    environment = os.environ | {"DASK_SCHEDULER_ADDRESS": cluster.scheduler_address}
    command = [sys.executable, "-W", "ignore", "-c", NAMED]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert done.stdout == "True 1\n" * 2


def noise(probability):
    model = NoiseModel()
    model.add_all_qubit_quantum_error(depolarizing_error(probability, 1), ["h"])
    return model


def kept(client):
    """The digests of options and noise models that the scheduler keeps, with their holders."""
    return client.run_on_scheduler(
        lambda name, dask_scheduler: {
            digest: set(holders)
            for digest, holders in dask_scheduler.plugins[name]._holders.items()
        },
        NAME,
    )


def test_even_a_few_tasks_wait_at_the_scheduler_and_not_at_a_busy_worker(client):
    circuits, options = [volume(12, seed) for seed in range(4)], {"method": "statevector"}
    backend = AerSimulator(executor=client, noise_model=pauli_noise(), **options)
    job = backend.run(circuits, shots=5000, max_job_size=1, max_shot_size=5000)

    def states():
        return client.run_on_scheduler(
            lambda job_id, dask_scheduler: sorted(
                task.state for key, task in dask_scheduler.tasks.items() if job_id in str(key)
            ),
            job.job_id(),
        )

    try:
        wait_until(lambda: len(states()) == 4, "all tasks are there")
        assert states() == ["processing", "processing", "queued", "queued"]
    finally:
        job.cancel()


@pytest.mark.parametrize("by", ["name", "host", "address"])
def test_workers_can_be_chosen_by_name_host_and_address(client, by):
    address, worker = next(iter(client.scheduler_info(n_workers=-1)["workers"].items()))
    chosen = {"name": worker["name"], "host": "localhost", "address": address}[by]
    job = AerSimulator(executor=client.get_executor(workers=[chosen])).run(bell())
    assert job.result(60).success


def test_a_chosen_worker_that_is_not_there_is_refused_with_those_that_are(client):
    executor = client.get_executor(workers=["nobody"])
    with pytest.raises(
        ExecutorError, match=r"None of the chosen workers \['nobody'\].* it has 0, 1"
    ):
        AerSimulator(executor=executor).run(bell())


def test_a_job_names_its_executor_however_it_was_given(client):
    assert AerSimulator().run(bell(), executor=client).executor() is client
    assert AerSimulator(executor=client).run(bell()).executor() is client
    assert AerSimulator().run(bell(), executor="dask").executor() == "dask"


def test_each_run_of_a_batch_has_its_own_seed(client):
    backend = AerSimulator(executor=client)
    requests = [(mid_circuit(), None, {"seed_simulator": seed, "shots": 50}) for seed in (3, 99)]
    results = backend.run_batches(requests, memory=True).results(60)
    for (circuit, _, options), found in zip(requests, results, strict=True):
        expected = plain().run(circuit, memory=True, **options).result()
        assert differences(found, expected) == []


@pytest.fixture
def gate(client, tmp_path):
    """A function that lets the workers go on; until then they begin no task."""
    opened = tmp_path / "gate"

    def block(_):
        wait_until(opened.exists, "the gate opens", seconds=120)

    blocking = client.map(block, range(2), pure=False)
    yield opened.touch
    opened.touch()
    client.gather(blocking)


def test_many_jobs_with_noise_models_of_their_own_disturb_nobody(client, gate):
    jobs = []
    for index in range(24):
        backend = AerSimulator(executor=client, noise_model=noise(0.01 * (index + 1)))
        jobs.append(backend.run([bell()] * 4, max_job_size=1, seed_simulator=1))
    gate()
    for index, job in enumerate(jobs):
        expected = plain(noise(0.01 * (index + 1))).run([bell()] * 4, seed_simulator=1).result()
        assert differences(job.result(60), expected) == []
    assert [job.attempts() for job in jobs] == [[1, 1, 1, 1]] * 24


def test_options_go_with_the_client_that_brought_them(client):
    before = kept(client)
    ours = None
    for index in range(5):
        with Client(client.scheduler.address, set_as_default=False) as short_lived:
            backend = AerSimulator(executor=short_lived, noise_model=noise(0.5 + index / 100))
            backend.run(bell()).result(60)
            ours = short_lived.id
            assert any(ours in holders for holders in kept(client).values())
    wait_until(lambda: ours not in set().union(*kept(client).values(), {""}), "it is forgotten")
    assert kept(client).items() <= before.items()


def test_options_that_the_scheduler_has_forgotten_cost_no_attempt(client, gate, monkeypatch):
    monkeypatch.setattr(driver, "ATTEMPTS", 1)
    backend = AerSimulator(executor=client, noise_model=noise(0.123))
    job = backend.run([bell()] * 4, max_job_size=1, seed_simulator=1)
    client.run_on_scheduler(
        lambda name, dask_scheduler: dask_scheduler.plugins[name].__init__(), NAME
    )
    gate()
    expected = plain(noise(0.123)).run([bell()] * 4, seed_simulator=1).result()
    assert differences(job.result(60), expected) == []
    assert max(job.attempts()) > 1


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"max_job_size": "a"}, "max_job_size must be a whole number of at least 1, not 'a'"),
        ({"max_shot_size": 1, "shots": 1_000_000}, "max_shot_size=1 would make 1,000,000 tasks"),
    ],
)
def test_sizes_that_make_no_sense_are_refused_in_a_sentence(client, options, sentence):
    with pytest.raises(AerError, match=sentence):
        AerSimulator(executor=client).run(mid_circuit(), **options)


class Raises:
    """Raises an OSError where it is unpickled: in the task."""

    def __reduce__(self):
        return exec, ("raise OSError('of the task itself')",)


def test_a_job_that_has_all_its_results_ends_while_another_one_waits_for_a_worker(client):
    job = start_run(client)
    with session_of(client)._lock:  # as the other one, while it looks at the worker's versions
        assert job.result(60).success


@pytest.mark.parametrize("kind", ["dask", "threads"])
def test_an_error_of_the_task_itself_is_raised_and_not_repeated(client, kind, monkeypatch):
    monkeypatch.setattr(Run, "payload", lambda self, task: codec.encode(Raises()))
    with concurrent.futures.ThreadPoolExecutor(1) as threads:
        job = AerSimulator(executor={"dask": client, "threads": threads}[kind]).run(bell())
        with pytest.raises(OSError, match="of the task itself"):
            job.result(60)
    assert job.attempts() == [1]


def test_a_chosen_worker_that_is_restarted_gets_its_tasks_again(own_cluster):
    client = own_cluster(2)
    by_name = {w["name"]: a for a, w in client.scheduler_info(n_workers=-1)["workers"].items()}
    pid = client.run(os.getpid)[by_name[1]]
    executor = client.get_executor(workers=["1"])  # the name is a number for Dask
    job = start_run(executor)
    wait_until(lambda: job.progress().done, "the first task is done")
    os.kill(pid, signal.SIGKILL)
    assert differences(job.result(timeout=120), expected()) == []


def test_a_circuit_that_aer_cannot_load_fails_as_in_plain_aer(client):
    twice = bell()
    twice.save_statevector(label="same")
    twice.save_statevector(label="same")
    job = AerSimulator(executor=client).run([bell(), twice], max_job_size=1)
    assert "Duplicate key" in job.result(60).status
    assert "Duplicate key" in job.worker_results(1).status
    with pytest.raises(JobError, match="Duplicate key"):
        list(job.as_completed())
