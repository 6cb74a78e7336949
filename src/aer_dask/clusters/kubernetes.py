"""The API server of Kubernetes: the way to it, what it refuses, and why pods do not run."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager, suppress
from importlib import import_module
from pathlib import Path
from typing import Any

import httpx
import httpx_ws
import kr8s
import yaml
from kr8s._auth import KubeAuth
from kr8s.asyncio.objects import Pod
from kr8s.asyncio.portforward import PortForward

from ..errors import ClusterError
from .settings import OWN_RELEASE

logger = logging.getLogger(__name__)

#: Where a pod with an account finds its namespace; other processes have no such file.
INSIDE = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")
#: What a notebook's user is told to change, where nothing else is said.
_SCALING = "It may scale its release once the chart has jupyter.rbac.scaling=true."
#: Seconds that the API server has for an answer.
ANSWER = 30.0
#: Seconds that connections through a forwarded port have to end by themselves.
_PARTING = 1.0
#: What kr8s makes files of: where it says which, and what in a kubeconfig it is.
_WRITTEN = {
    "client_key_file": "client-key-data",
    "client_cert_file": "client-certificate-data",
    "server_ca_file": "certificate-authority-data",
}
#: How a connection through the API server breaks.
_BROKEN = (
    OSError, httpx.TransportError, httpx_ws.HTTPXWSException,
    kr8s.APITimeoutError, kr8s.ConnectionClosedError, kr8s.ServerError,
)  # fmt: skip


async def connect(
    namespace: str | None = None,
    context: str | None = None,
    kubeconfig: str | None = None,
    remedy: str = _SCALING,
) -> Any:
    """The API server of a kube context.

    Args:
        namespace: default that of the context.
        context: of the kubeconfig; default the current one.
        kubeconfig: path; default ``$KUBECONFIG``, else ``~/.kube/config``.
        remedy: the sentence that says in a notebook which value of the chart allows it.

    Raises:
        ClusterError: if there is none, or it cannot be reached.
    """
    if namespace is None and context is None and INSIDE.exists():
        namespace = INSIDE.read_text()
    try:
        async with answers(remedy):
            # kr8s.asyncio.api would give the one that was made before, of whatever context
            return await kr8s.asyncio.Api(
                namespace=namespace, context=context, kubeconfig=kubeconfig, bypass_factory=True
            )
    except yaml.YAMLError as error:  # whose own words quote the line, and so perhaps a token
        mark = getattr(error, "problem_mark", None)
        line = f"line {mark.line + 1} of it" if mark else "it"
        raise ClusterError(
            f"{_kubeconfig(kubeconfig)} cannot be read: {line} is no YAML. "
            "Mend it; or set KUBECONFIG, or give kubeconfig=."
        ) from None
    except (ValueError, KeyError, RuntimeError) as error:
        if OWN_RELEASE in os.environ:
            raise ClusterError(
                f"This notebook has no account at the API server. {remedy}"
            ) from error
        named = f"context {context!r}" if context else "a cluster"
        raise ClusterError(
            f"{_kubeconfig(kubeconfig)} does not say how to reach {named} of Kubernetes ({error}). "
            "See `kubectl config get-contexts`; set KUBECONFIG, or give context= or kubeconfig=."
        ) from error


def _kubeconfig(path: str | None) -> str:
    return path or os.environ.get("KUBECONFIG") or "~/.kube/config"


class _Auth(KubeAuth):  # type: ignore[misc]
    """How kr8s gets in, without what it leaves behind.

    It writes the keys and certificates of a kubeconfig to files, from which Python's ssl reads
    them: here they go as soon as that is done.
    """

    def __init__(self, *words: Any, **options: Any) -> None:
        super().__init__(*words, **options)
        self._one_at_a_time = asyncio.Lock()

    async def reauthenticate(self) -> None:
        async with self._one_at_a_time:
            try:
                await super().reauthenticate()
                self._tls = await super().ssl_context()
            finally:
                self._remove_written()

    async def ssl_context(self) -> Any:
        return self._tls

    def _remove_written(self) -> None:
        for attribute, source in _WRITTEN.items():
            file = getattr(self, attribute)
            if file and (source in self._user or source in self._cluster):
                Path(file).unlink(missing_ok=True)
                setattr(self, attribute, None)


# for dask-kubernetes' connections, too
import_module("kr8s._api").KubeAuth = _Auth  # type: ignore[attr-defined]


class Forward(PortForward):  # type: ignore[misc]
    """A port of this machine that leads to one of a pod, through the API server.

    One that breaks, because the network does or the pod's node is lost, is closed here, too,
    so that whoever uses it connects anew.
    """

    async def __aexit__(self, *error: Any) -> None:
        """Close, also where somebody stays connected: from Python 3.12 on kr8s waits for them."""
        with suppress(TimeoutError):
            await asyncio.wait_for(super().__aexit__(*error), _PARTING)

    async def _sync_sockets(self, reader: Any, writer: Any) -> None:
        """Called by kr8s for each connection; what it raises asyncio prints, with its traceback."""
        try:
            with suppress(asyncio.CancelledError):  # as when the event loop ends
                await super()._sync_sockets(reader, writer)
        except* _BROKEN as broken:
            self.pod = None  # the next one may be on another node
            reason = broken.exceptions[0]
            logger.info("A connection through the API server broke: %r", reason)


@asynccontextmanager
async def answers(remedy: str = _SCALING) -> AsyncIterator[None]:
    """What the API server refuses, in a sentence; ``remedy`` as of :func:`connect`."""
    try:
        async with asyncio.timeout(ANSWER):
            yield
    except kr8s.ServerError as error:
        raise refusal(error, remedy) from error
    except (kr8s.APITimeoutError, httpx.TransportError, OSError) as error:
        why = str(error) or type(error).__name__
        raise ClusterError(
            f"The API server of Kubernetes cannot be reached: {why}. "
            "`kubectl version` says whether that is so for kubectl, too."
        ) from error


def refusal(error: kr8s.ServerError, remedy: str = _SCALING) -> ClusterError:
    """What the API server says, in a sentence; ``remedy`` as of :func:`connect`."""
    if error.response is None or error.response.status_code != 403:
        return ClusterError(f"The API server of Kubernetes says: {error}")
    ask = "Ask whoever looks after the cluster for a Role with that."
    return ClusterError(f"{error}. {remedy if OWN_RELEASE in os.environ else ask}")


def troubles(pods: Iterable[Pod]) -> list[str]:
    """Why pods are not ready, one sentence each."""
    return [f"pod {pod.name} is {trouble}" for pod in pods if (trouble := _trouble(pod.raw))]


def _trouble(pod: Mapping[str, Any]) -> str:
    """What keeps a pod from being ready: the scheduler's reason, or a container's; else nothing."""
    status = pod["status"]
    conditions = {each["type"]: each for each in status.get("conditions", [])}
    if conditions.get("Ready", {}).get("status") == "True":
        return ""
    placed = conditions.get("PodScheduled", {})
    if placed.get("status") != "True":
        return f"{status['phase']}: {placed.get('message', 'not yet on a node')}"
    for container in status.get("containerStatuses", []):
        if waiting := container["state"].get("waiting"):
            return f"waiting: {waiting.get('reason')} {waiting.get('message', '')}".strip()
    return f"{status['phase']} and not ready"
