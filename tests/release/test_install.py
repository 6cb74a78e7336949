"""The chart installs from every values file, passes its own tests, and leaves nothing."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
from pytest_helm_charts.clusters import Cluster

from ..chart.rendering import CHART, ROOT, Values
from .release import MINIKUBE, Release, until

pytestmark = pytest.mark.timeout(900)

VALUES = ROOT / "values"
#: What the files that this cluster can run name and it lacks: a registry, a storage class.
HERE: dict[str, Values] = {
    "onprem": {
        "image.registry": "",
        "jupyter.persistence.storageClass": "",
        "jupyter.persistence.accessModes": ["ReadWriteOnce"],
    },
}
#: The kinds of objects that an uninstall leaves, by values file; onprem.yaml says so.
KEPT = {"onprem": {"persistentvolumeclaim/aer-aer-dask-jupyter"}}
QUOTA = {
    "apiVersion": "v1",
    "kind": "ResourceQuota",
    "metadata": {"name": "limits-for-all"},
    "spec": {"hard": {"limits.cpu": "16", "limits.memory": "32Gi"}},
}


@pytest.mark.parametrize("name", ["default", "minikube", "restricted", "onprem"])
def test_install_becomes_ready_passes_helm_test_and_leaves_nothing(
    release: Release, foreign_kinds: None, name: str
) -> None:
    files = [] if name == "default" else [VALUES / f"{name}.yaml"]
    if name == "restricted":
        release.kubectl("apply", "--filename=-", text=json.dumps(QUOTA))
    release.install(*files, values=HERE.get(name))

    # the autoscaler adds the second worker
    until("two workers are ready", lambda: release.ready("worker") >= 2, 120)
    assert release.ready("scheduler") == release.ready("jupyter") == 1

    said = release.helm("test", release.name, "--timeout=10m")
    assert said.count("Phase:          Succeeded") == 4, said

    release.uninstall()
    kept = KEPT.get(name, set())
    until(f"only {kept} is left", lambda: release.left() == kept, 120)


@pytest.mark.parametrize(
    "file", sorted(VALUES.rglob("*.yaml")), ids=lambda file: str(file.relative_to(VALUES))
)
def test_the_api_server_accepts_what_every_values_file_makes(
    release: Release, foreign_kinds: None, file: Path
) -> None:
    """Pods too: the namespace warns of those that the `restricted` standard would refuse."""
    warn = "pod-security.kubernetes.io/warn=restricted"
    release.kubectl("label", "namespace", release.namespace, warn)
    dry = ["--dry-run=server", "--output=json", f"--values={file}"]
    manifest = json.loads(release.helm("install", release.name, CHART, *dry))["manifest"]
    where = ["--kubeconfig", release.cluster.kube_config_path, "-n", release.namespace]
    done = subprocess.run(
        ["kubectl", *where, "apply", "--dry-run=server", "--filename=-"],
        input=manifest, text=True, capture_output=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "would violate" not in done.stderr


def test_two_releases_share_a_namespace_and_nothing_else(
    kube_cluster: Cluster, release: Release
) -> None:
    other = Release(kube_cluster, release.namespace, "other")
    for one in (release, other):
        one.install(MINIKUBE, values={"jupyter.enabled": False})
    for one in (release, other):
        assert len(one.pods()) == 2
        own = {pod["metadata"]["name"] for pod in one.pods()}
        assert workers(one) == own, "a ready worker is one that its scheduler knows"
    release.uninstall()
    until("nothing is left of the first", lambda: not release.left(), 120)
    assert len(workers(other)) == 2


WORKERS = """
from distributed import Client
with Client("tcp://localhost:8786") as client:
    for worker in client.scheduler_info(n_workers=-1)["workers"].values():
        print(worker["name"])
"""


def workers(release: Release) -> set[str]:
    """The names of the workers that a release's scheduler knows; a worker is called as its pod."""
    return set(release.execute("scheduler", "python", "-c", WORKERS).split())
