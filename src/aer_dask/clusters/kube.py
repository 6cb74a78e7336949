"""A Dask cluster of its own on Kubernetes, which dask-kubernetes' operator makes and takes away.

    with KubeCluster(n_workers=3) as cluster:
        backend = AerSimulator(executor=cluster)

Upstream's class starts programs that Dask no longer has; this one gives it pods like those of the
chart, from ``worker-spec.yml`` beside this file.
"""

from __future__ import annotations

import asyncio
import copy
import logging
import os
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path
from typing import Any

import dask.config
import yaml
from distributed.security import Security
from tornado.ioloop import IOLoop

try:
    import httpx
    import kr8s
    from dask_kubernetes.exceptions import SchedulerStartupError
    from dask_kubernetes.operator import KubeCluster as OperatorCluster
    from dask_kubernetes.operator._objects import DaskAutoscaler, DaskCluster, DaskWorkerGroup
    from kr8s.asyncio.objects import Pod
except ModuleNotFoundError as error:
    raise ImportError("KubeCluster needs more packages: pip install dask-kubernetes.") from error

from ..errors import ClusterError
from .kubernetes import INSIDE, answers, connect, refusal, troubles
from .waiting import WaitsForPods

dask.config.update_defaults({"kubernetes": {
    "image": f"aer-dask:{version('aer-dask')}",
    "worker-command": "dask worker",
    # left to itself upstream's class tries for 20 s whether it is inside
    "port-forward-cluster-ip": not INSIDE.exists(),
}})  # fmt: skip

logger = logging.getLogger(__name__)

#: Seconds that the scheduler's pod has to start, the pull of its image included.
_START = 300.0
#: Seconds to take away what a failed start has made.
_UNDO = 30.0
#: Seconds between two looks.
_POLL = 0.25
_REMEDY = "It may make clusters once the chart has jupyter.rbac.create=true."
_KIND = "DaskCluster"
#: What comes of a question that the API server refuses, or cannot be asked.
_REFUSALS = (kr8s.ServerError, kr8s.APITimeoutError, httpx.TransportError, OSError)
#: What of a worker's arguments ``worker_command`` replaces.
_WORKER = ["dask", "worker"]
_NO_OPERATOR = (
    "dask-kubernetes' operator has to run on this cluster: `make operator` installs it. "
    "HelmCluster, for a release of the chart, needs none."
)


class KubeCluster(WaitsForPods, OperatorCluster):
    """A cluster of pods that dask-kubernetes' operator makes, and that closing takes away.

    The operator must run on the cluster of the current kube context (``make operator``).

    Args:
        custom_cluster_spec: a DaskCluster, as a mapping or the path of its file; it is taken as it
            is but for ``name``, and ``image``, ``n_workers``, ``resources`` and ``env`` count for
            nothing. Default: one with the pods of the chart.
        **options: as of ``dask_kubernetes.operator.KubeCluster``: ``name``, ``namespace``,
            ``image`` (default: aer-dask of this version), ``n_workers`` (default: 0),
            ``resources`` and ``env`` of scheduler and workers, ``resource_timeout`` (seconds that
            the operator has to act, default 60), ``asynchronous``, ``quiet`` and more. Where
            there is a cluster of that name it connects to it, and closing leaves it.

    Raises:
        ClusterError: if there is no operator, or the scheduler cannot start, with the reason.
        ValueError: if the file is no DaskCluster, or the image has no JupyterLab.
    """

    namespace: str
    _custom_cluster_spec: Mapping[str, Any] | None
    _starting: asyncio.Task[Any] | None = None
    #: Whether a DaskCluster may be there because of this object.
    _created = False
    #: Whether upstream is at it.
    _creating = False

    def __init__(
        self,
        custom_cluster_spec: str | os.PathLike[str] | Mapping[str, Any] | None = None,
        **options: Any,
    ) -> None:
        spec = _checked(custom_cluster_spec)
        if spec and (name := options.get("name")):
            spec = _named(spec, name)
        if options.get("jupyter") and not (spec or options.get("image")):
            raise ValueError(
                "jupyter=True wants an image with JupyterLab for scheduler and workers: "
                f"image='aer-dask-jupyter:{version('aer-dask')}'."
            )
        if options.get("asynchronous"):  # upstream would start a loop of its own
            options.setdefault("loop", IOLoop.current())
        # the operator knows no TLS, which a notebook's release asks of all connections
        self.security = Security(require_encryption=False)
        # upstream's configuration says yes, also of a cluster that somebody else has made
        self._close_others = bool(options.get("shutdown_on_close"))
        try:
            super().__init__(custom_cluster_spec=spec, **options)  # type: ignore[call-arg]
        except KeyboardInterrupt:  # Dask cancels the start
            if self._starting:
                self.sync(self._stopped)
            raise

    async def _start(self) -> None:
        self._starting = asyncio.current_task()
        patience = max(_START, self._resource_timeout)
        try:
            api = await connect(self.namespace, remedy=_REMEDY)
            self.namespace = api.namespace
            await self._check(api)
            async with asyncio.timeout(patience):
                await super()._start()
        except BaseException as error:
            told = await self._sentence(error, patience)
            await self._undo()
            if told:
                raise ClusterError(told) from error
            raise

    async def _check(self, api: Any) -> None:
        """Refuse at once where there are no such clusters, or none may be looked at.

        Upstream asks for several things at a time, and which refusal comes out of that is chance.
        """
        try:
            async for _ in api.async_get(DaskCluster, namespace=self.namespace):
                return
        except kr8s.ServerError as error:
            if error.response is None or error.response.status_code != 404:
                raise refusal(error, _REMEDY) from error
            raise ClusterError(f"Kubernetes knows no {_KIND}. {_NO_OPERATOR}") from error

    async def _stopped(self) -> None:
        assert self._starting
        await asyncio.wait([self._starting], timeout=_UNDO)

    async def _undo(self) -> None:
        """Take away what a start that has failed may have made."""
        self.shutdown_on_close = False
        try:
            async with asyncio.timeout(_UNDO):
                if self._created:
                    cluster = await DaskCluster(self.name, namespace=self.namespace)
                    self.shutdown_on_close = await cluster.exists()
                await self._close()
        except _REFUSALS as error:
            logger.warning("%s %s may be left in Kubernetes: %s", _KIND, self.name, error)

    async def _sentence(self, error: BaseException, patience: float) -> str:
        """Why it has not started; nothing where the error says so itself."""
        scheduler = f"The scheduler of {self.name!r}"
        match error:
            case ClusterError():
                told = ""
            case SchedulerStartupError():
                told = f"{scheduler} does not start; its log says: {error.args[-1]}"
            case kr8s.ServerError():
                told = str(refusal(error, remedy=_REMEDY))
            case TimeoutError():
                told = f"{scheduler} is not there after {patience:g} s: {await self._trouble()}."
            case OSError() | httpx.TransportError() | kr8s.APITimeoutError():
                told = f"{scheduler} cannot be reached: {str(error) or type(error).__name__}."
            case _:
                told = ""
        return told

    async def _trouble(self) -> str:
        try:
            found = troubles(await self._pods("scheduler"))
        except ClusterError as refused:
            return str(refused).rstrip(".")
        return "; ".join(found) or "no pod of it has come, or it does not answer"

    async def _create_cluster(self) -> None:
        if not self._custom_cluster_spec:
            self._custom_cluster_spec = self._manifest()
        self._created = self._creating = True
        try:
            await super()._create_cluster()
        finally:
            self._creating = False

    async def _close(self, timeout: float = 3600) -> None:
        """Take it away, but not while it is created: `_undo` does so, when all is read.

        Upstream takes a cluster away whose scheduler does not start, and then asks for its log.
        """
        if self._creating and asyncio.current_task() is self._starting:
            return
        if self.shutdown_on_close:  # while the scheduler lives, which the operator asks for it
            await self._take_away(DaskAutoscaler)
        try:
            await super()._close(timeout)  # type: ignore[call-arg]
        finally:
            if self.shutdown_on_close:  # new ones, which do not go with the cluster
                await self._take_away(DaskWorkerGroup)

    async def _take_away(self, kind: type[DaskAutoscaler] | type[DaskWorkerGroup]) -> None:
        """Take away what of a kind is this cluster's.

        The operator sets the owner, with which Kubernetes takes it away, a moment after it was
        made, and never if the cluster has gone by then.
        """
        try:
            async for part in kind.list(namespace=self.namespace):
                if part.spec.cluster == self.name:
                    with suppress(kr8s.NotFoundError):
                        await part.delete()
        except _REFUSALS as error:
            logger.warning("A %s of %s may be left in Kubernetes: %s", kind.kind, self.name, error)

    async def _connect_cluster(self) -> None:
        self.shutdown_on_close = self._close_others
        await super()._connect_cluster()

    async def _wait_for_controller(self) -> None:
        """The operator has taken the cluster up.

        Upstream waits for the phase "Running", over which the operator may write "Pending" when
        both come at once, and which then never comes again.
        """
        end = time.monotonic() + self._resource_timeout
        while time.monotonic() < end:
            cluster = await DaskCluster.get(self.name, namespace=self.namespace)
            if "phase" in cluster.raw.get("status", {}):
                return
            await asyncio.sleep(_POLL)
        raise ClusterError(
            f"Nobody has taken up the {_KIND} {self.name!r} in {self._resource_timeout:g} s. "
            f"{_NO_OPERATOR}"
        )

    def close(self, timeout: float | None = _START) -> Any:
        """Take the cluster away, if this object has made it.

        Args:
            timeout: seconds until Kubernetes has forgotten it.
        """
        closed = super().close(timeout)
        if not self.called_from_running_loop:
            self._loop_runner.stop()
        return closed

    def _manifest(self) -> dict[str, Any]:
        """The DaskCluster of this object's arguments."""
        made = _named(default_manifest(), self.name)
        spec = made["spec"]
        spec["idleTimeout"] = self.idle_timeout or 0
        spec["worker"] = self._group(self.n_workers)
        scheduler = spec["scheduler"]
        scheduler["service"]["type"] = self.scheduler_service_type
        (container,) = scheduler["spec"]["containers"]
        _fill(container, self.image, self.resources, self.env)
        if self.jupyter:
            container["args"].append("--jupyter")
        return made

    def _group(
        self, n_workers: int, image: str | None = None, resources: Any = None,
        worker_command: str | Sequence[str] | None = None, env: Any = None,
    ) -> dict[str, Any]:  # fmt: skip
        """A group of workers, as the operator takes it."""
        group: dict[str, Any] = default_manifest()["spec"]["worker"]
        group["replicas"] = n_workers
        (container,) = group["spec"]["containers"]
        _fill(container, image or self.image, resources or self.resources, env or self.env)
        command = worker_command or self.worker_command
        words = command.split() if isinstance(command, str) else list(command)
        container["args"] = words + container["args"][len(_WORKER) :]
        return group

    async def _add_worker_group(
        self, name: str, n_workers: int = 3, custom_spec: Any = None, **options: Any
    ) -> None:
        spec = custom_spec or self._group(n_workers, **options)
        await super()._add_worker_group(name, custom_spec=spec)

    async def _worker_troubles(self) -> list[str]:
        return troubles(await self._pods("worker"))

    async def _pods(self, component: str) -> list[Pod]:
        labels = {"dask.org/cluster-name": self.name, "dask.org/component": component}
        async with answers(_REMEDY):
            found = kr8s.asyncio.get("pods", namespace=self.namespace, label_selector=labels)
            return [pod async for pod in found]


def _checked(spec: str | os.PathLike[str] | Mapping[str, Any] | None) -> Mapping[str, Any] | None:
    """The DaskCluster that was given, read from its file if need be."""
    if isinstance(spec, str | os.PathLike):
        spec = yaml.safe_load(Path(spec).read_text())
    elif spec is None:
        return None
    if not (isinstance(spec, Mapping) and spec.get("kind") == _KIND):
        raise ValueError(
            f"custom_cluster_spec should be a {_KIND}, and is none: dask-kubernetes no longer "
            "takes the Pod of a worker. values/worker-spec.yml is one to begin with."
        )
    return spec


def _named(spec: Mapping[str, Any], name: str) -> dict[str, Any]:
    """The same DaskCluster by another name, by which its Service selects the scheduler's pod."""
    made = copy.deepcopy(dict(spec))
    made["metadata"]["name"] = name
    made["spec"]["scheduler"]["service"]["selector"]["dask.org/cluster-name"] = name
    return made


def default_manifest() -> dict[str, Any]:
    """The DaskCluster of ``worker-spec.yml``."""
    return yaml.safe_load((files(__package__) / "worker-spec.yml").read_text())


def _fill(container: dict[str, Any], image: str, resources: Any, env: Any) -> None:
    """Put in what the user has said."""
    container["image"] = image
    if resources:
        # where Kubernetes takes numbers, too, a DaskCluster takes text only
        container["resources"] = {
            kind: {name: str(amount) for name, amount in amounts.items()}
            for kind, amounts in resources.items()
        }
    if isinstance(env, Mapping):
        env = [{"name": name, "value": str(value)} for name, value in env.items()]
    named: Iterable[dict[str, Any]] = [*container["env"], *(env or [])]
    container["env"] = list({each["name"]: each for each in named}.values())
