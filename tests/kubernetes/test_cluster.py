"""The cluster at hand does what the tests of the chart rely on."""

from __future__ import annotations

import subprocess
from contextlib import suppress

import pytest
from pytest_helm_charts.clusters import Cluster

from ..waiting import wait_until
from . import choice, image
from .manifests import claim, documents, pod, service

pytestmark = pytest.mark.skipif(
    choice.chosen() != "host", reason="tests the `host` cluster, which is not the one that is up"
)


def apply(cluster: Cluster, namespace: str, *manifests: dict) -> None:
    cluster.kubectl(f"--namespace={namespace} apply", documents(*manifests))


def logs_of_finished(cluster: Cluster, namespace: str, name: str) -> str:
    succeeded = "--for=jsonpath={.status.phase}=Succeeded --timeout=60s"
    cluster.kubectl(f"--namespace={namespace} wait {succeeded} pod/{name}", output_format="")
    return cluster.kubectl(f"--namespace={namespace} logs {name}", output_format="")


def test_pods_on_different_nodes_reach_each_other_by_a_service_name(
    kube_cluster: Cluster, namespace: str
) -> None:
    serve = ["sh", "-c", "busybox httpd -f -p 8080 -h /bin"]
    # a name may be asked for before its Service is known to the DNS server
    get = "busybox wget -q -O- http://web:8080/sh > /dev/null"
    fetch = ["sh", "-c", f"until {get}; do busybox sleep 0.2; done"]
    apply(
        kube_cluster,
        namespace,
        service("web", 8080),
        pod("web", image.NAME, serve, nodeName="node1"),
        pod("client", image.NAME, fetch, nodeName="node2"),
    )
    logs_of_finished(kube_cluster, namespace, "client")


def test_what_a_pod_writes_to_a_claimed_volume_the_next_pod_reads(
    kube_cluster: Cluster, namespace: str
) -> None:
    data = {"/data": {"persistentVolumeClaim": {"claimName": "data"}}}
    write, read = "echo kept > /data/file", "read line < /data/file; echo $line"
    apply(kube_cluster, namespace, claim("data"))
    apply(kube_cluster, namespace, pod("writer", image.NAME, ["sh", "-c", write], volumes=data))
    logs_of_finished(kube_cluster, namespace, "writer")
    apply(kube_cluster, namespace, pod("reader", image.NAME, ["sh", "-c", read], volumes=data))
    assert logs_of_finished(kube_cluster, namespace, "reader").strip() == "kept"


def test_a_namespace_that_enforces_restricted_refuses_a_pod_that_runs_as_root(
    kube_cluster: Cluster, namespace: str
) -> None:
    root = pod("root", image.NAME, ["sh"])
    root["spec"]["securityContext"]["runAsNonRoot"] = False
    with pytest.raises(subprocess.CalledProcessError) as refusal:
        apply(kube_cluster, namespace, root)
    assert "violates PodSecurity" in str(refusal.value.stderr)


def test_metrics_server_reports_what_every_node_uses(kube_cluster: Cluster) -> None:
    def reported() -> bool:
        with suppress(subprocess.CalledProcessError):  # it cannot be asked at times
            where = "get --raw /apis/metrics.k8s.io/v1beta1/nodes"
            metrics = str(kube_cluster.kubectl(where, output_format=""))
            return "node1" in metrics and "node2" in metrics
        return False

    wait_until(reported, "both nodes are in it", interval=1)
