"""Build, push or pack the images, with docker, podman or buildah, whichever is at hand.

python3 images/build.py build runtime jupyter
python3 images/build.py push --registry registry.example.org/team runtime jupyter
python3 images/build.py archive runtime jupyter   # build/images/*.tar, for `make load`
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VERSION = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
NAMES = {"runtime": "aer-dask", "jupyter": "aer-dask-jupyter", "gpu": "aer-dask-gpu"}
BASE = "docker.io/library/debian:bookworm-slim"
LOCAL_BASE = "localhost/aer-dask-base:bookworm"
ARCHIVES = ROOT / "build" / "images"
#: What is in the images, a document each.
SBOMS = ROOT / "build" / "sbom"
#: What has been pushed, one NAME@DIGEST a line, for `make sign`.
PUSHED = ROOT / "build" / "pushed"
# what the builder's pip settings may hold that a build needs to reach its package index
PIP_SETTINGS = ("index-url", "extra-index-url", "trusted-host", "proxy", "timeout", "retries")


def main() -> None:
    """Do what the command line says."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("action", choices=("build", "push", "archive"))
    parser.add_argument("targets", nargs="+", choices=sorted(NAMES))
    parser.add_argument("--base", help=f"base image (default: {BASE}, or mmdebstrap's)")
    parser.add_argument("--registry", help="where to push: a host and path")
    words = parser.parse_args()
    tool = builder()
    if words.action == "build":
        build(tool, words.targets, words.base or base(tool))
    elif words.action == "push":
        push(tool, words.targets, words.registry)
    else:
        archive(tool, words.targets)


def builder() -> str:
    """The first image builder that works here; on a bare Debian, buildah is installed."""
    if tool := working():
        return tool
    require("buildah")
    return "buildah"


def working() -> str | None:
    """The first image builder that works here, if any does."""
    for tool, works in {"docker": "info", "podman": "info", "buildah": "version"}.items():
        if shutil.which(tool) and succeeds(tool, works):
            return tool
    return None


def require(package: str) -> None:
    """Install a program of Debian's that is missing here."""
    if shutil.which(package):
        return
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        raise SystemExit(f"{package} is missing: install it, or docker or podman.")
    run("apt-get", "update", "--quiet=2")
    run("apt-get", "install", "--quiet=2", "--no-install-recommends", "--yes", package)


def build(tool: str, targets: list[str], base_image: str) -> None:
    """Build the targets on a base image."""
    with tempfile.TemporaryDirectory() as scratch:
        options = [
            f"--build-arg=BASE={base_image}",
            f"--build-arg=VERSION={VERSION}",
            f"--build-arg=REVISION={revision()}",
            *secrets(Path(scratch)),
        ]
        file = ROOT / "images" / "Dockerfile"
        for target in targets:
            build_file(tool, file, tag(target), ROOT, f"--target={target}", *options)


def build_file(tool: str, file: Path, name: str, context: Path, *options: str) -> None:
    """Build an image from a Dockerfile."""
    command = {
        "docker": ["docker", "buildx", "build", "--load"],
        "podman": ["podman", "build", "--layers"],
        # chroot asks for no more rights than apt needs, and so works inside a container too
        "buildah": ["buildah", "build", "--layers", "--isolation=chroot"],
    }[tool]
    run(*command, *options, f"--file={file}", f"--tag={name}", context)


def tag(target: str, version: str = VERSION) -> str:
    """An image's name in the local store. Only a full name means the same to every builder."""
    return f"docker.io/library/{NAMES[target]}:{version}"


def revision() -> str:
    """The commit that the images are built from, marked if files differ from it."""
    return subprocess.run(
        ["git", "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"],
        cwd=ROOT, text=True, capture_output=True, check=False,
    ).stdout.strip()  # fmt: skip


def secrets(scratch: Path) -> list[str]:
    """The host's pip settings and CA bundle, for the length of the build only."""
    settings = pip_settings()
    lines = [f"{key} = {settings[key]}" for key in PIP_SETTINGS if key in settings]
    (scratch / "pip").write_text("\n".join(["[global]", *lines, ""]))
    authorities = Path(settings["cert"]).read_bytes() if "cert" in settings else b""
    (scratch / "ca").write_bytes(authorities)
    return [f"--secret=id={name},src={scratch / name}" for name in ("pip", "ca")]


def pip_settings() -> dict[str, str]:
    """What pip reads from its files and from the environment, which has the last word."""
    listed = subprocess.run(
        [sys.executable, "-m", "pip", "config", "list"], text=True, capture_output=True, check=True
    ).stdout
    found = re.findall(r"^(global|install|:env:)\.([\w-]+)='(.*)'$", listed, re.MULTILINE)
    return {key: value for section, key, value in sorted(found, key=lambda f: f[0] == ":env:")}


def base(tool: str) -> str:
    """The official base image, or the same packages by mmdebstrap where no registry answers."""
    if succeeds(tool, "image", "inspect", LOCAL_BASE) or succeeds(tool, "inspect", LOCAL_BASE):
        return LOCAL_BASE
    if succeeds(tool, "pull", BASE):
        return BASE
    print(f"{BASE} cannot be pulled here; making a base image with mmdebstrap.", flush=True)
    require("mmdebstrap")
    with tempfile.TemporaryDirectory() as scratch:
        tar = Path(scratch) / "base.tar"
        run(ROOT / "images" / "base.sh", tar)
        if tool == "buildah":
            container = output("buildah", "from", "scratch")
            run("buildah", "add", "--quiet", container, tar, "/")
            run("buildah", "commit", "--quiet", "--rm", container, LOCAL_BASE)
        else:
            run(tool, "import", tar, LOCAL_BASE)
    return LOCAL_BASE


def push(tool: str, targets: list[str], registry: str | None) -> None:
    """Push the images under a registry's name."""
    if not registry:
        raise SystemExit("Say where to push: make push REGISTRY=registry.example.org/team")
    for target in targets:
        name = f"{registry.rstrip('/')}/{NAMES[target]}:{VERSION}"
        run(tool, "tag", tag(target), name)
        pushed = f"{name}@{push_image(tool, name)}"
        PUSHED.parent.mkdir(exist_ok=True)
        with PUSHED.open("a") as file:
            print(pushed, file=file)
        print(f"Pushed {pushed}")


def push_image(tool: str, name: str) -> str:
    """Push an image under its name; the digest that the registry knows it by."""
    if tool != "docker":
        with tempfile.NamedTemporaryFile("r") as digest:
            run(tool, "push", f"--digestfile={digest.name}", name)
            return digest.read().strip()
    run(tool, "push", name)
    known = json.loads(output(tool, "image", "inspect", "--format={{json .RepoDigests}}", name))
    of_repository = f"{name.rpartition(':')[0]}@"
    return next(k.removeprefix(of_repository) for k in known if k.startswith(of_repository))


def archive(tool: str, targets: list[str]) -> None:
    """Write each image to build/images, as `docker save` does."""
    ARCHIVES.mkdir(parents=True, exist_ok=True)
    for target in targets:
        path = ARCHIVES / f"{NAMES[target]}.tar"
        path.unlink(missing_ok=True)
        save(tool, tag(target), path)
        print(path)


def save(tool: str, name: str, path: Path) -> None:
    """Write an image to a file, as `docker save` does."""
    if tool == "buildah":
        run("buildah", "push", "--quiet", name, f"docker-archive:{path}:{name}")
    else:
        run(tool, "save", "--output", path, name)


def inside(tool: str, image: str, *command: str) -> str:
    """What a command prints that runs in an image, outside of any cluster."""
    if tool != "buildah":
        return output(tool, "run", "--rm", image, *command)
    container = output("buildah", "from", image)
    try:
        return output("buildah", "run", "--isolation=chroot", container, "--", *command)
    finally:
        run("buildah", "rm", container)


def run(*command: object) -> None:
    """Run a command that must succeed."""
    if (status := subprocess.run([str(word) for word in command], check=False).returncode) != 0:
        raise SystemExit(f"`{command[0]} {command[1]}` failed with exit status {status}.")


def output(*command: str) -> str:
    """Standard output of a command that must succeed."""
    return subprocess.run(command, text=True, capture_output=True, check=True).stdout.strip()


def succeeds(*command: str) -> bool:
    """Whether a command ends with exit status 0; what it prints is dropped."""
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


if __name__ == "__main__":
    os.chdir(ROOT)
    main()
