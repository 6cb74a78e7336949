"""The chart as it is by default, and with everything on."""

from __future__ import annotations

import pytest

from .rendering import EVERYTHING, Manifests, render


@pytest.fixture(scope="session")
def default() -> Manifests:
    """The manifests of default values."""
    return render()


@pytest.fixture(scope="session")
def everything() -> Manifests:
    """The manifests with all that is optional switched on."""
    return render({}, EVERYTHING)
