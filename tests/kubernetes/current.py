"""CLUSTER=current: the cluster of the present kube context, which is never brought up or down."""

from __future__ import annotations

from pathlib import Path

from .common import KUBECONFIG, output


def up() -> None:
    """Copy what kubectl needs for this one context, and see that the cluster answers."""
    config = output("kubectl", "config", "view", "--raw", "--minify", "--flatten")
    KUBECONFIG.touch(mode=0o600)
    KUBECONFIG.write_text(config)
    print(output("kubectl", "--kubeconfig", KUBECONFIG, "get", "nodes"), end="")


def load(archive: Path) -> None:
    """Say what to do instead: nodes of an unknown cluster can only pull."""
    raise SystemExit(
        f"{archive.name} cannot be loaded into a cluster that this checkout did not make. Push the "
        "images with `make push REGISTRY=...` and install with --set image.registry=..."
    )


def down() -> None:
    """Leave the cluster alone."""
