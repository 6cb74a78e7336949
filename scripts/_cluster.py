"""The Kubernetes cluster at hand: which one it is, and helm and kubectl on it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
#: What `make cluster-up` writes.
OWN_KUBECONFIG = ROOT / "build" / "kubeconfig"
#: Seconds in which a cluster that is there answers.
PATIENCE = 20


@dataclass(frozen=True)
class Release:
    """An installed release of the chart."""

    name: str
    namespace: str

    def helm(self, *words: str) -> str:
        """Standard output of a helm command in the release's namespace."""
        return output("helm", "--namespace", self.namespace, *words)

    def kubectl(self, *words: str, text: str = "") -> str:
        """Standard output of a kubectl command in the release's namespace."""
        return output("kubectl", "--namespace", self.namespace, *words, text=text)


def releases() -> list[Release]:
    """The releases of this chart on the cluster at hand; none where there is no cluster."""
    if not (shutil.which("helm") and shutil.which("kubectl")):
        return []
    for scope in (["--all-namespaces"], []):  # one may be allowed to see one's own namespace only
        try:
            listed = json.loads(output("helm", "list", "--output=json", *scope, patience=PATIENCE))
        except (subprocess.CalledProcessError, subprocess.TimeoutExpired):
            continue
        ours = (entry for entry in listed if entry["chart"].rpartition("-")[0] == "aer-dask")
        return [Release(entry["name"], entry["namespace"]) for entry in ours]
    return []


def output(*command: str, text: str = "", patience: float | None = None) -> str:
    """Standard output of a command that must succeed."""
    return subprocess.run(
        command, check=True, text=True, input=text, capture_output=True, timeout=patience,
        env=environment(),
    ).stdout  # fmt: skip


def environment() -> dict[str, Any]:
    """The environment for helm and kubectl: $KUBECONFIG, else the cluster that cluster-up made."""
    own = {"KUBECONFIG": str(OWN_KUBECONFIG)} if OWN_KUBECONFIG.exists() else {}
    return own | os.environ
