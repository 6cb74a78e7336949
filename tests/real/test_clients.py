"""Backends over a real cluster, copied and pickled as the libraries above Qiskit do."""

import copy
import pickle
import subprocess
import sys

import dask
import distributed
import pytest
from distributed.security import Security

from aer_dask import AerSimulator, EmbeddedCluster, EstimatorV2, ExecutorError
from aer_dask.testing import differences
from tests.circuits import bell, mid_circuit, pauli_noise, plain
from tests.placement import executed

from .processes import tls_files

RUN = {"shots": 300, "seed_simulator": 6, "max_job_size": 1}
CIRCUITS = [bell(), mid_circuit("all"), bell()]

#: Unpickles a backend and circuits from its input, runs them twice, and says what came from where.
ELSEWHERE = """
import pickle, sys
import distributed
backend, circuits, run = pickle.load(sys.stdin.buffer)
before = len(distributed.Client._instances)
result = backend.run(circuits, **run).result(timeout=100)
again = pickle.loads(pickle.dumps(backend)).run(circuits, **run).result(timeout=100)
assert result.get_counts() == again.get_counts()
clients = [client.scheduler.address for client in distributed.Client._instances]
default = distributed.client._get_global_client()
pickle.dump((result, before, clients, default), sys.stdout.buffer)
"""


def run_elsewhere(backend):
    """The result of CIRCUITS in a new process, and its Dask clients before and after."""
    done = subprocess.run(
        [sys.executable, "-c", ELSEWHERE], input=pickle.dumps((backend, CIRCUITS, RUN)),
        capture_output=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr.decode()
    return pickle.loads(done.stdout)


def expected(**options):
    return plain(**options).run(CIRCUITS, shots=300, seed_simulator=6).result()


@pytest.mark.parametrize("kind", ["client", "cluster", "get_executor"])
def test_a_deep_copy_runs_over_the_same_executor(client, cluster, kind):
    executor = {"client": client, "cluster": cluster, "get_executor": client.get_executor()}[kind]
    backend = copy.deepcopy(AerSimulator(executor=executor, noise_model=pauli_noise()))
    assert backend.options.executor is executor
    result = backend.run(CIRCUITS, **RUN).result(timeout=60)
    assert differences(result, expected(noise=pauli_noise())) == []


@pytest.mark.parametrize("kind", ["client", "cluster"])
def test_a_pickled_backend_runs_in_another_process_with_the_same_bits(client, cluster, kind):
    executor = {"client": client, "cluster": cluster}[kind]
    backend = AerSimulator(executor=executor, noise_model=pauli_noise())
    result, before, clients, default = run_elsewhere(backend)
    assert differences(result, expected(noise=pauli_noise())) == []
    assert before == 0, "it connected before it was needed"
    assert clients == [cluster.scheduler_address], "not one client for both backends"
    assert default is None, "it became the process's current client"


def test_a_pickled_backend_keeps_to_the_workers_that_were_chosen(client):
    chosen = sorted(client.scheduler_info()["workers"])[0]
    backend = AerSimulator(executor=client.get_executor(workers=[chosen]))
    again = pickle.loads(pickle.dumps(backend))
    job = again.run(CIRCUITS, **RUN)
    assert differences(job.result(timeout=60), expected()) == []
    assert [worker for worker, tasks in executed(client, job).items() if tasks] == [chosen]


def test_a_pickled_primitive_estimates_in_another_process(client):
    pub = (bell().remove_final_measurements(inplace=False), "ZZ")
    estimator = pickle.loads(pickle.dumps(EstimatorV2(executor=client)))
    assert estimator.run([pub]).result()[0].data.evs == 1
    assert copy.deepcopy(estimator)._backend.options.executor.address == client.scheduler.address


def test_a_pickle_opens_tls_connections_with_the_files_of_its_client(tmp_path):
    files = tls_files(tmp_path)
    with (
        distributed.LocalCluster(
            n_workers=1, threads_per_worker=1, preload="aer_dask.worker", dashboard_address=None,
            security=Security(**files),
        ) as cluster,
        distributed.Client(cluster, set_as_default=False) as client,
    ):  # fmt: skip
        assert client.scheduler.address.startswith("tls://")
        client.wait_for_workers(1, timeout=60)
        result, _, clients, _ = run_elsewhere(AerSimulator(executor=client))
        assert clients == [client.scheduler.address]
        assert differences(result, expected()) == []


def test_a_pickle_says_in_a_sentence_that_its_scheduler_is_gone():
    with (
        EmbeddedCluster(workers=1) as cluster,
        distributed.Client(cluster, set_as_default=False) as client,
    ):
        backend = AerSimulator(executor=client)
        carried = pickle.dumps(backend)
    with pytest.raises(ExecutorError, match="has no scheduler, because it is closed"):
        pickle.dumps(backend)
    with (
        dask.config.set({"distributed.comm.timeouts.connect": "1s"}),
        pytest.raises(ExecutorError, match=r"scheduler at tcp://.* cannot be reached from here"),
    ):
        pickle.loads(carried).run(bell())
