"""Images and chart to a registry and back, with the login that docker writes."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from images import build as images
from scripts import dist

from ..chart.rendering import VERSION
from ..registry import Registry

pytestmark = pytest.mark.timeout(1800)  # it may have to be compiled


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    started = Registry(tmp_path_factory.mktemp("registry") / "registry")
    yield started
    started.kill()


@pytest.fixture
def pushed(registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file of what has been pushed; who pushes trusts the registry, and has not logged in."""
    return registry.used_by_process(tmp_path, monkeypatch)


@pytest.fixture
def login(registry: Registry, pushed: Path, tmp_path: Path) -> None:
    registry.login(tmp_path)


def test_the_chart_is_pushed_known_by_its_digest_and_pulled(
    registry: Registry, pushed: Path, login: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dist, "DIST", tmp_path)
    dist.package_chart(tmp_path, f"{registry.host}/team")
    dist.push(f"{registry.host}/team/")

    name = f"{registry.host}/team/charts/aer-dask"
    digest = registry.digest("team/charts/aer-dask", VERSION)
    assert pushed.read_text() == f"{name}:{VERSION}@{digest}\n"
    rendered = subprocess.run(
        ["helm", "template", "aer", f"oci://{name}", f"--version={VERSION}",
         "--kube-version=1.35.0"], check=True, text=True, capture_output=True,
    ).stdout  # fmt: skip
    assert f"image: {registry.host}/team/aer-dask:{VERSION}" in rendered.replace('"', "")


def test_who_has_not_logged_in_is_told_what_helm_says(
    registry: Registry, pushed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dist, "DIST", tmp_path)
    with pytest.raises(SystemExit, match="is not there: run make dist"):
        dist.push(f"{registry.host}/team")
    dist.package_chart(tmp_path, "")
    with pytest.raises(SystemExit, match="Say where to push"):
        dist.push("")
    with pytest.raises(SystemExit, match=r"helm push .* failed:\n.*basic credential not found"):
        dist.push(f"{registry.host}/team")
    assert not pushed.exists()


def test_an_image_is_pushed_and_known_by_its_digest(
    registry: Registry, pushed: Path, login: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not (tool := images.working()):
        pytest.skip("Neither docker nor podman nor buildah works here.")
    (tmp_path / "Dockerfile").write_text("FROM scratch\nCOPY Dockerfile /\n")
    monkeypatch.setattr(images, "tag", lambda target: f"localhost/aer-dask-test-{target}:1")
    images.build_file(tool, tmp_path / "Dockerfile", images.tag("runtime"), tmp_path)
    try:
        images.push(tool, ["runtime"], f"{registry.host}/team")
    finally:
        images.run(tool, "rmi", "--force", images.tag("runtime"))
    digest = registry.digest("team/aer-dask", VERSION)
    assert pushed.read_text() == f"{registry.host}/team/aer-dask:{VERSION}@{digest}\n"
