"""Where the cluster keeps its things, and the few helpers that every part uses."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BUILD = ROOT / "build"
KUBECONFIG = BUILD / "kubeconfig"
# Builds are kept outside the checkout, by version: Kubernetes takes minutes to compile.
CACHE = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "aer-dask"
# Everything a running `host` cluster writes; addons/ names this path too.
STATE = Path("/var/lib/aer-dask-cluster")


def run(*command: object, **options: object) -> None:
    """Run a command; if it fails, so does this program, with the command in its last line."""
    subprocess.run([str(word) for word in command], check=True, **options)


def output(*command: object) -> str:
    """Standard output of a command that must succeed."""
    return subprocess.run(
        [str(word) for word in command], check=True, text=True, stdout=subprocess.PIPE
    ).stdout


def succeeds(*command: object) -> bool:
    """Whether a command ends with exit status 0; what it prints is dropped."""
    done = subprocess.run([str(word) for word in command], capture_output=True, check=False)
    return done.returncode == 0


def wait_for(what: str, ready: Callable[[], bool], seconds: float = 60) -> None:
    """Return once ready() holds; give up with a sentence at the deadline."""
    deadline = time.monotonic() + seconds
    while not ready():
        if time.monotonic() > deadline:
            raise SystemExit(f"Waited {seconds:.0f} s for {what} in vain: see {STATE / 'log'}.")
        time.sleep(0.1)


def write_json(path: Path, value: object) -> None:
    """Write a configuration file, which Kubernetes reads as JSON wherever it reads YAML.

    A file that is right already is not touched: kube-proxy ends when its file is written again.
    """
    text = json.dumps(value, indent=2)
    if path.exists() and path.read_text() == text:
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch(mode=0o600)
    path.write_text(text)
