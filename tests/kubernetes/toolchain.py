"""The Go compiler: the one on this machine, or one fetched as a Go module, as `go` itself does."""

from __future__ import annotations

import hashlib
import os
import platform
import shutil
import tempfile
import urllib.request
import zipfile
from pathlib import Path

from .common import CACHE

VERSION = "1.26.8"
SHA256 = {"x86_64": "30c2b1bf7dcc88d3eb0a1364e47ddd9128edb3110a30e8a0ef61cd5856b31de7"}
MODULE = f"golang.org/toolchain@v0.0.1-go{VERSION}.linux-amd64"


def go() -> Path:
    """The compiler; a Go older than go.mod asks for fetches the newer one by itself."""
    fetched = CACHE / f"go-{VERSION}" / MODULE / "bin" / "go"
    found = shutil.which("go") or shutil.which("go", path="/usr/local/go/bin")
    if not found and not fetched.exists():
        fetch(CACHE / f"go-{VERSION}")
    return Path(found or fetched)


def fetch(folder: Path) -> None:
    """Download the toolchain, check its hash and unpack it."""
    machine = platform.machine()
    if machine not in SHA256:
        raise SystemExit(f"Install Go (https://go.dev/doc/install): none is pinned for {machine}.")
    proxy = os.environ.get("GOPROXY", "").split(",")[0]
    if not proxy.startswith("http"):
        proxy = "https://proxy.golang.org"
    print(f"Fetching Go {VERSION} from {proxy}.", flush=True)
    CACHE.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=CACHE) as scratch:
        archive = Path(scratch) / "go.zip"
        urllib.request.urlretrieve(f"{proxy}/{MODULE.replace('@', '/@v/')}.zip", archive)
        if hashlib.sha256(archive.read_bytes()).hexdigest() != SHA256[machine]:
            raise SystemExit(f"{proxy} served a Go {VERSION} whose hash is not the pinned one.")
        unpacked = Path(scratch) / "go"
        zipfile.ZipFile(archive).extractall(unpacked)
        for folder_of_programs in ("bin", "pkg/tool"):  # a module's archive knows no modes
            for program in (unpacked / MODULE / folder_of_programs).rglob("*"):
                program.chmod(0o755)
        unpacked.rename(folder)
