"""A package made on the spot, for tests that install one without a package index."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

PROJECT = """
[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"

[project]
name = "{name}"
version = "{version}"
requires-python = ">=3.11"
dependencies = {requires}
"""


def build_wheel(
    folder: Path, name: str, word: str, version: str = "1.0", requires: tuple[str, ...] = ()
) -> Path:
    """The wheel, in the folder, of a package that is one module with one constant, WORD."""
    source = folder / f"{name}-{version}"
    source.mkdir()
    text = PROJECT.format(name=name, version=version, requires=list(requires))
    (source / "pyproject.toml").write_text(text)
    (source / f"{name}.py").write_text(f"WORD = {word!r}\n")
    build = [sys.executable, "-m", "hatchling", "build", "--target=wheel", f"--directory={folder}"]
    subprocess.run(build, cwd=source, check=True, capture_output=True)
    return folder / f"{name}-{version}-py3-none-any.whl"
