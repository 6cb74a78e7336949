"""Where `make smoke-test` runs: it never needs a cluster, and never guesses between releases."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "scripts"))
import _cluster
import smoke

ONE, OTHER = _cluster.Release("a", "x"), _cluster.Release("b", "x")


def program(folder: Path, name: str, script: str) -> None:
    """A program that does what a shell script says."""
    (folder / name).write_text(f"#!/bin/sh\n{script}\n")
    (folder / name).chmod(0o755)


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that is all of PATH."""
    monkeypatch.setenv("PATH", str(tmp_path))
    return tmp_path


def test_there_is_no_release_without_helm(path: Path) -> None:
    assert _cluster.releases() == []


def test_there_is_no_release_without_a_cluster_that_answers(path: Path) -> None:
    program(path, "kubectl", "exit 1")
    program(path, "helm", "echo 'Error: Kubernetes cluster unreachable' >&2; exit 1")
    assert _cluster.releases() == []


def test_releases_of_other_charts_are_left_alone(path: Path) -> None:
    listed = [
        {"name": "a", "namespace": "x", "chart": "aer-dask-0.1.0"},
        {"name": "b", "namespace": "x", "chart": "dask-2024.1.1"},
    ]
    program(path, "kubectl", "exit 1")
    program(path, "helm", f"echo '{json.dumps(listed)}'")
    assert _cluster.releases() == [ONE]


def test_the_only_release_is_taken_and_one_of_several_must_be_named() -> None:
    assert smoke.choose([], None) is None
    assert smoke.choose([ONE], None) == ONE
    assert smoke.choose([ONE, OTHER], "x/b") == OTHER
    with pytest.raises(SystemExit, match=r"Say which release.*x/a, x/b"):
        smoke.choose([ONE, OTHER], None)
    with pytest.raises(SystemExit, match="no release y/c"):
        smoke.choose([ONE], "y/c")
