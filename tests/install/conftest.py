"""What is installed, and where."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from .environment import Environment, build


@pytest.fixture(scope="session")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with wheel and sdist, as they are published."""
    folder = tmp_path_factory.mktemp("packages")
    build(folder)
    return folder


@pytest.fixture
def environment(tmp_path: Path, packages: Path) -> Callable[..., Environment]:
    """Make an empty environment of a version of Python."""
    return partial(Environment, tmp_path, packages)
