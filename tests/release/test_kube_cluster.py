"""Clusters of dask-kubernetes' operator: the tutorial's own script, and what our class adds."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress

import dask.array as da
import pytest
import qiskit_aer
from distributed import Client
from qiskit import QuantumCircuit, transpile
from qiskit.circuit.library import quantum_volume

from aer_dask import AerSimulator, ClusterError, KubeCluster
from aer_dask.clusters import kube
from aer_dask.testing import differences

from ..chart.rendering import ROOT
from .release import MINIKUBE, Release, until

pytestmark = pytest.mark.timeout(900)

#: All that the operator makes.
KINDS = "daskclusters,daskworkergroups,daskautoscalers,deployments,services,pods"


def tutorials_circuits() -> list[QuantumCircuit]:
    circuits = [quantum_volume(10, seed=seed) for seed in range(12)]
    for circuit in circuits:
        circuit.measure_all()
    return transpile(circuits, qiskit_aer.AerSimulator(), optimization_level=0)


def expected() -> str:
    """What the tutorial's scripts print of plain Aer's counts."""
    plain = qiskit_aer.AerSimulator().run(tutorials_circuits(), shots=1000, seed_simulator=7)
    return plain.result().get_counts(0).most_frequent()


def run(release: Release, script: str, folder) -> str:
    """What a script prints, with the release's namespace as the context's."""
    environment = os.environ | {"KUBECONFIG": str(release.kubeconfig(folder))}
    command = [sys.executable, "-W", "ignore", str(ROOT / "examples" / script)]
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def left(release: Release) -> list[str]:
    found = json.loads(release.kubectl("get", KINDS, "--output=json"))["items"]
    return [f"{each['kind']}/{each['metadata']['name']}" for each in found]


def assert_nothing_is_left(release: Release) -> None:
    with suppress(AssertionError):  # the next one says what
        until(lambda: not left(release), "nothing is left", 120)
    assert left(release) == []


def test_without_an_operator_it_says_how_to_install_one(
    release: Release, tmp_path, monkeypatch
) -> None:
    monkeypatch.setenv("KUBECONFIG", str(release.kubeconfig(tmp_path)))
    with pytest.raises(ClusterError, match=r"knows no DaskCluster\. .*`make operator`"):
        KubeCluster(name="none", quiet=True)


def test_the_tutorials_script_runs_and_leaves_nothing(release: Release, operator, tmp_path) -> None:
    shutil.copy(ROOT / "values" / "worker-spec.yml", tmp_path)
    # (a frame with what it waits for stands before it)
    assert run(release, "kube_cluster.py", tmp_path).endswith(f"1.0\n{expected()}\n")
    assert_nothing_is_left(release)


def test_the_tutorials_steps_run_on_a_release(release: Release, tmp_path) -> None:
    release.install(MINIKUBE, values={"jupyter.enabled": False})
    assert run(release, "helm_cluster.py", tmp_path) == f"1.0\n{expected()}\n"


def test_a_cluster_of_the_operator_is_scaled_while_it_works(
    release: Release, operator, tmp_path, monkeypatch
) -> None:
    monkeypatch.setenv("KUBECONFIG", str(release.kubeconfig(tmp_path)))
    resources = {
        "requests": {"cpu": "100m", "memory": "256Mi"},
        "limits": {"cpu": 2, "memory": "1Gi"},
    }
    page = (ROOT / "docs" / "clusters.md").read_text()
    for policy in re.findall(r"```yaml\n(.*?)```", page, re.DOTALL):
        release.kubectl("apply", "--filename=-", text=policy)
    circuits, options = tutorials_circuits(), {"shots": 1000, "seed_simulator": 7}
    plain = qiskit_aer.AerSimulator().run(circuits, **options).result()
    with (
        KubeCluster(n_workers=2, resources=resources, env={"MARK": 7}, quiet=True) as cluster,
        Client(cluster) as client,
    ):
        client.wait_for_workers(2, timeout=120)
        asked = client.run(lambda: [os.environ[name] for name in ("MARK", "AER_DASK_THREADS")])
        assert list(asked.values()) == [["7", "2"]] * 2
        backend = AerSimulator(executor=cluster)
        cluster.scale(3)
        job = backend.run(circuits, **options)
        client.wait_for_workers(3, timeout=120)
        assert "Scheduler" in "".join(cluster.get_logs().values())
        cluster.adapt(minimum=1, maximum=10)
        until(lambda: len(cluster.scheduler_info["workers"]) < 3, "a worker has gone", 120)
        assert differences(job.result(300), plain) == []
        assert da.ones((1000, 1000, 1000)).mean().compute() == 1.0
        assert differences(backend.run(circuits, **options).result(300), plain) == []
    assert_nothing_is_left(release)


def test_who_may_not_make_clusters_is_told_which_right_is_missing(
    release: Release, operator, tmp_path, monkeypatch
) -> None:
    token = release.kubectl("create", "token", "default").strip()
    monkeypatch.setenv("KUBECONFIG", str(release.kubeconfig(tmp_path, token)))
    with pytest.raises(ClusterError, match=r'cannot list resource "daskclusters".* Ask whoever'):
        KubeCluster(quiet=True)


def test_whoever_connects_to_a_cluster_leaves_it(
    release: Release, operator, tmp_path, monkeypatch
) -> None:
    monkeypatch.setenv("KUBECONFIG", str(release.kubeconfig(tmp_path)))
    spec = ROOT / "values" / "worker-spec.yml"
    with KubeCluster(spec, quiet=True) as cluster, Client(cluster) as client:
        with KubeCluster(spec, quiet=True) as same:
            assert same.name == cluster.name
        with KubeCluster(spec, name="another", quiet=True):
            assert "DaskCluster/another" in left(release)
        assert client.submit(sum, [1, 2]).result(timeout=60) == 3
        assert [name for name in left(release) if name.startswith("DaskC")] == [
            "DaskCluster/ad-hoc"
        ]


def test_a_start_that_fails_or_is_interrupted_leaves_nothing(
    release: Release, operator, tmp_path, monkeypatch
) -> None:
    monkeypatch.setenv("KUBECONFIG", str(release.kubeconfig(tmp_path)))
    spec = kube.default_manifest()
    (container,) = spec["spec"]["scheduler"]["spec"]["containers"]
    container["args"].append("--no-such-option")
    with pytest.raises(ClusterError, match=r"(?s)does not start; its log says: .*--no-such-option"):
        KubeCluster(spec, quiet=True, resource_timeout=30)

    def interrupt() -> None:
        until(lambda: "DaskCluster/interrupted" in left(release), "it is being made", 60)
        os.kill(os.getpid(), signal.SIGINT)

    interrupter = threading.Thread(target=interrupt)
    interrupter.start()
    with pytest.raises(KeyboardInterrupt):
        KubeCluster(name="interrupted", image="none:none", quiet=True)
    interrupter.join()
    assert_nothing_is_left(release)


def test_closing_takes_away_what_the_operator_has_not_come_to(
    release: Release, operator, tmp_path, monkeypatch
) -> None:
    """It makes whatever is made its cluster's a moment later, and never if that has gone."""
    monkeypatch.setenv("KUBECONFIG", str(release.kubeconfig(tmp_path)))
    cluster = KubeCluster(name="early", quiet=True)

    def let_go() -> None:
        """What the operator does last, once its handlers for the cluster have ended."""
        until(lambda: "deletionTimestamp" in release.kubectl(*get), "it is being deleted", 60)
        none = json.dumps({"metadata": {"finalizers": []}})
        release.kubectl("patch", "daskcluster/early", "--type=merge", f"--patch={none}")

    get = ("get", "daskcluster/early", "--output=json")
    with without_the_operator(release), ThreadPoolExecutor() as aside:
        cluster.add_worker_group("late", n_workers=0)
        cluster.adapt(minimum=1, maximum=2)
        letting_go = aside.submit(let_go)
        cluster.close()
        letting_go.result()
        assert_nothing_is_left(release)


@contextmanager
def without_the_operator(release: Release) -> Iterator[None]:
    place = ("--namespace=dask-operator", "deployment/dask-operator")
    release.kubectl("scale", "--replicas=0", *place)
    try:
        release.kubectl(
            "wait", "--for=delete", "pod", "--all", "--timeout=60s", "--namespace=dask-operator"
        )
        yield
    finally:
        release.kubectl("scale", "--replicas=1", *place)
        release.kubectl("rollout", "status", "--timeout=120s", *place)


def test_pods_that_cannot_run_are_told_with_the_reason_of_kubernetes(
    release: Release, operator, tmp_path, monkeypatch
) -> None:
    monkeypatch.setenv("KUBECONFIG", str(release.kubeconfig(tmp_path)))
    huge = {"limits": {"cpu": 1, "memory": "900Gi"}}
    with KubeCluster(quiet=True) as cluster:
        cluster.add_worker_group("huge", n_workers=1, resources=huge)
        with (
            Client(cluster) as client,
            pytest.raises(ClusterError, match=r"0 of 1 workers .* Pending: .* Insufficient memory"),
        ):
            client.wait_for_workers(1, timeout=30)
    monkeypatch.setattr(kube, "_START", 30.0)
    with pytest.raises(ClusterError, match=r"not there after 30 s: pod .* Insufficient memory"):
        KubeCluster(resources=huge, resource_timeout=30, quiet=True)
    assert_nothing_is_left(release)
