"""Fixtures for tests on the cluster at hand, on top of those of pytest-helm-charts.

`kube_cluster` is theirs: a connection with a `kubectl` method. It goes to --kubeconfig, else to
$KUBECONFIG, else to the cluster that `make cluster-up` made.
"""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from pytest_helm_charts.clusters import Cluster

from .common import KUBECONFIG


@pytest.fixture(scope="session")
def kube_config(pytestconfig: pytest.Config) -> str:
    """The kubeconfig of the cluster at hand; overrides the plugin's fixture to add a default."""
    named = pytestconfig.getoption("kubeconfig") or os.environ.get("KUBECONFIG")
    if not named and not KUBECONFIG.exists():
        pytest.fail("There is no cluster to test on: run `make cluster-up`, or set KUBECONFIG.")
    return named or str(KUBECONFIG)


@pytest.fixture
def namespace(kube_cluster: Cluster) -> Iterator[str]:
    """A namespace of the test's own that admits only pods of the `restricted` standard."""
    with new_namespace(kube_cluster) as name:
        yield name


@pytest.fixture
def other_namespace(kube_cluster: Cluster) -> Iterator[str]:
    """Another one, of the test's own too."""
    with new_namespace(kube_cluster) as name:
        yield name


@contextmanager
def new_namespace(cluster: Cluster) -> Iterator[str]:
    """Such a namespace while it is needed."""
    name = f"test-{uuid.uuid4().hex[:8]}"
    cluster.kubectl(f"create namespace {name}")
    cluster.kubectl(f"label namespace {name} pod-security.kubernetes.io/enforce=restricted")
    # a controller makes the account without which there are neither pods nor tokens
    created = "--for=create serviceaccount/default --timeout=60s"
    cluster.kubectl(f"--namespace={name} wait {created}", output_format="")
    yield name
    # the next test has its own and need not wait for the end of this one
    cluster.kubectl(f"delete namespace {name} --wait=false", output_format="")
