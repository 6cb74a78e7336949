"""Wheel and sdist in a folder that serves as an index, and environments made from nothing."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from packaging.utils import canonicalize_name
from uv import find_uv_bin

ROOT = Path(__file__).resolve().parents[2]


def uv(*words: object) -> subprocess.CompletedProcess[str]:
    """Run uv on this machine's Pythons, and none that it would fetch."""
    return subprocess.run(
        [find_uv_bin(), *map(str, words)], cwd=ROOT, text=True, capture_output=True, check=False,
        env=os.environ | {"UV_PYTHON_DOWNLOADS": "never"},
    )  # fmt: skip


def interpreter(version: str) -> str:
    """A Python of this minor version: on PATH, or pyenv's or uv's; the test is skipped without."""
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv")
    folders = [str(found) for found in sorted(pyenv.glob(f"versions/{version}.*/bin"))]
    for path in (os.environ["PATH"], os.pathsep.join(folders)):
        found = shutil.which(f"python{version}", path=path)
        if found and starts(found):
            return found
    if found := uv("python", "find", "--managed-python", version).stdout.strip():
        return found
    pytest.skip(f"There is no Python {version} here: not on PATH, nor of pyenv's or uv's.")


def starts(python: str) -> bool:
    """Whether it does: pyenv has stand-ins on PATH for versions that are not switched on."""
    return subprocess.run([python, "-c", ""], capture_output=True, check=False).returncode == 0


class Environment:
    """A virtual environment of its own, without anything in it.

    Args:
        folder: where it is made.
        packages: the folder that serves as an index for our own package.
        version: of Python, as 3.12.
        pip: whether it has pip, too.
    """

    def __init__(self, folder: Path, packages: Path, version: str, pip: bool = False) -> None:
        self._packages, self.python = packages, folder / "venv" / "bin" / "python"
        self._scratch = folder
        seed = ["--seed"] if pip else []
        done = uv("venv", *seed, "--python", interpreter(version), folder / "venv")
        assert done.returncode == 0, done.stderr

    def install(self, *words: object) -> str:
        """What `uv pip install` says, which must succeed."""
        done = uv("pip", "install", "--python", self.python, "--find-links", self._packages, *words)
        assert done.returncode == 0, done.stderr
        return done.stderr

    def run(self, *words: object, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run a program of the environment's in a folder without sources."""
        program, *rest = map(str, words)
        done = subprocess.run(
            [str(self.python.with_name(program)), *rest], cwd=self._scratch, text=True,
            capture_output=True, timeout=200, check=False,
        )  # fmt: skip
        assert not check or done.returncode == 0, done.stdout + done.stderr
        return done

    def has_plain_bits(self) -> dict[str, str]:
        """Fail unless an embedded cluster gives plain Aer's bits; the versions installed."""
        said = json.loads(self.run("python", ROOT / "tests" / "install" / "bits.py").stdout)
        return {canonicalize_name(name): version for name, version in said.items()}


def build(folder: Path, *words: str, source: Path = ROOT) -> None:
    """Build wheel, sdist or both of a source tree into a folder."""
    command = [sys.executable, "-m", "hatchling", "build", f"--directory={folder}", *words]
    subprocess.run(command, cwd=source, check=True, capture_output=True)
