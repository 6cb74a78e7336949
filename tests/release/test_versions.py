"""A worker from an image of another version refuses to serve, and says why."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest

from images import build

from ..chart.rendering import ROOT
from ..kubernetes import choice
from .release import MINIKUBE, Release, until

pytestmark = [
    pytest.mark.timeout(900),
    pytest.mark.skipif(
        choice.chosen() in (None, "current"),
        reason="needs a cluster that images can be loaded into",
    ),
]

OTHER = "0.0.9"
#: The same image, whose aer-dask says that it is of another version.
DOCKERFILE = """
FROM {image}
USER 0
RUN sed -i 's/^Version: .*/Version: {version}/' \
    /opt/venv/lib/python3*/site-packages/aer_dask-*.dist-info/METADATA
USER 1000:1000
"""


@pytest.fixture
def image_of_another_version(tmp_path: Path) -> str:
    """The tag of such an image, on every node, but no longer with the builder."""
    tool = build.builder()
    name = build.tag("runtime", OTHER)
    (tmp_path / "Dockerfile").write_text(
        DOCKERFILE.format(image=build.tag("runtime"), version=OTHER)
    )
    build.build_file(tool, tmp_path / "Dockerfile", name, tmp_path)
    try:
        with tempfile.TemporaryDirectory() as scratch:
            archive = Path(scratch) / "other.tar"
            build.save(tool, name, archive)
            choice.load([archive])
    finally:
        build.run(tool, "rmi", name)
    return OTHER


def test_a_worker_of_another_version_ends_with_status_78_and_the_sentence(
    release: Release, image_of_another_version: str
) -> None:
    release.install(MINIKUBE, values={"jupyter.enabled": False})
    group = {"image": {"tag": image_of_another_version}, "replicas": 1}
    values = {"jupyter.enabled": False, "workerGroups.other": group}
    # not by release.upgrade, which would wait for the group to be ready
    chart = ROOT / "charts" / "aer-dask"
    release.helm("upgrade", release.name, chart, f"--values={MINIKUBE}", values=values)
    until(lambda: ended(release) is not None, "the worker has ended", 120)
    name, status = ended(release)
    assert status == 78
    sentence = "Versions differ between this process and the scheduler: aer-dask is 0.0.9 here and"
    # the log of a container that was started again just now has not got to it yet
    until(lambda: sentence in release.kubectl("logs", name), "the log has the sentence", 60)
    assert len(release.pods()) == 3, "the other workers should go on"


def ended(release: Release) -> tuple[str, int] | None:
    """The other group's pod and the exit status of its container, once that was started again."""
    for worker in release.pods():
        if worker["metadata"]["labels"]["aer-dask/worker-group"] == "other":
            for container in worker["status"].get("containerStatuses", []):
                if gone := container["lastState"].get("terminated"):
                    return worker["metadata"]["name"], gone["exitCode"]
    return None
