"""CLUSTER=kind: nodes in Docker containers."""

from __future__ import annotations

import json
from pathlib import Path

from . import metrics
from .common import KUBECONFIG, output, run

NAME = "aer-dask"
NODES = ("control-plane", "worker", "worker")


def up() -> None:
    """Create the cluster and give it metrics, which kind does not bring."""
    if NAME not in output("kind", "get", "clusters").split():
        config = {
            "kind": "Cluster",
            "apiVersion": "kind.x-k8s.io/v1alpha4",
            "nodes": [{"role": role} for role in NODES],
        }
        run("kind", "create", "cluster", "--name", NAME, "--kubeconfig", KUBECONFIG,
            "--config", "-", input=json.dumps(config), text=True)  # fmt: skip
    metrics.install(load)


def load(archive: Path) -> None:
    """Load an image archive on every node."""
    run("kind", "load", "image-archive", archive, "--name", NAME)


def down() -> None:
    """Delete the cluster."""
    run("kind", "delete", "cluster", "--name", NAME, "--kubeconfig", KUBECONFIG)
