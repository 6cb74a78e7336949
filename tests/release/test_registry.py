"""A release whose chart and images come from a private registry, with a login of its own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from images import build
from scripts import dist

from ..chart.rendering import VERSION
from ..kubernetes import choice, network
from ..kubernetes.host import NODES
from ..registry import Registry
from .release import MINIKUBE, Release, options

pytestmark = [
    pytest.mark.timeout(900),
    pytest.mark.skipif(
        choice.chosen() != "host", reason="needs nodes that can be told to trust a registry"
    ),
]


@pytest.fixture
def registry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Registry]:
    """One that the nodes trust, and in which who builds here has logged in."""
    started = Registry(tmp_path / "registry", network.HOST_ADDRESS)
    started.used_by_process(tmp_path, monkeypatch)
    for node in NODES:
        node.trust(started.host, started.certificate)
    yield started
    started.kill()


def test_a_release_takes_its_chart_and_images_from_a_private_registry(
    release: Release, registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    login = registry.login(tmp_path)
    where = f"{registry.host}/team"
    monkeypatch.setattr(dist, "DIST", tmp_path)
    push_runtime(where, tmp_path, monkeypatch)
    dist.package_chart(tmp_path, where)
    dist.push(where)

    secret = ["docker-registry", "registry", f"--from-file=.dockerconfigjson={login}"]
    release.kubectl("create", "secret", *secret)
    chart = [f"oci://{where}/charts/aer-dask", f"--version={VERSION}"]
    values = {"imagePullSecrets": [{"name": "registry"}], "jupyter.enabled": False}
    release.helm("install", release.name, *chart, *options((MINIKUBE,)), values=values)
    release.rolled_out()
    digest = registry.digest("team/aer-dask", VERSION)
    pods = release.pods("scheduler") + release.pods("worker")
    ran = {status["imageID"] for pod in pods for status in pod["status"]["containerStatuses"]}
    assert ran == {f"{where}/aer-dask@{digest}"}
    assert release.tests_passed("versions", "smoke-aer-parallel") == 2


def push_runtime(where: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Push an image that is no other one's, of which nothing stays with the builder.

    What a kubelet has pulled with a login, it gives to pods that show it, by whatever name they
    ask for the same image; those of the other tests have none.
    """
    tool, own = build.builder(), "localhost/aer-dask-registry:1"
    (folder / "Dockerfile").write_text(f"FROM {build.tag('runtime')}\nLABEL registry={where}\n")
    build.build_file(tool, folder / "Dockerfile", own, folder)
    monkeypatch.setattr(build, "tag", lambda target: own)
    try:
        build.push(tool, ["runtime"], where)
    finally:
        build.run(tool, "rmi", "--force", own, f"{where}/aer-dask:{VERSION}")
