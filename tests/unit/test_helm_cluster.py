"""What a release as a cluster refuses before there is one."""

from __future__ import annotations

import asyncio
import json
import socket

import httpx
import kr8s
import pytest
from distributed import Scheduler

from aer_dask import ClusterError, HelmCluster
from aer_dask.__main__ import main
from aer_dask.clusters import helm, kubernetes
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


@pytest.fixture
def away(monkeypatch):
    """Run something with a cluster, as a notebook has it, whose scheduler has gone."""
    monkeypatch.setenv(OWN_RELEASE, "aer")
    monkeypatch.setattr(helm, "_ATTEMPT", 0.5)

    def run(look):
        async def with_it():
            async with Scheduler(port=0, dashboard_address=":0") as scheduler:
                monkeypatch.setenv("DASK_SCHEDULER_ADDRESS", scheduler.address)
                cluster = await HelmCluster(asynchronous=True, quiet=True)
            await eventually(telling)
            try:
                await look(cluster)
            finally:
                await cluster.close()

        asyncio.run(asyncio.wait_for(with_it(), 60))

    return run


async def eventually(true):
    """Wait until something is true."""
    while not true():
        await asyncio.sleep(0.01)


def telling():
    """Whether a task is about to tell why the scheduler is away."""
    return any("_tell_why_away" in repr(task.get_coro()) for task in asyncio.all_tasks())


def test_why_the_scheduler_is_away_is_told_whatever_goes_wrong_there(away, monkeypatch):
    async def odd(self):
        raise TypeError("an odd answer")

    monkeypatch.setattr(helm, "_AWAY", 0.1)
    monkeypatch.setattr(HelmCluster, "_kubernetes_release", odd)

    async def look(cluster):
        await eventually(lambda: not telling())
        (_, said) = cluster._cluster_manager_logs[-1]
        assert "has been away for 0.1 s: TypeError: an odd answer. A running job" in said

    away(look)


@pytest.mark.parametrize("ends", ["cancelled", "failed"])
def test_who_no_longer_looks_for_the_scheduler_tells_nothing_later(away, monkeypatch, ends):
    async def look(cluster):
        async def fails():
            raise RuntimeError

        if ends == "failed":
            monkeypatch.setattr(cluster, "_subscribed", fails)
        else:
            cluster._watch_worker_status_task.cancel()
        watcher, cluster._watch_worker_status_task = cluster._watch_worker_status_task, None
        await asyncio.gather(watcher, return_exceptions=True)
        async with asyncio.timeout(helm._AWAY / 2):
            await eventually(lambda: not telling())

    away(look)


def test_the_command_line_ends_with_a_sentence(tmp_path, monkeypatch):
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "none"))
    with pytest.raises(SystemExit, match="does not say how to reach a cluster"):
        main(["--release", "aer", "status"])
    with pytest.raises(SystemExit, match="Which release"):
        main(["status"])
