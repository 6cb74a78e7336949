"""The chart installs from every values file, passes its own tests, and leaves nothing."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
import yaml
from pytest_helm_charts.clusters import Cluster

from ..chart.rendering import CHART, EVERYTHING, MINIKUBE_ROOM, ROOT, Values, quantity
from ..kubernetes.manifests import documents, pod
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


@pytest.mark.parametrize("name", ["default", "restricted", "onprem"])
def test_install_becomes_ready_passes_helm_test_and_leaves_nothing(
    release: Release, foreign_kinds: None, name: str
) -> None:
    files = [] if name == "default" else [VALUES / f"{name}.yaml"]
    if name == "restricted":
        release.kubectl("apply", "--filename=-", text=json.dumps(QUOTA))
    release.install(*files, values=HERE.get(name))

    # the autoscaler adds the second worker
    until(lambda: release.ready("worker") >= 2, "two workers are ready", 120)
    assert release.ready("scheduler") == release.ready("jupyter") == 1

    assert release.tests_passed() == 4

    release.uninstall()
    kept = KEPT.get(name, set())
    until(lambda: release.left() == kept, f"only {kept} is left", 120)


def test_the_minikube_values_fit_one_node_of_two_cpus_and_four_gigabytes_and_are_upgraded_there(
    release: Release,
) -> None:
    """A pod that does nothing asks for all of a node but what minikube's own pods would leave."""
    node, *_ = json.loads(release.kubectl("get", "nodes", "--output=json"))["items"]
    here = {"nodeSelector": {"kubernetes.io/hostname": node["metadata"]["name"]}}
    taken = requested(release, node["metadata"]["name"])
    rest = {
        resource: quantity(node["status"]["allocatable"][resource]) - taken[resource] - room
        for resource, room in MINIKUBE_ROOM.items()
    }
    requests = {"cpu": f"{int(rest['cpu'] * 1000)}m", "memory": int(rest["memory"])}
    image = f"aer-dask:{yaml.safe_load((CHART / 'Chart.yaml').read_text())['appVersion']}"
    rival = pod("rival", image, ["sleep", "infinity"], requests=requests, **here)
    release.kubectl("apply", "--filename=-", text=documents(rival))
    release.kubectl("wait", "--for=condition=Ready", "pod/rival", "--timeout=120s")

    release.install(VALUES / "minikube.yaml", values={"pod": here})
    assert [release.ready(each) for each in ("scheduler", "worker", "jupyter")] == [1, 2, 1]
    assert release.tests_passed() == 4

    release.upgrade(
        VALUES / "minikube.yaml", values={"pod": here, "worker.podLabels": {"new": "yes"}}
    )
    assert release.ready("worker") == 2

    release.uninstall()
    until(lambda: not release.left(), "nothing is left", 120)


def requested(release: Release, node: str) -> dict[str, float]:
    """What the pods of a node ask for, without those on their way out."""
    found = ["get", "pods", "--all-namespaces", f"--field-selector=spec.nodeName={node}"]
    pods = json.loads(release.kubectl(*found, "--output=json"))["items"]
    requests = [
        container["resources"].get("requests", {})
        for each in pods
        if "deletionTimestamp" not in each["metadata"] and each["status"]["phase"] == "Running"
        for container in each["spec"]["containers"]
    ]
    return {r: sum(quantity(asked.get(r, 0)) for asked in requests) for r in MINIKUBE_ROOM}


@pytest.mark.parametrize(
    "file", [*sorted(VALUES.rglob("*.yaml")), EVERYTHING], ids=lambda file: file.stem
)
def test_the_api_server_accepts_what_every_values_file_makes(
    release: Release, foreign_kinds: None, file: Path
) -> None:
    """Pods too: the namespace warns of those that the `restricted` standard would refuse."""
    warn = "pod-security.kubernetes.io/warn=restricted"
    release.kubectl("label", "namespace", release.namespace, warn)
    dry = ["--dry-run=server", "--output=json", f"--values={file}"]
    manifest = json.loads(release.helm("install", release.name, CHART, *dry))["manifest"]
    apply = release.command("kubectl", "apply", "--dry-run=server", "--filename=-")
    done = subprocess.run(apply, input=manifest, text=True, capture_output=True, check=False)
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
        # a worker is called as its pod, which may be ready a moment before it has registered
        until(lambda r=one: len(r.workers()) == 2, "the scheduler knows its workers", 60)
        assert one.workers() == own
    release.uninstall()
    until(lambda: not release.left(), "nothing is left of the first", 120)
    assert len(other.workers()) == 2
