"""The images that `make load` put on the cluster at hand."""

from __future__ import annotations

import json
import re
import subprocess
import sys

import pytest
from pytest_helm_charts.clusters import Cluster

from images import build

from .common import ROOT
from .manifests import documents, pod

# what a pod with a read-only root, and only /tmp to write to, sees of its image
REPORT = """
import ctypes, importlib.metadata, json, os, shutil

def files(folder):
    for entry in os.scandir(folder):
        if entry.is_dir(follow_symlinks=False):
            if not os.path.ismount(entry.path) and os.access(entry.path, os.R_OK | os.X_OK):
                yield from files(entry.path)
        else:
            yield entry.stat(follow_symlinks=False)

sizes = {status.st_ino: status.st_size for status in files("/")}  # a hard link counts once
ctypes.CDLL("libopenblas.so.0")
print(json.dumps({
    "size": sum(sizes.values()) / 1e6,
    "tools": [tool for tool in ("cc", "gcc", "ld", "pip", "pip3") if shutil.which(tool)],
    "uid": os.getuid(),
    "blas threads": os.environ["OPENBLAS_NUM_THREADS"],
    "packages": {d.name: d.version for d in importlib.metadata.distributions()},
}))
"""


def locked(extra: str) -> dict[str, set[str]]:
    """The versions that the lock has of each package of an image, for some Python or other."""
    command = [sys.executable, "scripts/locked.py", f".[{extra}]"]
    text = subprocess.run(command, cwd=ROOT, check=True, text=True, capture_output=True).stdout
    versions: dict[str, set[str]] = {}
    for name, version in re.findall(r"^([\w.-]+)==([^\s;\\]+)", text, re.MULTILINE):
        versions.setdefault(normalised(name), set()).add(version)
    return versions


def normalised(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


@pytest.mark.parametrize(
    ("target", "extra", "megabytes"), [("runtime", "cluster", 420), ("jupyter", "notebook", 950)]
)
def test_an_image_is_small_and_holds_the_locked_packages_and_no_compiler(
    kube_cluster: Cluster, namespace: str, target: str, extra: str, megabytes: int
) -> None:
    name = f"{build.NAMES[target]}:{build.VERSION}"
    tmp = {"/tmp": {"emptyDir": {}}}
    report = pod("report", name, ["python", "-c", REPORT], volumes=tmp)
    kube_cluster.kubectl(f"--namespace={namespace} apply", documents(report))
    done = "wait --for=jsonpath={.status.phase}=Succeeded --timeout=120s pod/report"
    kube_cluster.kubectl(f"--namespace={namespace} {done}", output_format="")
    seen = json.loads(
        str(kube_cluster.kubectl(f"--namespace={namespace} logs report", output_format=""))
    )
    assert seen["size"] <= megabytes
    assert seen["tools"] == []
    assert seen["uid"] == 1000
    assert seen["blas threads"] == "1"
    packages = {normalised(name): version for name, version in seen["packages"].items()}
    assert packages.pop("aer-dask") == build.VERSION
    lock = locked(extra)
    wrong = {name: v for name, v in packages.items() if v not in lock.get(name, set())}
    assert not wrong, "these are not what requirements.lock says"
