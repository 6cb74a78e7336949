"""What is published says the same everywhere: pyproject.toml, README, the chart, workflows."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tarfile
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml
from readme_renderer import markdown

from images import build as images
from images import sign
from scripts import changelog, dist

from ..chart.rendering import CHART, ROOT, VERSION, helm, text

ABOUT = yaml.safe_load((CHART / "Chart.yaml").read_text())
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
TARGETS = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
HOME = "https://github.com/aer-dask/aer-dask"
REGISTRY = "ghcr.io/aer-dask/aer-dask"


def annotation(name: str) -> list[dict[str, str]]:
    """What the chart tells Artifact Hub."""
    return yaml.safe_load(ABOUT["annotations"].get(f"artifacthub.io/{name}", "[]"))


# --- the package ---


@cache
def metadata() -> dict[str, Any]:
    """What the build writes of the package."""
    build = [sys.executable, "-m", "hatchling", "metadata"]
    told = subprocess.run(build, cwd=ROOT, check=True, text=True, stdout=subprocess.PIPE).stdout
    return json.loads(told)


def test_a_package_index_shows_the_readme_without_a_link_that_leads_nowhere() -> None:
    readme = metadata()["readme"]["text"]
    # headings link to themselves
    links = re.findall(r'(?:href|src)="((?!#user-content-)[^"]*)"', markdown.render(readme))
    assert len(links) > 20
    of_ours = re.compile(rf"{HOME}/blob/v{VERSION}/(.+?)(#.*)?$")
    pictures = re.compile(rf"https://raw\.githubusercontent\.com/aer-dask/aer-dask/v{VERSION}/(.+)")
    for link in links:
        assert re.match(r"https?://", link), link
        if found := of_ours.match(link) or pictures.match(link):
            assert (ROOT / found[1]).exists(), link
    assert sum(bool(pictures.match(link)) for link in links) >= 2
    assert "flowchart" not in readme


def test_the_home_of_the_project_is_one() -> None:
    assert metadata()["urls"]["Repository"] == HOME
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, check=True, text=True,
                            stdout=subprocess.PIPE).stdout  # fmt: skip
    homes = set()
    for name in listed.split():
        if not name.endswith((".png", ".lock")) and (ROOT / name).exists():
            found = re.findall(r"https://github\.com/[\w-]+/aer-dask\b", (ROOT / name).read_text())
            homes |= set(found)
    assert homes == {HOME}


def test_python_versions_are_those_that_ci_runs() -> None:
    classifiers = "\n".join(metadata()["classifiers"])
    told = set(re.findall(r"^Programming Language :: Python :: (3\.\d+)$", classifiers, re.M))
    matrix = yaml.safe_load(WORKFLOWS[0].read_text())["jobs"]["make"]["strategy"]["matrix"]
    assert told == {*matrix["python"], *(each["python"] for each in matrix["include"])}


# --- the chart ---


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The chart as it is published."""
    monkeypatch.setenv("PATH", str(Path(helm()).parent), prepend=os.pathsep)
    dist.package_chart(tmp_path, REGISTRY)
    return tmp_path / f"aer-dask-{VERSION}.tgz"


def test_the_packaged_chart_runs_the_images_that_it_tells_artifact_hub(package: Path) -> None:
    rendered = text({}, ROOT / "values" / "gpu.yaml", chart=package)
    run = set(re.findall(r"^ +image: \"?([^\"\n]+)", rendered, re.MULTILINE))
    told = {entry["name"]: entry["image"] for entry in annotation("images")}
    assert run == set(told.values())
    assert told == {name: f"{REGISTRY}/{name}:{VERSION}" for name in images.NAMES.values()}


def test_the_packaged_charts_readme_links_to_the_repository(package: Path) -> None:
    with tarfile.open(package) as archive:
        readme = archive.extractfile("aer-dask/README.md").read().decode()
    links = re.findall(r"\]\(([^)#]+)", readme)
    assert len(links) > 3
    for link in links:
        assert link.startswith(f"{HOME}/blob/v{VERSION}/"), link
        assert (ROOT / link.removeprefix(f"{HOME}/blob/v{VERSION}/")).exists(), link


def test_pictures_and_pages_of_the_chart_exist() -> None:
    shown = annotation("screenshots") + annotation("links")
    for entry in shown:
        path = re.search(rf"/aer-dask/(?:tree/main|blob/main|v{VERSION})/(.+)", entry["url"])
        assert path, entry
        assert (ROOT / path[1]).exists(), entry
    assert len(shown) > 3


def test_the_charts_changes_are_those_of_its_version_in_the_changelog() -> None:
    told = changelog.entries(changelog.section((ROOT / "CHANGELOG.md").read_text(), VERSION))
    assert [(entry["kind"], entry["description"]) for entry in annotation("changes")] == told


# --- signatures ---


def test_an_image_is_signed_with_its_own_document_and_the_chart_with_none() -> None:
    of_chart = list(sign.commands("localhost:5000/q/charts/aer-dask:1.2.3@sha256:0", Path("sbom")))
    assert [words[0] for words in of_chart] == ["sign"]
    for name in images.NAMES.values():
        words = list(sign.commands(f"localhost:5000/q/{name}:1.2.3@sha256:0", Path("sbom")))
        assert [each[0] for each in words] == ["sign", "attest"]
        assert f"--predicate=sbom/{name}.cdx.json" in words[1]


# --- workflows ---


def steps(workflow: Path) -> list[dict[str, str]]:
    jobs = yaml.safe_load(workflow.read_text())["jobs"].values()
    return [step for job in jobs for step in job["steps"]]


def test_ci_runs_what_a_developer_types_and_all_that_the_local_run_has() -> None:
    ci = WORKFLOWS[0]
    assert all(re.match(r"make \S+", step["run"]) for step in steps(ci) if "run" in step)
    jobs = yaml.safe_load(ci.read_text())["jobs"]
    run = set(jobs["make"]["strategy"]["matrix"]["target"]) | {"install-test", "test-cluster"}
    local = set(re.findall(r"^make ([a-z-]+)", (ROOT / ".ci" / "run").read_text(), re.MULTILINE))
    of_test = re.search(r"^test: ([a-z -]+)", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert run == local - {"test"} | set(of_test[1].split())
    assert run <= TARGETS


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda path: path.stem)
def test_actions_are_pinned_by_commit_and_say_their_version(workflow: Path) -> None:
    used = re.findall(r"uses: (.*)", workflow.read_text())
    assert used
    for line in used:
        assert re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40}  # v\d+\.\d+\.\d+", line), line


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda path: path.stem)
def test_a_workflow_may_do_nothing_but_what_a_job_asks_for(workflow: Path) -> None:
    written = yaml.safe_load(workflow.read_text())
    assert written["permissions"] in ({}, {"contents": "read"})
    assert all(job["timeout-minutes"] <= 120 for job in written["jobs"].values())
