"""Renders the chart once per set of values, and gives its parts by short names."""

from __future__ import annotations

import os
import shutil
import subprocess
import tomllib
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
CHART = ROOT / "charts" / "aer-dask"
#: Of package, chart and images.
VERSION: str = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
EVERYTHING = Path(__file__).with_name("everything.yaml")
KUBERNETES = "1.35.0"

#: What Kubernetes' own pods leave of minikube's 2 CPUs and 4 GB: they ask for 0.85 CPU and 0.4 GiB.
MINIKUBE_ROOM = {"cpu": 2 - 0.85, "memory": 3.2 * 2**30}

#: Without a certificate, which would be another one in each rendering, and without a token.
PLAIN = {"tls.mode": "disabled", "httpAuth.enabled": False}

#: a manifest by Kind/name
Manifests = dict[str, dict[str, Any]]
#: values by dotted path
Values = Mapping[str, object]


class RefusedError(Exception):
    """Helm does not render the values; the message is helm's."""


@cache
def helm() -> str:
    """The helm to use: PATH's, or the one that `make tools` built."""
    cached = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache", "aer-dask/bin/helm")
    found = shutil.which("helm") or shutil.which(cached)
    if not found:
        pytest.fail("helm is neither on PATH nor in the cache; run make tools.", pytrace=False)
    return found


def run_helm(*words: str | Path, values: str = "") -> subprocess.CompletedProcess[str]:
    """Helm with values on its standard input, from the repository's root."""
    command = [helm(), *map(str, words), "--kube-version", KUBERNETES]
    if values:
        command += ["--values", "-"]
    return subprocess.run(
        command, input=values, capture_output=True, text=True, check=False, cwd=ROOT
    )


@cache
def _rendered(files: tuple[Path, ...], values: str, chart: Path) -> str:
    options = [word for file in files for word in ("--values", str(file))]
    done = run_helm("template", "aer", chart, "--namespace", "quantum", *options, values=values)
    if done.returncode:
        raise RefusedError(done.stderr)
    return done.stdout


def nested(flat: Values) -> dict[str, Any]:
    """Values with dotted paths as keys, as the tree that helm reads."""
    tree: dict[str, Any] = {}
    for path, value in flat.items():
        *parents, last = path.split(".")
        node = tree
        for key in parents:
            node = node.setdefault(key, {})
        node[last] = value
    return tree


def text(values: Values | None = None, *files: Path, chart: Path = CHART) -> str:
    """What helm renders for dotted values, over values files if any are given."""
    return _rendered(files, yaml.safe_dump(nested(values)) if values else "", chart)


def render(values: Values | None = None, *files: Path) -> Manifests:
    """The same as manifests, keyed Kind/name; names lose the release's prefix."""
    return _parsed(text(values, *files))


@cache
def _parsed(rendered: str) -> Manifests:
    # the C loader: the other would take most of the tests' time
    manifests = [m for m in yaml.load_all(rendered, yaml.CSafeLoader) if m]
    return {f"{m['kind']}/{short(m['metadata']['name'])}": m for m in manifests}


def short(name: str) -> str:
    """The name of a resource without the release's; the release's own is `release`."""
    return name.removeprefix("aer-aer-dask").removeprefix("-") or "release"


def pods(manifests: Manifests) -> dict[str, dict[str, Any]]:
    """The spec of every pod that the manifests lead to."""
    found = {}
    for key, manifest in manifests.items():
        if manifest["kind"] == "Deployment":
            found[key] = manifest["spec"]["template"]["spec"]
        elif manifest["kind"] == "Pod":
            found[key] = manifest["spec"]
    return found


def quantity(text: str | float) -> float:
    """A Kubernetes quantity as a number."""
    units = {"m": 1e-3, "Ki": 2**10, "Mi": 2**20, "Gi": 2**30}
    number = str(text).rstrip("mKMGi")
    return float(number) * units.get(str(text)[len(number) :], 1)


def refusal(values: Values) -> str:
    """What helm says of values that it refuses."""
    with pytest.raises(RefusedError) as refused:
        text(values)
    return str(refused.value)
