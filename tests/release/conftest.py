"""Fixtures for the chart on the cluster at hand; a failed test shows what its namespace held."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from pytest_helm_charts.clusters import Cluster

from ..chart.rendering import ROOT
from ..kubernetes.common import succeeds
from ..kubernetes.conftest import kube_config, namespace, new_namespace  # noqa: F401
from .release import Release, until

#: Kinds that operators bring, which this cluster lacks: their name, group and version.
FOREIGN_KINDS = {
    "ServiceMonitor": ("monitoring.coreos.com", "v1"),
    "PodMonitor": ("monitoring.coreos.com", "v1"),
    "ScaledObject": ("keda.sh", "v1alpha1"),
    "TriggerAuthentication": ("keda.sh", "v1alpha1"),
    "Certificate": ("cert-manager.io", "v1"),
    "HTTPRoute": ("gateway.networking.k8s.io", "v1"),
}


@pytest.fixture
def release(kube_cluster: Cluster, namespace: str) -> Release:  # noqa: F811
    """The release `aer` of a namespace of its own, to be installed by the test."""
    return Release(kube_cluster, namespace)


@pytest.fixture(scope="module")
def shared_release(kube_cluster: Cluster) -> Iterator[Release]:
    """The same for all tests of a module, which then take turns with it."""
    with new_namespace(kube_cluster) as name:
        yield Release(kube_cluster, name)


@pytest.fixture(scope="session")
def operator(kube_config: str) -> Iterator[None]:  # noqa: F811
    """dask-kubernetes' operator, as `make operator` installs it, from the first test that asks."""
    program = [sys.executable, ROOT / "scripts" / "install_operator.py"]
    environment = os.environ | {"KUBECONFIG": kube_config}
    subprocess.run(program, env=environment, check=True)
    yield
    subprocess.run([*program, "--remove"], env=environment, check=True)


@pytest.fixture(scope="module")
def foreign_kinds(kube_cluster: Cluster) -> Iterator[None]:
    """Kinds that take any content, in place of the operators' own, while the tests run."""
    known = kube_cluster.kubectl("get crd --output=name", output_format="").split()
    names = [name.rpartition("/")[2] for name in known]
    missing = [
        each for each in map(definition, FOREIGN_KINDS) if each["metadata"]["name"] not in names
    ]
    definitions = json.dumps({"apiVersion": "v1", "kind": "List", "items": missing})
    if missing:
        kube_cluster.kubectl("apply", std_input=definitions)

        wait = ["kubectl", "--kubeconfig", kube_cluster.kube_config_path, "wait", "crd",
                *(each["metadata"]["name"] for each in missing),
                "--for=condition=Established", "--timeout=30s"]  # fmt: skip
        # again and again: they have no conditions at first
        until(lambda: succeeds(*wait), "the kinds are there")
    yield
    if missing:
        kube_cluster.kubectl("delete", std_input=definitions)


def definition(kind: str) -> dict[str, Any]:
    """A CustomResourceDefinition without a schema."""
    group, version = FOREIGN_KINDS[kind]
    plural = f"{kind.lower()}s"
    anything = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    served = {"name": version, "served": True, "storage": True}
    metadata: dict[str, object] = {"name": f"{plural}.{group}"}
    if group == "gateway.networking.k8s.io":  # the API server reserves *.k8s.io
        policy = {"api-approved.kubernetes.io": "unapproved, a stand-in for tests"}
        metadata["annotations"] = policy
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": metadata,
        "spec": {
            "group": group,
            "scope": "Namespaced",
            "names": {"kind": kind, "plural": plural, "singular": kind.lower()},
            "versions": [{**served, "schema": {"openAPIV3Schema": anything}}],
        },
    }


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:
    """Add what the namespace held to the report of a test that failed."""
    report = yield
    release = getattr(item, "funcargs", {}).get("release")
    if report.failed and call.when == "call" and release:
        report.sections.append((f"namespace {release.namespace}", state(release)))
    return report


def state(release: Release) -> str:
    """Pods, events and logs of a namespace."""
    commands = ["get pods,hpa,pvc,jobs -o wide", "get events --sort-by=.lastTimestamp"]
    names = said(release, "get pods -o name").split()
    commands += [f"logs {name} --all-containers --prefix --tail=30" for name in names]
    return "\n".join(f"$ kubectl {command}\n{said(release, command)}" for command in commands)


def said(release: Release, command: str) -> str:
    """What kubectl prints, whether it succeeds or not."""
    words = release.command("kubectl", *command.split())
    done = subprocess.run(words, text=True, capture_output=True, check=False)
    return done.stdout + done.stderr
