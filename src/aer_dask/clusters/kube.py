"""A Dask cluster of its own on Kubernetes, which dask-kubernetes' operator makes and takes away.

    with KubeCluster(n_workers=3) as cluster:
        backend = AerSimulator(executor=cluster)

Upstream's class starts programs that Dask no longer has; this one gives it pods like those of the
chart, from ``worker-spec.yml`` beside this file.
"""

from __future__ import annotations

import asyncio
from collections.abc import Generator, Iterable, Mapping, Sequence
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path
from typing import Any

import dask.config
import yaml
from distributed.core import Status

try:
    import kr8s
    from dask_kubernetes.exceptions import SchedulerStartupError
    from dask_kubernetes.operator import KubeCluster as OperatorCluster
    from dask_kubernetes.operator._objects import DaskCluster
    from kr8s.asyncio.objects import Pod
except ModuleNotFoundError as error:
    raise ImportError("KubeCluster needs more packages: pip install dask-kubernetes.") from error

from .. import versions
from ..errors import ClusterError
from .kubernetes import INSIDE, answers, connect, refusal, troubles
from .waiting import WaitsForPods

dask.config.update_defaults({"kubernetes": {
    "image": f"aer-dask:{version('aer-dask')}",
    "worker-command": "dask worker",
    # left to itself upstream's class tries for 20 s whether it is inside
    "port-forward-cluster-ip": not INSIDE.exists(),
}})  # fmt: skip

#: Seconds that the scheduler's pod has to start, the pull of its image included.
_START = 300.0
#: Seconds between two looks.
_POLL = 0.25
_KIND = "DaskCluster"
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
            is, and ``image``, ``n_workers``, ``resources`` and ``env`` with it not at all.
            Default: one with the pods of the chart.
        **options: as of ``dask_kubernetes.operator.KubeCluster``: ``name``, ``namespace``,
            ``image`` (default: aer-dask of this version), ``n_workers`` (default: 0),
            ``resources`` and ``env`` of scheduler and workers, ``resource_timeout`` (seconds that
            the operator has to act, default 60), ``asynchronous``, ``quiet`` and more.

    Raises:
        ClusterError: if there is no operator, or the scheduler cannot start, with the reason.
        ValueError: if the file is no DaskCluster.
    """

    namespace: str
    _custom_cluster_spec: Mapping[str, Any] | None

    def __init__(
        self, custom_cluster_spec: str | Mapping[str, Any] | None = None, **options: Any
    ) -> None:
        spec = custom_cluster_spec
        if isinstance(spec, str):
            spec = yaml.safe_load(Path(spec).read_text())
        if spec is not None and not (isinstance(spec, Mapping) and spec.get("kind") == _KIND):
            raise ValueError(
                f"custom_cluster_spec should be a {_KIND}, and is none: dask-kubernetes no longer "
                "takes the Pod of a worker. values/worker-spec.yml is one to begin with."
            )
        super().__init__(custom_cluster_spec=spec, **options)  # type: ignore[call-arg]  # untyped

    def __await__(self) -> Generator[Any, None, KubeCluster]:
        async def started() -> KubeCluster:
            if self.status == Status.running:  # a client awaits it before it connects
                versions.take_over()
            else:
                await self._start()
            return self

        return started().__await__()

    async def _start(self) -> None:
        api = await connect(self.namespace)
        self.namespace = api.namespace
        await super()._start()

    async def _create_cluster(self) -> None:
        if not self._custom_cluster_spec:
            self._custom_cluster_spec = self._manifest()
        patience = max(_START, self._resource_timeout)
        try:
            async with asyncio.timeout(patience):
                await super()._create_cluster()
        except kr8s.ServerError as error:
            self.shutdown_on_close = False  # there is nothing to delete
            await self._close()
            if error.response is None or error.response.status_code != 404:
                raise refusal(error) from error
            raise ClusterError(f"Kubernetes knows no {_KIND}. {_NO_OPERATOR}") from error
        except (TimeoutError, SchedulerStartupError) as error:
            why = "; ".join(troubles(await self._pods("scheduler")))
            await self._close()
            raise ClusterError(
                f"The scheduler of {self.name!r} has not started in {patience:g} s: {why}."
                if why
                else f"Nothing came of the {_KIND} {self.name!r}. {_NO_OPERATOR}"
            ) from error

    async def _wait_for_controller(self) -> None:
        """The operator has taken the cluster up.

        Upstream waits for the phase "Running", over which the operator may write "Pending" when
        both come at once, and which then never comes again.
        """
        async with asyncio.timeout(self._resource_timeout):
            while True:
                cluster = await DaskCluster.get(self.name, namespace=self.namespace)
                if "phase" in cluster.raw.get("status", {}):
                    return
                await asyncio.sleep(_POLL)

    def _manifest(self) -> dict[str, Any]:
        """The DaskCluster of this object's arguments."""
        made = default_manifest()
        made["metadata"]["name"] = self.name
        spec = made["spec"]
        spec["idleTimeout"] = self.idle_timeout or 0
        spec["worker"] = self._group(self.n_workers)
        scheduler = spec["scheduler"]
        scheduler["service"]["type"] = self.scheduler_service_type
        scheduler["service"]["selector"]["dask.org/cluster-name"] = self.name
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
        async with answers():
            found = kr8s.asyncio.get("pods", namespace=self.namespace, label_selector=labels)
            return [pod async for pod in found]


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
