"""A backend with an executor is copied, and pickled where its executor can be reached again."""

import copy
import pickle
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_context

import pytest
from distributed.deploy.cluster import Cluster
from distributed.security import Security

from aer_dask import AerSimulator, ExecutorError
from aer_dask.testing import differences
from tests.circuits import bell, pauli_noise, plain

POOLS = {
    "threads": lambda: ThreadPoolExecutor(1),
    # not forked: Aer's threads would be missing in the child, which would wait for them for ever
    "processes": lambda: ProcessPoolExecutor(1, mp_context=get_context("spawn")),
}


@pytest.fixture(params=POOLS)
def pool(request):
    with POOLS[request.param]() as pool:
        yield pool


class Elsewhere(Cluster):
    """A cluster that is known by its address alone."""

    def __init__(self, address, security=None):
        super().__init__()
        self.address = address
        self.security = security

    @property
    def scheduler_address(self):
        return self.address


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy])
def test_copies_of_a_backend_share_its_executor(pool, copied):
    backend = AerSimulator(executor=pool, seed_simulator=4)
    again = copied(backend)
    assert again.options.executor is backend.options.executor is pool
    assert copied(backend.options).executor is pool
    expected = plain(seed_simulator=4).run(bell()).result()
    assert differences(again.run(bell()).result(timeout=60), expected) == []


def test_a_deep_copy_has_all_other_options_of_its_own(pool):
    backend = AerSimulator(executor=pool, noise_model=pauli_noise(), shots=10)
    again = copy.deepcopy(backend)
    assert again.options.noise_model == backend.options.noise_model
    assert again.options.noise_model is not backend.options.noise_model
    again.set_options(shots=20, executor=None)
    assert (backend.options.shots, backend.options.executor) == (10, pool)


def test_a_copied_pair_of_backends_shares_one_executor(pool):
    pair = copy.deepcopy([AerSimulator(executor=pool), AerSimulator(executor=pool)])
    assert all(backend.options.executor is pool for backend in pair)


def test_a_pool_is_refused_by_pickle_in_a_sentence(pool):
    backend = AerSimulator(executor=pool)
    with pytest.raises(ExecutorError, match="PoolExecutor cannot leave its process, so a backend"):
        pickle.dumps(backend)
    backend.set_options(executor=None)
    assert pickle.loads(pickle.dumps(backend)).options.executor is None


@pytest.mark.parametrize("executor", [None, "dask"])
def test_no_executor_and_the_current_client_travel_as_they_are(executor):
    backend = AerSimulator(executor=executor, shots=7, method="statevector")
    again = pickle.loads(pickle.dumps(backend))
    assert again.options == backend.options
    assert type(again.options) is type(backend.options)


def test_a_pickle_carries_an_address_and_the_paths_of_tls_files(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    security = Security(
        tls_ca_file="ca.pem", tls_client_cert="/keys/cert.pem", tls_client_key="/keys/key.pem",
        tls_worker_key="/keys/worker.pem", require_encryption=True,
    )  # fmt: skip
    backend = AerSimulator(executor=Elsewhere("tls://scheduler:8786", security))
    carried = pickle.loads(pickle.dumps(backend)).options.executor
    assert carried.address == "tls://scheduler:8786"
    security = dict(carried.security)
    assert security["tls_ca_file"] == str(tmp_path / "ca.pem")
    assert security["tls_client_cert"] == "/keys/cert.pem"
    assert security["tls_client_key"] == "/keys/key.pem"
    assert security["require_encryption"]
    assert "tls_worker_key" not in security
    assert pickle.loads(pickle.dumps(carried)) == carried
    assert copy.deepcopy(carried) == carried


@pytest.mark.parametrize(
    ("address", "security", "sentence"),
    [
        ("tls://scheduler:8786", Security.temporary(), "exist in this process only"),
        ("tcp://scheduler:8786", Security(extra_conn_args={"a": 1}), "exist in this process only"),
        ("inproc://10.0.0.1/1/1", None, "in the threads of this process"),
        ("<Not Connected>", None, "has no scheduler"),
    ],
)
def test_what_no_other_process_can_reach_is_refused_by_pickle_in_a_sentence(
    address, security, sentence
):
    backend = AerSimulator(executor=Elsewhere(address, security))
    with pytest.raises(ExecutorError, match=sentence):
        pickle.dumps(backend)
    assert copy.deepcopy(backend).options.executor is backend.options.executor
