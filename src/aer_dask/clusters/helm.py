"""A release of the chart as a Dask cluster, from a laptop as from a notebook inside it.

    with HelmCluster("aer", namespace="quantum") as cluster:
        backend = AerSimulator(executor=cluster)

On a laptop scheduler and dashboard are reached through the API server, as ``kubectl port-forward``
does it, and again through the next pod when one is gone.
"""

from __future__ import annotations

import asyncio
import builtins
import os
from collections import Counter
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any

from distributed.core import Status, rpc
from distributed.objects import SchedulerInfo
from distributed.security import Security
from distributed.utils import LoopRunner, format_dashboard_link, open_port, sync

from .. import versions
from ..errors import ClusterError
from . import certificate
from .settings import OWN_RELEASE
from .waiting import WaitsForPods

if TYPE_CHECKING:
    from .release import Found, Release

#: The ports of the chart's scheduler: Dask's own, and that of the dashboard.
_COMM, _HTTP = 8786, 8787
#: By which the chart tells a notebook the address of the scheduler.
_ADDRESS = "DASK_SCHEDULER_ADDRESS"
#: Seconds for one attempt to find the scheduler again, and between two.
_ATTEMPT, _POLL = 5.0, 1.0
#: Seconds without a scheduler after which the reason is told.
_AWAY = 20.0


class HelmCluster(WaitsForPods):
    """A release of the chart that is there; closing it leaves the release as it is.

    Args:
        release: its name; default, in a notebook of a release, that release.
        namespace: of the release; default that of the kube context.
        context: of the kubeconfig; default the current one.
        kubeconfig: path; default ``$KUBECONFIG``, else ``~/.kube/config``.
        timeout: seconds that the release has to become ready.
        asynchronous: whether the methods are coroutines, for use in an event loop.
        quiet: whether to keep to itself what it waits for.

    Raises:
        ClusterError: if the release cannot be found or reached, or is not ready in time.
        VersionMismatchError: if its scheduler has other versions than this process.
    """

    def __init__(
        self,
        release: str | None = None,
        namespace: str | None = None,
        context: str | None = None,
        *,
        kubeconfig: str | None = None,
        timeout: float = 120.0,
        asynchronous: bool = False,
        loop: Any = None,
        quiet: bool = False,
    ) -> None:
        own = os.environ.get(OWN_RELEASE)
        name = release or own
        if name is None:
            raise ClusterError(
                "Which release? Give its name, as in HelmCluster('aer'); "
                "HelmCluster.list() names those there are."
            )
        self.security = Security()
        self._inside = name == own and namespace is None and context is None
        self._where = (namespace, context, kubeconfig)
        self._namespace = namespace  # and once the API server is asked, its context's
        self._timeout = timeout
        self._release: Release | None = None
        self._forwards = AsyncExitStack()
        self._dashboard: str | None = None
        super().__init__(asynchronous=asynchronous, loop=loop, quiet=quiet, name=name)
        if not self.called_from_running_loop:
            self._loop_runner.start()
            try:
                self.sync(self._start)
            except BaseException:
                self._loop_runner.stop()
                raise

    @classmethod
    def list(
        cls,
        namespace: str | None = None,
        context: str | None = None,
        kubeconfig: str | None = None,
    ) -> list[Found]:
        """The releases of the chart.

        Args:
            namespace: where; default in all namespaces.
            context: of the kubeconfig; default the current one.
            kubeconfig: path; default ``$KUBECONFIG``, else ``~/.kube/config``.

        Raises:
            ClusterError: if there is no cluster, or its API server refuses.
        """
        kubernetes, release = _kubernetes()

        async def found() -> list[Found]:
            api = await kubernetes.connect(namespace, context, kubeconfig)
            return await release.releases(api, namespace or "all")

        runner = LoopRunner()  # a notebook's own loop is running
        runner.start()
        try:
            return sync(runner.loop, found)
        finally:
            runner.stop()

    async def _start(self) -> None:
        address = "the API server's end"
        try:
            address = os.environ[_ADDRESS] if self._inside else await self._reach()
            connection = self.security.get_connection_args("client")
            self.scheduler_comm: Any = rpc(address, connection_args=connection)
            await asyncio.wait_for(self._compare(), self._timeout)
            await super()._start()
        except OSError as error:
            await self._close()
            # Dask's words for it are those for all that TLS refuses
            if why := certificate.trouble(self.security, str(self.name), self._namespace):
                raise ClusterError(
                    f"The scheduler of release {self.name!r} lets nobody in: {why}"
                ) from error
            raise ClusterError(
                f"The scheduler of release {self.name!r} does not answer at {address}: "
                f"{error or f'nothing within {self._timeout:g} s'}."
            ) from error
        except BaseException:
            await self._close()
            raise

    async def _reach(self) -> str:
        """The address of the scheduler, through the API server, and how to connect to it."""
        # a refusal later on ends the connections of what asked: not those of the forwarding
        kubernetes, _ = _kubernetes()
        release = await self._connected()
        self._namespace = release.namespace
        scheduler = await release.scheduler(self._timeout, self._log)
        self.security = await release.security()
        ports = []
        for port in (_COMM, _HTTP):
            # kr8s itself takes one at random, without asking whether it is free
            forward = kubernetes.Forward(scheduler, port, open_port("127.0.0.1"))
            ports.append(await self._forwards.enter_async_context(forward))
        self._dashboard = format_dashboard_link("localhost", ports[1])
        scheme = "tls" if self.security.require_encryption else "tcp"
        return f"{scheme}://127.0.0.1:{ports[0]}"

    async def _kubernetes_release(self) -> Release:
        if self._release is None:
            self._release = await self._connected()
        return self._release

    async def _connected(self) -> Release:
        kubernetes, release = _kubernetes()
        found: Release = release.Release(await kubernetes.connect(*self._where), self.name)
        return found

    async def _compare(self) -> None:
        """Refuse a scheduler of other versions, which would show later and in other words."""
        there = await self.scheduler_comm.versions(packages=versions.PACKAGES)
        found = versions.of_scheduler(there["packages"])
        versions.require_same(versions.installed(), {f"the scheduler of {self.name!r}": found})

    async def _watch_worker_status(self, comm: Any) -> None:
        """As Dask's, and of the next scheduler when one is gone."""
        while True:
            await super()._watch_worker_status(comm)
            told = asyncio.create_task(self._tell_why_away())
            try:
                next_comm = await self._subscribed()
                while next_comm is None and self.status == Status.running:
                    await asyncio.sleep(_POLL)
                    next_comm = await self._subscribed()
            finally:
                told.cancel()
            if self.status != Status.running:
                if next_comm:
                    next_comm.abort()
                return
            comm = self._watch_worker_status_comm = next_comm

    async def _tell_why_away(self) -> None:
        await asyncio.sleep(_AWAY)
        try:
            release = await self._kubernetes_release()
            why = "; ".join(await release.troubles("scheduler")) or await release.whereabouts()
        except ClusterError as refused:
            why = str(refused).rstrip(".")
        except Exception as error:  # noqa: BLE001 (nobody waits for this task)
            why = f"{type(error).__name__}: {error}"
        self._log(
            f"The scheduler of release {self.name!r} has been away for {_AWAY:g} s: {why}. "
            "A running job goes on when there is one again, and gives up after 5 minutes without."
        )

    async def _subscribed(self) -> Any:
        """A connection by which a scheduler says which workers come and go; None without one."""
        try:
            async with asyncio.timeout(_ATTEMPT):
                comm = await self.scheduler_comm.live_comm()
                await comm.write({"op": "subscribe_worker_status"})
                self.scheduler_info = SchedulerInfo(await comm.read())
        except OSError:
            return None
        return comm

    def _update_worker_status(self, op: str, msg: Any) -> None:
        # of one that was gone already when the list of workers was read anew
        if op != "remove" or msg in self.scheduler_info["workers"]:
            super()._update_worker_status(op, msg)

    async def _close(self) -> None:
        try:
            await super()._close()
        finally:
            await self._forwards.aclose()
            await _ended("Forward._sync_sockets")

    def close(self, timeout: float | None = None) -> Any:
        """Leave the release, which stays as it is.

        Args:
            timeout: seconds that it may take; default as Dask's configuration says.
        """
        closed = super().close(timeout)
        if not self.called_from_running_loop:
            self._loop_runner.stop()
        return closed

    # two releases may have one name, and Dask compares names
    __eq__ = object.__eq__
    __hash__ = object.__hash__

    @property
    def dashboard_link(self) -> str:
        """The dashboard's address, as a browser on this machine reaches it."""
        return self._dashboard or str(super().dashboard_link)

    @property
    def certificate_warning(self) -> str:
        """That the release's certificate ends within 90 days, and the cure; else empty."""
        comm = self._watch_worker_status_comm
        return certificate.warning(comm, str(self.name), self._namespace)

    def scale(self, n: int, worker_group: str | None = None) -> Any:
        """Have so many workers from now on.

        Where an autoscaler rules them, it gets the number as both its bounds. Of fewer workers,
        idle ones go first, and busy ones finish their task.

        Args:
            n: how many.
            worker_group: of which group; may be left out where there is one.

        Raises:
            ClusterError: if that is not allowed, or there is no such group.
        """
        if n < 0:
            raise ValueError(f"scale({n}): there cannot be fewer than 0 workers.")
        return self.sync(self._scale, n, worker_group)

    async def _scale(self, n: int, worker_group: str | None) -> None:
        release = await self._kubernetes_release()
        names = {a: w["name"] for a, w in self.scheduler_info["workers"].items()}
        try:
            async with asyncio.timeout(_ATTEMPT):
                tasks = await self.scheduler_comm.processing(workers=None)
        except OSError:  # a scheduler that is away keeps nobody from scaling
            tasks = {}
        busy = Counter({names.get(address, ""): len(keys) for address, keys in tasks.items()})
        await release.scale(worker_group, n, busy)

    def adapt(  # type: ignore[override]  # there the arguments are those of Dask's own autoscaler
        self,
        minimum: int = 1,
        maximum: int = 10,
        *,
        enabled: bool = True,
        worker_group: str | None = None,
    ) -> Any:
        """Have a HorizontalPodAutoscaler set the number of workers.

        Args:
            minimum: of workers, at least 1.
            maximum: of workers.
            enabled: False takes the autoscaler off; the workers stay as many as they are.
            worker_group: of which group; may be left out where there is one.

        Raises:
            ClusterError: if that is not allowed, or there is no such group.
        """
        if enabled and not 1 <= minimum <= maximum:
            raise ValueError(
                f"adapt(minimum={minimum}, maximum={maximum}): an autoscaler takes at least 1, and "
                "no more than the maximum. scale(0) stops all workers."
            )
        return self.sync(self._adapt, minimum, maximum, enabled, worker_group)

    async def _adapt(
        self, minimum: int, maximum: int, enabled: bool, worker_group: str | None
    ) -> None:
        release = await self._kubernetes_release()
        if enabled:
            await release.adapt(worker_group, minimum, maximum)
        else:
            await release.stop_adapting(worker_group)

    async def _worker_troubles(self) -> builtins.list[str]:
        return await (await self._kubernetes_release()).troubles("worker")


async def _ended(name: str) -> None:
    """Give coroutines of this name time to end; of those it cancels asyncio logs a traceback."""
    tasks = [t for t in asyncio.all_tasks() if getattr(t.get_coro(), "__qualname__", "") == name]
    if tasks:
        await asyncio.wait(tasks, timeout=_POLL)


def _kubernetes() -> tuple[Any, Any]:
    """The modules that speak to Kubernetes, whose client is an extra."""
    try:
        from . import kubernetes, release
    except ModuleNotFoundError as error:
        raise ClusterError(
            "HelmCluster needs kr8s, which the extra aer-dask[kubernetes] brings: pip install kr8s."
        ) from error
    return kubernetes, release
