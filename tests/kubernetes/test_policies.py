"""The `host` cluster enforces network policies, and ignores them where a test says so."""

from __future__ import annotations

import subprocess
from functools import partial

import pytest
from pytest_helm_charts.clusters import Cluster

from ..waiting import wait_until
from . import choice, image, policies
from .host import NODES
from .manifests import Manifest, documents, pod

pytestmark = pytest.mark.skipif(
    choice.chosen() != "host", reason="tests the `host` cluster, which is not the one that is up"
)

until = partial(wait_until, seconds=60, interval=0.5)
SERVE = ["busybox", "httpd", "-f", "-p", "8080", "-h", "/bin"]
WAIT = ["busybox", "sleep", "600"]
#: Asked by the kubelet, which no policy shuts out.
READY = {"httpGet": {"path": "/sh", "port": 8080}, "periodSeconds": 1}


def test_policies_are_enforced_and_are_not_while_they_are_ignored(
    kube_cluster: Cluster, namespace: str, other_namespace: str
) -> None:
    web = pod("web", image.NAME, SERVE, nodeName="node1")
    web["spec"]["containers"][0]["readinessProbe"] = READY
    beside = pod("beside", image.NAME, WAIT, nodeName="node1")
    friend = pod("friend", image.NAME, WAIT, nodeName="node2")
    apply(kube_cluster, namespace, web, beside, friend)
    apply(kube_cluster, other_namespace, pod("abroad", image.NAME, WAIT, nodeName="node2"))
    for where in (namespace, other_namespace):
        ready = "--for=condition=Ready --timeout=60s pod --all"
        kube_cluster.kubectl(f"--namespace={where} wait {ready}", output_format="")
    address = kube_cluster.kubectl(f"--namespace={namespace} get pod web")["status"]["podIP"]

    def let_in() -> set[str]:
        clients = {"beside": namespace, "friend": namespace, "abroad": other_namespace}
        return {name for name, where in clients.items()
                if reaches(kube_cluster, where, name, address)}  # fmt: skip

    until(lambda: let_in() == {"beside", "friend", "abroad"}, "all are let in")

    apply(kube_cluster, namespace, policy("nobody", "web", ingress=[]))
    until(lambda: let_in() == set(), "nobody is let in")

    label = {"podSelector": {"matchLabels": {"app": "friend"}}}
    apply(kube_cluster, namespace, policy("friends", "web", ingress=[{"from": [label]}]))
    until(lambda: let_in() == {"friend"}, "who bears the label is let in")

    there = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": other_namespace}}}
    apply(kube_cluster, namespace, policy("friends", "web", ingress=[{"from": [there]}]))
    until(lambda: let_in() == {"abroad"}, "who is of the other namespace is let in")

    apply(kube_cluster, other_namespace, policy("stay", "abroad", egress=[]))
    until(lambda: let_in() == set(), "who may not go out reaches nobody")

    with policies.ignored(NODES):
        assert let_in() == {"beside", "friend", "abroad"}
    until(lambda: let_in() == set(), "nobody is let in again")


def policy(name: str, app: str, **rules: list[Manifest]) -> Manifest:
    """A policy for the pods of an app: `ingress`, `egress` or both, as a list of rules."""
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": name},
        "spec": {
            "podSelector": {"matchLabels": {"app": app}},
            "policyTypes": [direction.capitalize() for direction in rules],
            **rules,
        },
    }


def apply(cluster: Cluster, namespace: str, *manifests: Manifest) -> None:
    cluster.kubectl(f"--namespace={namespace} apply", documents(*manifests))


def reaches(cluster: Cluster, namespace: str, name: str, address: str) -> bool:
    """Whether a pod can connect; status 1 is that of a connection that was refused."""
    place = ["--kubeconfig", cluster.kube_config_path, f"--namespace={namespace}", "exec", name]
    connect = ["busybox", "nc", "-w", "3", address, "8080"]
    done = subprocess.run(["kubectl", *place, "--", *connect], capture_output=True, check=False)
    assert done.returncode in (0, 1), done.stderr
    return done.returncode == 0
