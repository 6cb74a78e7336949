"""The programs of the `host` cluster and the tools beside it, compiled from pinned Go modules.

`go/` is a module of our own whose go.mod and go.sum pin Kubernetes, etcd, CoreDNS and helm
together, at versions that share their libraries, of which each is then compiled once; the others do
not resolve with it and are built alone, from the version named here, which the Go checksum database
vouches for.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import tempfile
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from .common import CACHE, output, run
from .toolchain import go

SOURCES = Path(__file__).parent / "go"
GO_MOD = (SOURCES / "go.mod").read_text()
KUBERNETES = re.search(r"k8s\.io/kubernetes v(\S+)", GO_MOD)[1]
PACKAGES = {
    "actionlint": "github.com/rhysd/actionlint/cmd/actionlint@v1.7.12",
    "helm": "helm.sh/helm/v3/cmd/helm",
    "local-path-provisioner": "github.com/rancher/local-path-provisioner@v0.0.30",
    "metrics-server": "sigs.k8s.io/metrics-server/cmd/metrics-server@v0.9.0",
    "registry": "github.com/distribution/distribution/v3/cmd/registry@v3.1.1",
    "versitygw": "github.com/versity/versitygw/cmd/versitygw@v1.8.0",
}
TOOLS = CACHE / "bin"


def program(name: str) -> Path:
    """The compiled program of this name; compiles it when the cache lacks this version."""
    target = place(name)
    if not target.exists():
        print(f"Compiling {target.parent.name}; this is done once for each version.", flush=True)
        compile_to(target, source(name))
    return target


def place(name: str) -> Path:
    """Where this version of a program is, once it is compiled."""
    version = source(name).partition("@")[2] or f"v{KUBERNETES}-{fingerprint()}"
    return CACHE / f"{name}-{version}" / name


def source(name: str) -> str:
    """What `go install` is told."""
    return PACKAGES.get(name, f"./{name}")


def compile_all(names: Iterable[str]) -> None:
    """Compile what the cache lacks of programs; no link or slow package leaves a CPU idle.

    Those of our own module are compiled one after another, because they share packages.
    """
    turns: dict[str, list[str]] = {}
    for name in names:
        if not place(name).exists():
            go()  # fetched once, before it is wanted more than once
            turns.setdefault(source(name) if is_alone(name) else "ours", []).append(name)
    with ThreadPoolExecutor() as pool:
        list(pool.map(lambda turn: [program(name) for name in turn], turns.values()))


def is_alone(name: str) -> bool:
    """Whether a program is not of our own module."""
    return "@" in source(name)


def fingerprint() -> str:
    """A short hash of our own module, so that a changed file or pin is a new version."""
    files = sorted(path for path in SOURCES.rglob("*") if path.is_file())
    return hashlib.sha256(b"".join(path.read_bytes() for path in files)).hexdigest()[:12]


def compile_to(target: Path, source: str) -> None:
    """Build one Go package; the result appears under its name only when it is whole."""
    target.parent.mkdir(parents=True, exist_ok=True)
    flags = f"-s -w {version_flags()}"
    with tempfile.TemporaryDirectory(dir=target.parent) as scratch:
        environment = os.environ | {"CGO_ENABLED": "0", "GOBIN": scratch, "GOFLAGS": "-trimpath"}
        run(go(), "install", "-ldflags", flags, source, cwd=SOURCES, env=environment)
        os.replace(Path(scratch) / target.name, target)


def version_flags() -> str:
    """What Kubernetes' and helm's own builds set.

    Without it every component says it is v0.0.0, and helm renders for Kubernetes 1.20.
    """
    major, minor, _ = KUBERNETES.split(".")
    values = {
        "k8s.io/component-base/version.gitVersion": f"v{KUBERNETES}",
        "k8s.io/component-base/version.gitMajor": major,
        "k8s.io/component-base/version.gitMinor": minor,
        "helm.sh/helm/v3/pkg/chartutil.k8sVersionMajor": major,
        "helm.sh/helm/v3/pkg/chartutil.k8sVersionMinor": minor,
    }
    return " ".join(f"-X {name}={value}" for name, value in values.items())


#: What each tool is compiled from.
TOOL_SOURCES = {"actionlint": "actionlint", "helm": "helm", "kubectl": "kube"}


def install_tools(names: list[str]) -> None:
    """Put tools into TOOLS, each only if PATH has none that fits."""
    TOOLS.mkdir(parents=True, exist_ok=True)
    for tool in names:
        source = TOOL_SOURCES[tool]
        found = shutil.which(tool, path=path_of_others())
        if not found or (tool == "kubectl" and not fits(found)):
            link(TOOLS / tool, program(source))
            found = TOOLS / tool
        else:
            (TOOLS / tool).unlink(missing_ok=True)
        print(f"{tool}: {found}")


def path_of_others() -> str:
    """PATH without TOOLS, which the Makefile puts first."""
    folders = os.environ["PATH"].split(os.pathsep)
    return os.pathsep.join(folder for folder in folders if Path(folder) != TOOLS)


def fits(kubectl: str) -> bool:
    """Whether this kubectl is at most one minor version from the cluster's, as Kubernetes asks."""
    minor = re.search(r"Client Version: v1\.(\d+)", output(kubectl, "version", "--client"))
    return bool(minor) and abs(int(minor[1]) - int(KUBERNETES.split(".")[1])) <= 1


def link(name: Path, target: Path) -> None:
    """Make or move a symbolic link in one step, even while the old one is in use."""
    new = name.with_name(f".{name.name}.new")
    new.unlink(missing_ok=True)
    new.symlink_to(target)
    new.replace(name)
