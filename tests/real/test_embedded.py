"""The embedded cluster: ready at once, deaf to Ctrl-C, and a hung worker does not hang its job."""

import contextlib
import os
import signal
import subprocess
import sys

import pytest
from dask import config
from distributed import Client
from distributed.security import Security

from aer_dask import AerSimulator, EmbeddedCluster
from aer_dask.testing import differences
from tests.circuits import bell, pauli_noise, plain, volume
from tests.waiting import wait_until

from .processes import tls_files

PROGRAM = """
import signal, sys, time
from aer_dask import AerSimulator, EmbeddedCluster
from tests.circuits import bell, pauli_noise, volume

if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job has none
    with EmbeddedCluster(workers=1) as cluster:
        try:
            print("up", flush=True)  # in here: it is interrupted as soon as this is read
            time.sleep(60)
        except KeyboardInterrupt:
            print(AerSimulator(executor=cluster).run(bell()).result(30).success, flush=True)
"""


def test_it_is_ready_when_its_constructor_returns():
    with EmbeddedCluster(workers=2) as cluster, Client(cluster, set_as_default=False) as client:
        assert len(client.scheduler_info(n_workers=-1)["workers"]) == 2


def test_a_worker_that_cannot_start_is_named_at_once(tmp_path):
    (tmp_path / "sitecustomize.py").write_text(
        "import sys\nif 'worker' in sys.orig_argv: sys.exit(3)\n"
    )
    with pytest.raises(RuntimeError, match=r"worker 0 did not start; it exited with status"):
        EmbeddedCluster(workers=1, settings={"PYTHONPATH": str(tmp_path)})


def test_a_worker_that_has_died_with_its_nanny_is_started_again_by_scale():
    with (
        config.set({"distributed.deploy.lost-worker-timeout": "1s"}),
        EmbeddedCluster(workers=1) as cluster,
        Client(cluster, set_as_default=False) as client,
    ):
        os.killpg(cluster.workers[0].process.pid, signal.SIGKILL)
        wait_until(lambda: not cluster.workers, "it is forgotten")
        cluster.scale(1)
        client.wait_for_workers(1, timeout=60)
        assert AerSimulator(executor=client).run(bell()).result(60).success


def test_it_runs_over_tls(tmp_path):
    files = tls_files(tmp_path)
    settings = {"DASK_DISTRIBUTED__COMM__REQUIRE_ENCRYPTION": "true"} | {
        "DASK_DISTRIBUTED__COMM__TLS__" + name.removeprefix("tls_").upper().replace(
            "_CERT", "__CERT").replace("_KEY", "__KEY"): path
        for name, path in files.items()
    }  # fmt: skip
    security = Security(**files, require_encryption=True)
    with EmbeddedCluster(workers=1, settings=settings, security=security) as cluster:
        assert cluster.scheduler_address.startswith("tls://")
        assert AerSimulator(executor=cluster).run(bell()).result(60).success


def test_it_survives_ctrl_c():
    program = subprocess.Popen(
        [sys.executable, "-c", PROGRAM], stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    assert program.stdout.readline() == "up\n"
    os.killpg(program.pid, signal.SIGINT)  # what a terminal does
    assert program.stdout.readline() == "True\n"
    assert program.wait(timeout=60) == 0


DEFAULT = """
from aer_dask import AerSimulator, EmbeddedCluster
from distributed import default_client
from tests.circuits import bell

if __name__ == "__main__":
    with EmbeddedCluster(workers=1) as cluster:
        assert AerSimulator(executor=cluster).run(bell()).result(60).success
        try:
            print(default_client())
        except ValueError:
            print("none")
"""


def test_a_cluster_that_is_an_executor_gives_the_process_no_default_client():
    done = subprocess.run(
        [sys.executable, "-c", DEFAULT], capture_output=True, text=True, timeout=120, check=False
    )
    assert (done.stdout, done.returncode) == ("none\n", 0), done.stderr


#: Two clusters, one after another, and what is left of them a while later.
CLOSED = """
import threading, time
from aer_dask import AerSimulator, EmbeddedCluster
from tests.circuits import bell

if __name__ == "__main__":
    for _ in range(2):
        with EmbeddedCluster(workers=1) as cluster:
            assert AerSimulator(executor=cluster).run(bell()).result(60).success
    end = time.monotonic() + 20
    while (left := [t.name for t in threading.enumerate() if "IO loop" in t.name]):
        assert time.monotonic() < end, left
        time.sleep(0.1)
"""


def test_a_cluster_that_was_an_executor_leaves_no_client_when_it_is_closed():
    done = subprocess.run(
        [sys.executable, "-c", CLOSED], capture_output=True, text=True, timeout=120, check=False
    )
    assert (done.stderr, done.returncode) == ("", 0)


def test_a_hung_worker_costs_only_the_task_that_it_runs():
    circuit, noise = volume(9), pauli_noise()
    options = {"shots": 240, "seed_simulator": 9, "memory": True, "max_shot_size": 30}
    settings = {"DASK_DISTRIBUTED__SCHEDULER__WORKER_TTL": "3s"}
    with (
        EmbeddedCluster(workers=2, settings=settings) as cluster,
        Client(cluster, set_as_default=False) as client,
    ):
        hung = next(iter(client.run(os.getpid).values()))
        backend = AerSimulator(executor=client, noise_model=noise, method="statevector")
        job = backend.run(circuit, **options)
        wait_until(lambda: job.progress().done, "the first task is done")
        os.kill(hung, signal.SIGSTOP)
        found = job.result(timeout=60)
        with contextlib.suppress(ProcessLookupError):  # its nanny may have ended it
            os.kill(hung, signal.SIGKILL)
    options.pop("max_shot_size")
    expected = plain(noise, method="statevector").run(circuit, **options).result()
    assert differences(found, expected) == []


LEAVING = """
import concurrent.futures, sys, time
import psutil
from aer_dask import AerSimulator, EmbeddedCluster
from distributed import Client
from distributed.security import Security
from tests.circuits import pauli_noise, volume

kill = psutil.Process.kill

def as_on_a_busy_machine(process):
    kill(process)
    time.sleep(0.5)

psutil.Process.kill = as_on_a_busy_machine

def executor(kind):
    if kind == "dask":
        return Client(EmbeddedCluster(workers=1))
    return {"threads": concurrent.futures.ThreadPoolExecutor,
            "processes": concurrent.futures.ProcessPoolExecutor}[kind](1)

if __name__ == "__main__":
    backend = AerSimulator(executor=executor(sys.argv[1]), noise_model=pauli_noise())
    backend.run([volume(9)] * 4, shots=1_000_000, method="statevector", max_job_size=1)
    print("running", flush=True)
"""


def leave(kind, folder, **environment):
    """Run a program that leaves Python with a running job."""
    program = folder / "leaving.py"
    program.write_text(LEAVING)
    paths = os.pathsep.join((str(folder), *sys.path))
    return subprocess.run(
        [sys.executable, str(program), kind], capture_output=True, text=True, timeout=60,
        check=False, env={**os.environ, **environment, "PYTHONPATH": paths},
    )  # fmt: skip


@pytest.mark.parametrize("kind", ["dask", "threads", "processes"])
def test_leaving_python_with_a_running_job_is_quick_and_quiet(kind, tmp_path):
    done = leave(kind, tmp_path)
    assert (done.returncode, done.stdout) == (0, "running\n")
    if kind == "processes":  # Python 3.11 itself complains of a pool that was never shut down
        assert "aer_dask" not in done.stderr
        assert "cannot schedule" not in done.stderr
    else:
        assert done.stderr == ""


SLOW_GRAPHS = """
import time
import distributed.scheduler

take_in = distributed.scheduler._materialize_graph

def slowly(*arguments, **options):
    time.sleep(0.5)
    return take_in(*arguments, **options)

distributed.scheduler._materialize_graph = slowly
"""


def test_leaving_python_is_quiet_while_the_scheduler_takes_in_a_graph(tmp_path):
    (tmp_path / "slow_graphs.py").write_text(SLOW_GRAPHS)
    done = leave("dask", tmp_path, DASK_DISTRIBUTED__SCHEDULER__PRELOAD="slow_graphs")
    assert (done.returncode, done.stdout, done.stderr) == (0, "running\n", "")
