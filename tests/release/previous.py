"""The release before this version, as its commit in the history has it: its chart, its images."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from images import build

from ..chart.rendering import ROOT, VERSION
from ..kubernetes import choice

IMAGES = ("runtime", "jupyter")


@dataclass(frozen=True)
class Previous:
    """A release of which all files are in a folder."""

    version: str
    folder: Path

    @property
    def chart(self) -> Path:
        return self.folder / "charts" / "aer-dask"

    @property
    def minikube(self) -> Path:
        """Its values for a small cluster."""
        return self.folder / "values" / "minikube.yaml"

    def load_images(self) -> None:
        """Build its images and load them into the cluster; they do not stay with the builder."""
        program = self.folder / "images" / "build.py"
        build.run(sys.executable, program, "build", *IMAGES)
        try:
            build.run(sys.executable, program, "archive", *IMAGES)
            choice.load(sorted((self.folder / "build" / "images").glob("*.tar")))
        finally:
            for target in IMAGES:
                build.run(build.builder(), "rmi", build.tag(target, self.version))


@pytest.fixture
def previous(tmp_path: Path) -> Previous:
    """That release, with its images on the nodes."""
    commit, version = next(releases(), ("", ""))
    if not commit and git("rev-parse", "--is-shallow-repository") == "true":
        pytest.skip("this clone is shallow, without the release before: git fetch --unshallow")
    assert commit, "no release in the history"
    folder = tmp_path / version
    folder.mkdir()
    # with the modes of a checkout, or no layer of the images would be the one that is there
    git("-c", "tar.umask=0022", "archive", f"--output={tmp_path}/files.tar", commit)
    subprocess.run(["tar", "-xf", tmp_path / "files.tar", "-C", folder], check=True)
    found = Previous(version, folder)
    found.load_images()
    return found


def releases() -> Iterator[tuple[str, str]]:
    """Commits that `make release` has made of other versions, with these, the last one first."""
    lines = git("log", "--extended-regexp", "--grep=^Release [0-9.]+$", "--format=%H %s")
    for line in lines.splitlines():
        commit, _, version = line.split()
        if version != VERSION:
            yield commit, version


def git(*words: str) -> str:
    """What git prints of this checkout."""
    done = subprocess.run(["git", *words], cwd=ROOT, check=True, text=True, stdout=subprocess.PIPE)
    return done.stdout.strip()
