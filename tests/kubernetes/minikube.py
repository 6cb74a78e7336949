"""CLUSTER=minikube: two nodes of the size that values/minikube.yaml is made for."""

from __future__ import annotations

import os
from pathlib import Path

from .common import KUBECONFIG, run

PROFILE = "aer-dask"


def up() -> None:
    """Start the nodes; starting them again is harmless."""
    run("minikube", "start", "--profile", PROFILE, "--nodes=2", "--cpus=2", "--memory=4g",
        "--addons=metrics-server", env=os.environ | {"KUBECONFIG": str(KUBECONFIG)})  # fmt: skip


def load(archive: Path) -> None:
    """Load an image archive on every node."""
    run("minikube", "image", "load", archive, "--profile", PROFILE)


def down() -> None:
    """Delete the nodes."""
    run("minikube", "delete", "--profile", PROFILE)
