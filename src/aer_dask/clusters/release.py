"""A release of the chart, as the API server has it: its scheduler, workers, autoscalers.

Everything is asked for by the chart's labels, so that names may be anything.
"""

from __future__ import annotations

import asyncio
import base64
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from typing import Any, NamedTuple

import kr8s
from distributed.security import Security
from kr8s.asyncio.objects import APIObject, Deployment, HorizontalPodAutoscaler, Pod, Service

from ..errors import ClusterError
from .kubernetes import ANSWER, answers, troubles

_NAME, _INSTANCE = "app.kubernetes.io/name", "app.kubernetes.io/instance"
_COMPONENT, _GROUP = "app.kubernetes.io/component", "aer-dask/worker-group"
_LABELS = (_NAME, _INSTANCE, _COMPONENT, _GROUP, "app.kubernetes.io/managed-by")
_HELM = ("meta.helm.sh/release-name", "meta.helm.sh/release-namespace")
_CHART, _VERSION = "helm.sh/chart", "app.kubernetes.io/version"
#: Pods with less of it go first when a Deployment gets fewer.
_DELETION_COST = "controller.kubernetes.io/pod-deletion-cost"
#: Percent of the CPU that workers ask for, above which an autoscaler adds more, as in the chart.
_CPU_PERCENT = 70
#: Seconds between two looks, and that a scheduler may stay away.
_POLL, _PATIENCE = 1.0, 300.0


class Found(NamedTuple):
    """A release: its name and namespace, version, and how many workers it is to have."""

    name: str
    namespace: str
    version: str
    workers: int


async def releases(api: Any, namespace: str) -> list[Found]:
    """The releases of the chart in a namespace (``kr8s.ALL``: in all of them)."""
    async with answers():
        deployments = [each async for each in api.async_get(
            "deployments.apps", namespace=namespace, label_selector={_COMPONENT: "worker"},
        )]  # fmt: skip
    workers: dict[tuple[str, str], int] = {}
    versions: dict[tuple[str, str], str] = {}
    for each in deployments:
        if _is_ours(each):
            key = (each.labels[_INSTANCE], each.namespace)
            workers[key] = workers.get(key, 0) + each.spec.get("replicas", 1)
            versions[key] = each.labels.get(_VERSION, "")
    return [Found(*key, versions[key], count) for key, count in sorted(workers.items())]


def _is_ours(each: APIObject) -> bool:
    return bool(each.labels.get(_CHART, "").startswith("aer-dask-"))


class Release:
    """One release.

    Args:
        api: the API server, for the release's namespace.
        name: of the release.
    """

    def __init__(self, api: Any, name: str) -> None:
        self.api, self.name = api, name
        self.namespace: str = api.namespace

    async def scheduler(self, seconds: float, say: Callable[[str], None]) -> Service:
        """The Service of the scheduler, once a pod of it is ready.

        Args:
            seconds: to wait for that.
            say: is told what it waits for.

        Raises:
            ClusterError: if there is no such release, or it does not become ready in time.
        """
        services = [each for each in await self._all("services", "scheduler") if _is_ours(each)]
        if not services:
            raise ClusterError(await self._no_release())
        service: Service = services[0]
        end, said = time.monotonic() + seconds, ""
        while True:
            async with answers():
                if await service.async_ready_pods():
                    break
            why = "; ".join(await self.troubles("scheduler")) or await self.whereabouts()
            if time.monotonic() > end:
                raise ClusterError(
                    f"The scheduler of release {self.name!r} is not ready after {seconds:g} s: "
                    f"{why}. See `kubectl --namespace={self.namespace} get pods,events`."
                )
            if why != said:
                say(f"Waiting for the scheduler of release {self.name!r}: {why}.")
                said = why
            await asyncio.sleep(_POLL)
        # who connects while there is none waits for the next one
        service.async_ready_pods = _Next(service.async_ready_pods)  # type: ignore[method-assign]
        return service

    async def whereabouts(self) -> str:
        """Whether there is a scheduler, when none of its pods has a trouble."""
        if not await self._all("services", "scheduler"):
            return (await self._no_release()).rstrip(".")
        return (
            "its pod is ready and does not answer"
            if await self._pods("scheduler")
            else "it has no pod"
        )

    async def security(self) -> Security:
        """How clients connect: with the release's certificate, if it has one."""
        deployment, *_ = await self._all("deployments.apps", "scheduler")
        volumes = deployment.spec["template"]["spec"].get("volumes", [])
        names = [v["secret"]["secretName"] for v in volumes if v["name"] == "tls"]
        if not names:  # whatever Dask's settings say here, in a pod of another release
            return Security(require_encryption=False)
        # kr8s' own get would list Secrets, which takes the right to read all of them
        async with (
            answers(),
            self.api.call_api(namespace=self.namespace, url=f"secrets/{names[0]}") as answer,
        ):
            data = answer.json()["data"]
        text = {name: base64.b64decode(value).decode() for name, value in data.items()}
        return Security(
            tls_ca_file=text["ca.crt"], tls_client_cert=text["tls.crt"],
            tls_client_key=text["tls.key"], require_encryption=True,
        )  # fmt: skip

    async def scale(self, group: str | None, workers: int, busy: Mapping[str, int]) -> None:
        """Have so many workers from now on; an autoscaler gets the number as both its bounds.

        Args:
            group: of workers; may be None where there is one.
            workers: how many.
            busy: how many tasks workers have, by the names of their pods. Those with few go first.
        """
        deployment = await self._workers(group)
        if workers < deployment.spec.get("replicas", 1):
            for pod in await self._pods("worker", deployment.labels[_GROUP]):
                cost = {_DELETION_COST: str(busy.get(pod.name, 0))}
                # who may not do that, as a notebook, leaves the choice to Kubernetes
                with suppress(kr8s.ServerError, kr8s.NotFoundError):
                    async with asyncio.timeout(ANSWER):
                        await pod.async_patch({"metadata": {"annotations": cost}})
        autoscaler = await self._autoscaler(deployment)
        async with answers():
            if autoscaler and workers:
                bounds = {"minReplicas": workers, "maxReplicas": workers}
                await autoscaler.async_patch({"spec": bounds})
            # one that rules over none stands still, and begins anew from what it finds
            await deployment.async_patch({"spec": {"replicas": workers}}, subresource="scale")

    async def adapt(self, group: str | None, minimum: int, maximum: int) -> None:
        """Have an autoscaler keep the number of workers between two bounds."""
        deployment = await self._workers(group)
        bounds = {"minReplicas": minimum, "maxReplicas": maximum}
        autoscaler = await self._autoscaler(deployment)
        async with answers():
            if autoscaler:
                await autoscaler.async_patch({"spec": bounds})
            else:
                made = await HorizontalPodAutoscaler(_hpa(deployment, bounds), api=self.api)
                await made.async_create()
            if not deployment.spec.get("replicas", 1):
                await deployment.async_patch({"spec": {"replicas": minimum}}, subresource="scale")

    async def stop_adapting(self, group: str | None) -> None:
        """Take the autoscaler off; the workers stay as many as they are."""
        if autoscaler := await self._autoscaler(await self._workers(group)):
            async with answers():
                await autoscaler.async_delete()

    async def troubles(self, component: str) -> list[str]:
        """Why pods of a component are not ready, one sentence each."""
        return troubles(await self._pods(component))

    async def _workers(self, group: str | None) -> Deployment:
        """The Deployment of a group."""
        every = await self._all("deployments.apps", "worker")
        deployments = {each.labels[_GROUP]: each for each in every if _is_ours(each)}
        if not deployments:
            raise ClusterError(await self._no_release())
        if group is None and len(deployments) == 1:
            (group,) = deployments
        if group not in deployments:
            which = f"no group {group!r}" if group else "several groups"
            raise ClusterError(
                f"Release {self.name!r} has {which} of workers: give worker_group= one of "
                f"{', '.join(map(repr, sorted(deployments)))}."
            )
        return deployments[group]

    async def _autoscaler(self, deployment: Deployment) -> HorizontalPodAutoscaler | None:
        async with answers():
            async for each in self.api.async_get(
                "horizontalpodautoscalers.autoscaling", namespace=self.namespace
            ):
                target = each.spec["scaleTargetRef"]
                if (target["kind"], target["name"]) == ("Deployment", deployment.name):
                    found: HorizontalPodAutoscaler = each
                    return found
        return None

    async def _pods(self, component: str, group: str | None = None) -> list[Pod]:
        pods = await self._all("pods", component, group)
        return [pod for pod in pods if "deletionTimestamp" not in pod.metadata]

    async def _all(self, kind: str, component: str, group: str | None = None) -> list[Any]:
        labels = {_INSTANCE: self.name, _COMPONENT: component, **({_GROUP: group} if group else {})}
        async with answers():
            return [each async for each in self.api.async_get(
                kind, namespace=self.namespace, label_selector=labels)]  # fmt: skip

    async def _no_release(self) -> str:
        """The sentence that there is none, with those that there are."""
        there = [each.name for each in await releases(self.api, self.namespace)]
        return (
            f"There is no release {self.name!r} of the aer-dask chart in namespace "
            f"{self.namespace!r}"
            + (f"; there are {', '.join(map(repr, there))}. " if there else ", nor any other. ")
            + "`helm list --all-namespaces` shows all, "
            f"`helm install {self.name} charts/aer-dask --namespace={self.namespace}` makes one."
        )


class _Next:
    """The pods that are ready, once there are any; all who ask wait for one answer."""

    def __init__(self, ready_pods: Callable[[], Awaitable[list[Pod]]]) -> None:
        self._ready_pods = ready_pods
        self._asked: asyncio.Task[list[Pod]] | None = None

    async def __call__(self) -> list[Pod]:
        if self._asked is None or self._asked.done():
            self._asked = asyncio.create_task(self._wait())
        return await asyncio.shield(self._asked)

    async def _wait(self) -> list[Pod]:
        end = time.monotonic() + _PATIENCE
        while not (pods := await self._ready_pods()) and time.monotonic() < end:
            await asyncio.sleep(_POLL)
        return pods


def _hpa(deployment: APIObject, bounds: dict[str, int]) -> dict[str, Any]:
    """An autoscaler for a Deployment, that goes when it goes."""
    owner = {"apiVersion": "apps/v1", "kind": "Deployment", "name": deployment.name}
    target = {"type": "Utilization", "averageUtilization": _CPU_PERCENT}
    return {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": {
            "name": deployment.name,
            "namespace": deployment.namespace,
            "labels": {k: v for k, v in deployment.labels.items() if k in _LABELS},
            # with these an upgrade that has an autoscaler takes this one for it
            "annotations": {k: v for k, v in deployment.annotations.items() if k in _HELM},
            "ownerReferences": [{**owner, "uid": deployment.metadata["uid"]}],
        },
        "spec": {
            "scaleTargetRef": owner,
            "metrics": [{"type": "Resource", "resource": {"name": "cpu", "target": target}}],
            **bounds,
        },
    }
