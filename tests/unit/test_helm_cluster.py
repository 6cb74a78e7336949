"""What a release as a cluster refuses before there is one."""

from __future__ import annotations

import asyncio
import json
import socket

import httpx
import kr8s
import pytest

from aer_dask import ClusterError, HelmCluster
from aer_dask.__main__ import main
from aer_dask.clusters import kubernetes
from aer_dask.clusters.settings import OWN_RELEASE


def kubeconfig(folder, server="https://127.0.0.1:1"):
    """A kube context whose API server is somewhere."""
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "here",
        "contexts": [{"name": "here", "context": {"cluster": "c", "user": "u"}}],
        "clusters": [{"name": "c", "cluster": {"server": server}}],
        "users": [{"name": "u", "user": {"token": "t"}}],
    }
    file = folder / "kubeconfig"
    file.write_text(json.dumps(config))
    return str(file)


def test_a_release_must_be_named_outside_a_notebook():
    with pytest.raises(ClusterError, match=r"Which release\? Give its name"):
        HelmCluster()


def test_a_kubeconfig_that_is_not_there_is_told(tmp_path):
    with pytest.raises(ClusterError, match=r"none does not say how to reach a cluster"):
        HelmCluster("aer", kubeconfig=str(tmp_path / "none"))
    with pytest.raises(ClusterError, match="does not say how to reach context 'there'"):
        HelmCluster("aer", context="there", kubeconfig=kubeconfig(tmp_path))


@pytest.mark.parametrize("listens", [False, True])
def test_an_api_server_that_does_not_answer_is_told(tmp_path, monkeypatch, listens):
    monkeypatch.setattr(kubernetes, "ANSWER", 1.0)
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        if listens:  # and says nothing
            server.listen()
        file = kubeconfig(tmp_path, f"https://127.0.0.1:{server.getsockname()[1]}")
        with pytest.raises(ClusterError, match="API server of Kubernetes cannot be reached"):
            HelmCluster("aer", kubeconfig=file, timeout=1)


def test_releases_are_listed_where_a_loop_runs_too(tmp_path):
    async def in_a_notebook():
        HelmCluster.list(kubeconfig=str(tmp_path / "none"))

    with pytest.raises(ClusterError, match="does not say how to reach a cluster"):
        asyncio.run(in_a_notebook())


def test_a_notebook_that_is_refused_is_told_which_value_of_the_chart_allows_it(
    tmp_path, monkeypatch
):
    monkeypatch.setenv(OWN_RELEASE, "aer")
    with pytest.raises(ClusterError, match=r"no account .* jupyter\.rbac\.scaling=true"):
        HelmCluster("aer", namespace="there", kubeconfig=str(tmp_path / "none"))

    async def asked(remedy):
        await kubernetes.connect(kubeconfig=str(tmp_path / "none"), remedy=remedy)

    async def refused(remedy):
        async with kubernetes.answers(remedy):
            raise kr8s.ServerError("pods is forbidden", response=httpx.Response(403))

    for each in (asked, refused):
        with pytest.raises(ClusterError, match=r"Set another value\.") as told:
            asyncio.run(each("Set another value."))
        assert "scaling" not in str(told.value)


def test_the_command_line_ends_with_a_sentence(tmp_path, monkeypatch):
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "none"))
    with pytest.raises(SystemExit, match="does not say how to reach a cluster"):
        main(["--release", "aer", "status"])
    with pytest.raises(SystemExit, match="Which release"):
        main(["status"])
