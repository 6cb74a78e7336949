"""make release, on a copy of the repository: one version everywhere, and nothing if it fails."""

from __future__ import annotations

import email
import os
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest
import yaml

from ..chart.rendering import ROOT, VERSION, helm

NEXT = "98.0.0"
#: What main is called after it.
BEGUN = "98.0.1"
#: Files whose versions are those of others, and the history.
OTHERS = r"CHANGELOG\.md|.*\.(lock|sum|json|ipynb|svg|png)|tests/.*"


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """The files that git knows, in a repository of their own that has something to release."""
    copy = tmp_path / "aer-dask"
    for name in git(ROOT, "ls-files", "--cached").splitlines():
        (copy / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, copy / name, follow_symlinks=False)
    tell(copy, '### Fixed\n\n- A thing\n  that was wrong: "it".\n')
    git(copy, "init", "--quiet", "--initial-branch=main")
    commit(copy)
    return copy


def tell(folder: Path, news: str) -> None:
    """Add to what is unreleased."""
    log = folder / "CHANGELOG.md"
    log.write_text(log.read_text().replace("## Unreleased\n", f"## Unreleased\n\n{news}", 1))


def git(folder: Path, *words: str, check: bool = True) -> str:
    identity = ["-c", "user.name=t", "-c", "user.email=t@example.com"]
    command = ["git", *identity, *words]
    done = subprocess.run(command, cwd=folder, check=check, text=True, stdout=subprocess.PIPE)
    return done.stdout


def commit(folder: Path) -> None:
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message=All")


def release(
    folder: Path, version: str = NEXT, *options: str, path: str = ""
) -> subprocess.CompletedProcess[str]:
    """Run the script in the copy, with git and helm on PATH unless told otherwise."""
    names = {f"GIT_{who}_{what}": f"t@{what}" for who in ("AUTHOR", "COMMITTER")
             for what in ("NAME", "EMAIL")}  # fmt: skip
    path = path or f"{Path(helm()).parent}:{os.environ['PATH']}"
    return subprocess.run(
        [sys.executable, "scripts/release.py", version, *options],
        cwd=folder, env=os.environ | names | {"PATH": path}, text=True, capture_output=True,
        check=False,
    )  # fmt: skip


def test_a_release_writes_one_version_everywhere_builds_and_tags(repository: Path) -> None:
    done = release(repository)
    assert done.returncode == 0, done.stderr
    assert git(repository, "describe", "--exact-match", "HEAD^").strip() == f"v{NEXT}"
    assert git(repository, "log", "-2", "--format=%s") == f"Begin {BEGUN}\nRelease {NEXT}\n"
    assert git(repository, "status", "--porcelain") == ""
    assert named(repository, VERSION) == named(repository, NEXT) == []
    assert named(repository, BEGUN)

    log = (repository / "CHANGELOG.md").read_text()
    assert re.search(rf"## Unreleased\n\n## {NEXT} - 20\d\d-\d\d-\d\d\n\n### Fixed\n", log)

    dist = repository / "dist"
    packages = {f"aer-dask-{NEXT}.tgz", f"aer_dask-{NEXT}.tar.gz",
                f"aer_dask-{NEXT}-py3-none-any.whl"}  # fmt: skip
    assert {file.name for file in dist.iterdir()} == packages
    with zipfile.ZipFile(dist / f"aer_dask-{NEXT}-py3-none-any.whl") as wheel:
        metadata = wheel.read(f"aer_dask-{NEXT}.dist-info/METADATA").decode()
    assert email.message_from_string(metadata)["Version"] == NEXT
    with tarfile.open(dist / f"aer-dask-{NEXT}.tgz") as chart:
        about = yaml.safe_load(chart.extractfile("aer-dask/Chart.yaml"))
    assert about["version"] == about["appVersion"] == NEXT
    changes = yaml.safe_load(about["annotations"]["artifacthub.io/changes"])
    assert changes[0] == {"kind": "fixed", "description": 'A thing that was wrong: "it".'}
    images = yaml.safe_load(about["annotations"]["artifacthub.io/images"])
    assert {image["image"].rpartition(":")[2] for image in images} == {NEXT}

    written = [sys.executable, "-m", "yamllint", "--strict", "charts/aer-dask/Chart.yaml"]
    assert subprocess.run(written, cwd=repository, check=False).returncode == 0

    again = release(repository, "98.1.0")
    assert "CHANGELOG.md says nothing under Unreleased" in again.stderr


def named(folder: Path, version: str) -> list[str]:
    """The files that name a version of the project's."""
    words = ["--files-with-matches", "--extended-regexp"]
    project = rf"(^|[^0-9.]){re.escape(version)}($|[^0-9])"
    files = git(folder, "grep", *words, "-e", project, check=False)  # 1 where there is none
    return [file for file in files.split() if not re.fullmatch(OTHERS, file)]


def test_a_second_release_tells_its_own_changes_alone(repository: Path) -> None:
    assert release(repository).returncode == 0
    tell(repository, "### Added\n\n- B.\n")
    commit(repository)
    assert release(repository, BEGUN).returncode == 0
    chart = "charts/aer-dask/Chart.yaml"
    about = yaml.safe_load(git(repository, "show", f"v{BEGUN}:{chart}"))
    changes = yaml.safe_load(about["annotations"]["artifacthub.io/changes"])
    assert changes == [{"kind": "added", "description": "B."}]
    begun = yaml.safe_load((repository / chart).read_text())
    assert "artifacthub.io/changes" not in begun["annotations"], "nothing is told of it yet"
    notes = subprocess.run(
        [sys.executable, "scripts/changelog.py", BEGUN],
        cwd=repository, check=True, text=True, stdout=subprocess.PIPE,
    ).stdout  # fmt: skip
    assert notes == "### Added\n\n- B.\n"


def test_a_dry_run_shows_what_it_would_write_and_writes_nothing(repository: Path) -> None:
    done = release(repository, NEXT, "--dry-run")
    assert done.returncode == 0, done.stderr
    assert f'+version = "{NEXT}"' in done.stdout
    assert f"+appVersion: {NEXT}" in done.stdout
    assert git(repository, "status", "--porcelain") == git(repository, "tag") == ""
    assert not (repository / "dist").exists()


def test_what_is_no_release_is_refused_in_a_sentence(repository: Path) -> None:
    assert "is no version such as 0.2.0" in release(repository, "1.0").stderr
    assert f"is less than {VERSION}" in release(repository, "0.0.1").stderr
    git(repository, "tag", "v98.0.1")
    assert "98.0.0 is not greater than 98.0.1" in release(repository).stderr
    git(repository, "checkout", "--quiet", "-b", "other")
    assert "Releases are made from main; this is other" in release(repository, "99.0.0").stderr
    (repository / "README.md").write_text("")
    assert "changes that are not committed" in release(repository, "99.0.0").stderr


def test_a_release_that_cannot_be_built_leaves_nothing(repository: Path) -> None:
    (repository / "charts" / "aer-dask" / "values.schema.json").write_text("{")
    commit(repository)
    before = git(repository, "rev-parse", "HEAD")
    done = release(repository)
    assert done.returncode != 0
    assert git(repository, "rev-parse", "HEAD") == before
    assert git(repository, "status", "--porcelain") == git(repository, "tag") == ""
