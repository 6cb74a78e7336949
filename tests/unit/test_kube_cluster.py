"""What a cluster of the operator refuses before there is one, and what its arguments become."""

from __future__ import annotations

import asyncio
import subprocess
import sys

import pytest
import yaml

from aer_dask import ClusterError, KubeCluster
from aer_dask.clusters.kube import _named, default_manifest

ALONE = """
from aer_dask import ClusterError, KubeCluster
try:
    KubeCluster(quiet=True)
except ClusterError as error:
    print(error)
"""


def test_without_a_kubeconfig_it_says_so_and_nothing_follows(tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", ALONE], env={"KUBECONFIG": str(tmp_path / "none"), "PATH": ""},
        capture_output=True, text=True, check=True, timeout=60,
    )  # fmt: skip
    assert "does not say how to reach a cluster of Kubernetes" in done.stdout
    assert done.stderr == ""


def test_in_an_event_loop_it_says_the_same(tmp_path, monkeypatch, recwarn):
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "none"))

    async def made():
        await KubeCluster(quiet=True, asynchronous=True)

    with pytest.raises(ClusterError, match="does not say how to reach a cluster"):
        asyncio.run(made())
    assert [w for w in recwarn if "never awaited" in str(w.message)] == []


@pytest.mark.parametrize("text", ["kind: Pod\nspec: {}", "- 1", "spec: {}"])
@pytest.mark.parametrize("kind", [str, lambda path: path])
def test_a_spec_that_is_no_daskcluster_is_refused(tmp_path, text, kind):
    file = tmp_path / "worker-spec.yml"
    file.write_text(text)
    with pytest.raises(ValueError, match=r"should be a DaskCluster.*values/worker-spec.yml"):
        KubeCluster(kind(file))


def test_jupyter_wants_an_image_that_has_it():
    with pytest.raises(ValueError, match="image='aer-dask-jupyter:"):
        KubeCluster(jupyter=True)


def test_a_spec_by_another_name_selects_its_own_scheduler():
    before = yaml.safe_dump(default_manifest())
    made = _named(default_manifest(), "mine")
    assert yaml.safe_dump(made) == before.replace("name: ad-hoc\n", "name: mine\n", 2)
