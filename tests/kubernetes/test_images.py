"""The images that `make load` put on the cluster at hand."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from pytest_helm_charts.clusters import Cluster

from images import build

from ..wheels import build_wheel
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
    "debian": len([name for name in os.listdir("/var/lib/dpkg/info") if name.endswith(".list")]),
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
    ("target", "extra", "megabytes", "tools"),
    [("runtime", "cluster", 420, []), ("jupyter", "notebook", 950, ["pip", "pip3"])],
)
def test_an_image_is_small_and_holds_the_locked_packages_as_its_sbom_lists_them_and_no_compiler(
    kube_cluster: Cluster, namespace: str, target: str, extra: str, megabytes: int, tools: list[str]
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
    assert seen["tools"] == tools
    assert seen["uid"] == 1000
    assert seen["blas threads"] == "1"
    packages = {normalised(name): version for name, version in seen["packages"].items()}
    assert packages.pop("aer-dask") == build.VERSION
    lock = locked(extra)
    wrong = {name: v for name, v in packages.items() if v not in lock.get(name, set())}
    assert not wrong, "these are not what requirements.lock says"

    text = (build.SBOMS / f"{build.NAMES[target]}.cdx.json").read_text()
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None
    listed = [component["purl"] for component in json.loads(text)["components"]]
    python = {f"pkg:pypi/{name}@{version}" for name, version in packages.items()}
    assert {purl for purl in listed if "pypi" in purl} == python | {
        f"pkg:pypi/aer-dask@{build.VERSION}"
    }
    assert sum("pkg:deb/debian/" in purl for purl in listed) == seen["debian"] > 50


# a worker of the image imports it
IMPORT = """
from aer_dask import EmbeddedCluster
from distributed import Client

if __name__ == "__main__":
    with EmbeddedCluster(workers=1) as cluster, Client(cluster) as client:
        print(client.submit(lambda: __import__("greeting").WORD).result())
"""


@pytest.fixture
def own_image(tmp_path: Path) -> Iterator[str]:
    """The image whose Dockerfile the documents have, with a package of this test's."""
    build_wheel(tmp_path, "greeting", "hello")
    page = (ROOT / "docs" / "notebooks.md").read_text()
    lines = re.search(r"```dockerfile\n(.*?)```", page, re.DOTALL)[1]
    # the package comes from the folder, because an index may need settings of this machine's
    wheels = "--no-index --find-links=/wheels greeting"
    run = f"RUN --mount=type=bind,target=/wheels pip install {wheels}"
    lines, replaced = re.subn("^RUN pip install .*", run, lines, flags=re.MULTILINE)
    assert replaced == 1
    (tmp_path / "Dockerfile").write_text(lines)
    tool, name = build.builder(), "localhost/aer-dask-own:test"
    build.build_file(tool, tmp_path / "Dockerfile", name, tmp_path)
    yield name
    subprocess.run([tool, "rmi", name], check=True, capture_output=True)


def test_an_image_of_ones_own_brings_a_package_to_the_workers(own_image: str) -> None:
    assert build.inside(build.builder(), own_image, "python", "-c", IMPORT).strip() == "hello"
