"""Which kind of cluster: a Kubernetes on this machine, or one that another program provides."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path
from types import ModuleType

from . import claim, current, host, kind, minikube
from .common import BUILD, KUBECONFIG, succeeds

KINDS: dict[str, ModuleType] = {
    "host": host,
    "kind": kind,
    "minikube": minikube,
    "current": current,
}
CHOSEN = BUILD / "cluster"


def up(name: str | None) -> None:
    """Bring up a cluster of this kind, or of the best kind at hand."""
    name = name or chosen() or best()
    if (before := chosen()) not in (None, name):
        raise SystemExit(f"A {before} cluster is up from this checkout: `make cluster-down` first.")
    BUILD.mkdir(exist_ok=True)
    CHOSEN.write_text(name)
    KINDS[name].up()
    print(f"The {name} cluster is up: export KUBECONFIG={KUBECONFIG}")


def down() -> None:
    """Take down the cluster that this checkout brought up."""
    name = chosen()
    if name is None:
        print("No cluster is up from this checkout.")
        return
    KINDS[name].down()
    KUBECONFIG.unlink(missing_ok=True)
    CHOSEN.unlink()


def load(archives: list[Path]) -> None:
    """Load image archives on every node."""
    name = chosen()
    if name is None:
        raise SystemExit("No cluster is up from this checkout: `make cluster-up` first.")
    for archive in archives:
        KINDS[name].load(archive)
        print(f"Loaded {archive.name} into the {name} cluster.")


def chosen() -> str | None:
    """The kind that is up, or that an interrupted `up` began."""
    name = CHOSEN.read_text() if CHOSEN.exists() else None
    return None if name == "host" and not claim.is_mine() else name


def best() -> str:
    """The first kind that can work here; never `current`, which may be somebody's production."""
    if shutil.which("kind") and succeeds("docker", "info"):
        return "kind"
    if shutil.which("minikube"):
        return "minikube"
    if sys.platform == "linux" and os.geteuid() == 0:
        return "host"
    raise SystemExit(
        "No cluster can be made here: install kind or minikube, run as root on Linux "
        "(CLUSTER=host), or choose the cluster of your kube context with CLUSTER=current."
    )
