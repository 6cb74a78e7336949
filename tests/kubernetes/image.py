"""The one image of the `host` cluster's own pods, written without any image builder.

It holds statically linked programs and nothing else: pause (what it runs by default), the add-ons
of addons/, and a shell for the pods that make and remove volume folders.
"""

from __future__ import annotations

import hashlib
import io
import json
import platform
import tarfile
from collections.abc import Iterable
from pathlib import Path

from .build import program

NAME = "localhost/aer-dask-cluster:1"
COMPILED = ("pause", "coredns", "metrics-server", "local-path-provisioner")
PROGRAMS = (*COMPILED, "busybox")
BUSYBOX = "/bin/busybox"  # Debian's busybox-static
APPLETS = ("sh", "mkdir", "rm")


def write_archive(path: Path, programs: Iterable[str] = PROGRAMS) -> None:
    """Write the image as `docker save` would, which containerd imports."""
    layer = path.with_suffix(".layer")
    write_layer(layer, programs)
    config = {
        "architecture": {"x86_64": "amd64", "aarch64": "arm64"}[platform.machine()],
        "os": "linux",
        "config": {"Entrypoint": ["/bin/pause"], "Env": ["PATH=/bin"]},
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{sha256(layer)}"]},
    }
    manifest = [{"Config": "config.json", "RepoTags": [NAME], "Layers": ["layer.tar"]}]
    with tarfile.open(path, "w") as archive:
        archive.add(layer, "layer.tar")
        add_json(archive, "config.json", config)
        add_json(archive, "manifest.json", manifest)
    layer.unlink()


def write_layer(path: Path, programs: Iterable[str]) -> None:
    """Write the file system of the image: /bin."""
    with tarfile.open(path, "w") as layer:
        for name in programs:
            source = BUSYBOX if name == "busybox" else program(name)
            layer.add(source, f"bin/{name}", filter=owned_by_root)
        for applet in APPLETS if "busybox" in programs else ():
            link = tarfile.TarInfo(f"bin/{applet}")
            link.type, link.linkname = tarfile.SYMTYPE, "busybox"
            layer.addfile(link)


def owned_by_root(entry: tarfile.TarInfo) -> tarfile.TarInfo:
    """The entry without the owner and time that it has on this machine."""
    entry.uid = entry.gid = entry.mtime = 0
    entry.uname = entry.gname = "root"
    return entry


def add_json(archive: tarfile.TarFile, name: str, value: object) -> None:
    """Add a JSON file to a tar archive."""
    content = json.dumps(value).encode()
    entry = tarfile.TarInfo(name)
    entry.size = len(content)
    archive.addfile(entry, io.BytesIO(content))


def sha256(path: Path) -> str:
    """The hash of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
