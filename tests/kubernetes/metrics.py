"""metrics-server for a cluster that has none: the same that the `host` cluster runs."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path

from . import image
from .common import KUBECONFIG, run


def install(load: Callable[[Path], None]) -> None:
    """Load the image of the add-ons, and start metrics-server from it."""
    with tempfile.TemporaryDirectory() as scratch:
        archive = Path(scratch) / "cluster.tar"
        image.write_archive(archive, ["metrics-server"])
        load(archive)
    manifest = Path(__file__).parent / "addons" / "metrics-server.yaml"
    run("kubectl", "--kubeconfig", KUBECONFIG, "apply", "--filename", manifest)
