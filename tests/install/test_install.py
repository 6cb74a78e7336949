"""Wheel and sdist, from nothing, with each Python that pyproject.toml names and is here."""

from __future__ import annotations

import re
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.version import Version

from .environment import ROOT, Environment, build

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
VERSION = PROJECT["version"]
NAME = f"aer-dask=={VERSION}"
CLASSIFIED = re.findall(r" :: (3\.\d+)$", "\n".join(PROJECT["classifiers"]), re.M)
OLDEST = CLASSIFIED[0]
EVERY_PYTHON = pytest.mark.parametrize("python", CLASSIFIED)

Make = Callable[..., Environment]


@EVERY_PYTHON
def test_the_locked_packages_give_plain_bits(
    environment: Make, python: str, tmp_path: Path
) -> None:
    lock = subprocess.run([sys.executable, "scripts/locked.py", "."], cwd=ROOT, check=True,
                          text=True, stdout=subprocess.PIPE).stdout  # fmt: skip
    (tmp_path / "lock.txt").write_text(lock)
    here = environment(python)
    here.install("--require-hashes", "--requirement", tmp_path / "lock.txt")
    here.install("--no-deps", NAME)
    versions = here.has_plain_bits()
    pins = set(re.findall(r"^([\w.-]+==[^\s;\\]+)", lock, re.M))
    assert {f"{name}=={v}" for name, v in versions.items() if name != "aer-dask"} <= pins


@EVERY_PYTHON
def test_the_oldest_packages_that_are_allowed_give_plain_bits(
    environment: Make, python: str
) -> None:
    here = environment(python)
    # what the command line names is direct, and what is direct is lowest
    here.install("--resolution", "lowest-direct", *PROJECT["dependencies"], NAME)
    versions = here.has_plain_bits()
    for requirement in map(Requirement, PROJECT["dependencies"]):
        (least,) = (s for s in requirement.specifier if s.operator in (">=", "=="))
        release = Version(least.version).release
        # the first that has been published of 2.1, say
        assert Version(versions[requirement.name]).release[: len(release)] == release, requirement


@EVERY_PYTHON
def test_the_newest_packages_that_are_allowed_give_plain_bits(
    environment: Make, python: str
) -> None:
    here = environment(python)
    here.install("--upgrade", NAME)
    assert here.has_plain_bits()["aer-dask"] == VERSION


def test_pip_installs_the_sdist_with_what_a_laptop_needs_and_no_more(
    packages: Path, environment: Make
) -> None:
    here = environment(OLDEST, pip=True)
    here.run("python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check",
             f"--find-links={packages}", "--no-binary=aer-dask", NAME)  # fmt: skip
    versions = here.has_plain_bits()
    of_others = re.compile("jupyter|notebook|ipython|bokeh|kr8s")
    assert [name for name in versions if of_others.match(name)] == []

    assert "--release" in here.run("aer-dask", "--help").stdout
    refused = here.run("aer-dask", "--release", "aer", "status", check=False)
    assert refused.returncode == 1
    assert "the extra aer-dask[kubernetes] brings" in refused.stderr
    assert "Traceback" not in refused.stderr


@pytest.mark.parametrize("resolution", ["lowest-direct", "highest"])
def test_extras_bring_the_dashboard_kubernetes_and_s3(environment: Make, resolution: str) -> None:
    extras = ["cluster", "kubernetes", "s3"]
    asked = [line for extra in extras for line in PROJECT["optional-dependencies"][extra]]
    here = environment(OLDEST)
    here.install("--resolution", resolution, *asked, f"aer-dask[{','.join(extras)}]=={VERSION}")
    said = here.run("python", ROOT / "tests" / "install" / "extras.py").stdout
    assert "does not say how to reach a cluster of Kubernetes" in said


@EVERY_PYTHON
def test_the_extra_of_notebooks_can_be_installed(environment: Make, python: str) -> None:
    told = environment(python).install("--dry-run", f"aer-dask[notebook]=={VERSION}")
    for name in ("jupyterlab", "dask-labextension", "bokeh", "kr8s", "s3fs", "matplotlib"):
        assert re.search(rf"^ \+ {name}==", told, re.M), name


def test_the_extra_of_notebooks_draws_with_its_oldest_packages(environment: Make) -> None:
    extras = PROJECT["optional-dependencies"].values()
    asked = [line for extra in extras for line in extra if not line.startswith("aer-dask")]
    here = environment(OLDEST)
    here.install("--resolution", "lowest-direct", *asked, *PROJECT["dependencies"],
                 f"aer-dask[notebook]=={VERSION}")  # fmt: skip
    here.run("python", ROOT / "tests" / "install" / "pictures.py")


def test_the_wheel_of_the_sdist_is_the_wheel(packages: Path, tmp_path: Path) -> None:
    with tarfile.open(next(packages.glob("*.tar.gz"))) as sdist:
        sdist.extractall(tmp_path, filter="data")
    build(tmp_path / "dist", "--target=wheel", source=tmp_path / f"aer_dask-{VERSION}")
    one, other = (files(next(folder.glob("*.whl"))) for folder in (packages, tmp_path / "dist"))
    assert one == other
    sources = {str(path.relative_to(ROOT / "src")): path for path in (ROOT / "src").rglob("*")}
    known = {name: path for name, path in sources.items() if path.is_file() and "/__" not in name}
    assert {name for name in known if name not in one} == set()
    assert {name.partition("/")[0] for name in one} == {"aer_dask", f"aer_dask-{VERSION}.dist-info"}
    assert f"aer_dask-{VERSION}.dist-info/licenses/LICENSE" in one


def files(wheel: Path) -> dict[str, bytes]:
    """What a wheel holds."""
    with zipfile.ZipFile(wheel) as archive:
        return {name: archive.read(name) for name in archive.namelist()}
