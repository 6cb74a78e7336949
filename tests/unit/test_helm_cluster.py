"""What a release as a cluster refuses before there is one."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import ssl
import tempfile
import time
import traceback
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import dask
import httpx
import kr8s
import pytest
from distributed import Client, Scheduler
from distributed.utils import open_port
from kr8s.asyncio.portforward import PortForward

from aer_dask import ClusterError, HelmCluster
from aer_dask.__main__ import main
from aer_dask.clusters import certificate, helm, kubernetes, release
from aer_dask.clusters.settings import OWN_RELEASE
from tests.certificates import Certificate


def kubeconfig(folder, server="https://127.0.0.1:1", user=None):
    """A kube context whose API server is somewhere."""
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "here",
        "contexts": [{"name": "here", "context": {"cluster": "c", "user": "u"}}],
        "clusters": [{"name": "c", "cluster": {"server": server}}],
        "users": [{"name": "u", "user": user or {"token": "t"}}],
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


def test_the_keys_in_a_kubeconfig_are_in_no_file_that_is_left(tmp_path, monkeypatch):
    mine = Certificate("me")
    keys = {"client-certificate-data": mine.pem, "client-key-data": mine.key_pem}
    file, folder = kubeconfig(tmp_path, user=keys), tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    written = []
    monkeypatch.setattr(
        ssl.SSLContext, "load_cert_chain",
        lambda context, certfile, keyfile, password: written.extend(os.listdir(folder)),
    )  # fmt: skip
    with pytest.raises(ClusterError, match="cannot be reached"):
        HelmCluster("aer", kubeconfig=file)
    assert len(written) == 2, "kr8s had them read from files"
    assert not os.listdir(folder)


def test_a_kubeconfig_that_is_no_yaml_is_told_without_its_words(tmp_path):
    (tmp_path / "kubeconfig").write_text("users:\n- user: {token: a: SECRET}\n")
    with pytest.raises(
        ClusterError, match="kubeconfig cannot be read: line 2 of it is no YAML"
    ) as raised:
        HelmCluster("aer", kubeconfig=str(tmp_path / "kubeconfig"))
    assert "SECRET" not in "".join(traceback.format_exception(raised.value))


def test_a_kubeconfig_whose_program_fails_is_told(tmp_path):
    user = {"exec": {"command": "false", "apiVersion": "client.authentication.k8s.io/v1"}}
    with pytest.raises(ClusterError, match=r"how to reach a cluster .*non-zero code 1"):
        HelmCluster("aer", kubeconfig=kubeconfig(tmp_path, user=user))


def test_a_forwarded_port_closes_while_somebody_is_connected(monkeypatch):
    class Pods:
        ready_pods = None

    async def connected_and_closed():
        asked = asyncio.Event()

        async def forever(*_):
            asked.set()
            await asyncio.Event().wait()

        monkeypatch.setattr(PortForward, "_sync_sockets", forever)
        async with AsyncExitStack() as stack:
            for _ in range(2):
                forward = kubernetes.Forward(Pods(), 8786, open_port("127.0.0.1"))
                port = await stack.enter_async_context(forward)
                _, writer = await asyncio.open_connection("127.0.0.1", port)
                stack.callback(writer.close)
                await asked.wait()

    asyncio.run(asyncio.wait_for(connected_and_closed(), 30))


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


@pytest.mark.parametrize(("days", "told"), [(1, True), (89, True), (91, False)])
def test_a_certificate_is_spoken_of_in_its_last_90_days(days, told):
    end = time.strftime("%b %d %H:%M:%S %Y GMT", time.gmtime(time.time() + (days + 0.5) * 86400))
    comm = SimpleNamespace(extra_info={"peercert": {"notAfter": end}})
    said = certificate.warning(comm, "aer", "quantum")
    assert (f"'aer' ends in {days} days" in said) == told == bool(said)
    # of this release alone, and of no other chart's that has its name
    commands = [part for part in said.split("`") if part.startswith("kubectl")]
    assert len(commands) == 2 * told
    label = "--selector=app.kubernetes.io/name=aer-dask,app.kubernetes.io/instance=aer"
    assert all("--namespace=quantum" in each and label in each for each in commands)


def test_there_is_nothing_to_say_of_a_connection_without_tls():
    assert certificate.warning(SimpleNamespace(extra_info={}), "aer") == ""


@pytest.mark.parametrize(
    ("start", "end", "why"),
    [(-9, -2, r"its certificate has ended, on .* To renew it: .*`kubectl delete secret"),
     (2, 9, r"its certificate is valid only from .* Set the clock that is wrong")],
)  # fmt: skip
def test_a_certificate_that_is_not_valid_is_named_as_the_cause(monkeypatch, start, end, why):
    start, end = (datetime.now(UTC) + timedelta(days=days) for days in (start, end))
    own = Certificate("aer", end, start=start)
    paths = {"ca-file": own.pem, **{f"{role}.{part}": pem for role in ("client", "scheduler")
             for part, pem in (("cert", own.pem), ("key", own.key_pem))}}  # fmt: skip
    settings = {f"distributed.comm.tls.{path}": pem for path, pem in paths.items()}
    monkeypatch.setenv(OWN_RELEASE, "aer")

    async def connect():
        async with Scheduler(protocol="tls", port=0, dashboard_address=":0") as scheduler:
            monkeypatch.setenv("DASK_SCHEDULER_ADDRESS", scheduler.address)
            await HelmCluster(asynchronous=True, quiet=True)

    with (
        dask.config.set({**settings, "distributed.comm.require-encryption": True}),
        pytest.raises(ClusterError, match=f"release 'aer' lets nobody in: {why}"),
    ):
        asyncio.run(asyncio.wait_for(connect(), 60))


def test_from_a_release_with_tls_one_without_is_reached(monkeypatch):
    """Dask's settings in a pod of the first are not about the second."""
    spec = {"template": {"spec": {"volumes": [{"name": "tmp"}]}}}

    async def deployments(self, kind, component, group=None):
        return [SimpleNamespace(spec=spec)]

    monkeypatch.setattr(release.Release, "_all", deployments)

    async def connect():
        open_one = release.Release(SimpleNamespace(namespace="there"), "open")
        async with Scheduler(port=0, dashboard_address=":0") as scheduler:
            with dask.config.set({"distributed.comm.require-encryption": True}):
                with pytest.raises(RuntimeError, match="encryption required"):
                    await Client(scheduler.address, asynchronous=True)
                security = await open_one.security()
                async with Client(scheduler.address, security=security, asynchronous=True):
                    pass

    asyncio.run(asyncio.wait_for(connect(), 60))
