"""What stands for an executor in a pickle: where its Dask cluster is, not the connection.

The process that unpickles it connects when it first runs something. Executors of no other process's
reach are refused by name, rather than by what of them Python cannot pickle.
"""

from __future__ import annotations

import concurrent.futures
import os
import threading
from dataclasses import dataclass, field
from typing import Any

from distributed import Client
from distributed.cfexecutor import ClientExecutor
from distributed.deploy.cluster import Cluster
from distributed.security import Security

from .. import versions
from ..errors import ExecutorError

_FILES = ("tls_ca_file", "tls_client_cert", "tls_client_key")
#: What of a Security object the client's side of a connection uses.
_CARRIED = (*_FILES, "require_encryption", "tls_ciphers", "tls_min_version", "tls_max_version")

#: By process, because a forked one inherits the others' clients without their event loops.
_clients: dict[tuple[int, str, Any], Client] = {}
_connecting = threading.Lock()


def _inherit() -> None:
    """What a forked process does first; there is nobody to release the lock."""
    global _connecting  # noqa: PLW0603
    _connecting = threading.Lock()


os.register_at_fork(after_in_child=_inherit)


@dataclass(frozen=True)
class DaskAddress:
    """A Dask cluster that this process, or the one that unpickles this, can connect to.

    Args:
        address: of the scheduler.
        security: names and values of ``distributed.security.Security``, with absolute paths.
        keywords: of ``client.get_executor``; default none.
    """

    address: str
    security: tuple[tuple[str, Any], ...]
    keywords: dict[str, Any] = field(default_factory=dict)

    def connect(self) -> Client | ClientExecutor:
        """The executor, over this process's one client for the address and security.

        Raises:
            ExecutorError: if no scheduler answers.
        """
        key = (os.getpid(), self.address, self.security)
        with _connecting:
            if key not in _clients or _clients[key].status == "closed":
                _clients[key] = self._new_client()
        client = _clients[key]
        return client.get_executor(**self.keywords) if self.keywords else client

    def _new_client(self) -> Client:
        try:
            security = Security(**dict(self.security))
            with versions.ours_to_compare():
                return Client(self.address, security=security, set_as_default=False)
        except OSError as error:
            raise ExecutorError(
                f"This backend was pickled with the Dask scheduler at {self.address}, which cannot "
                f"be reached from here ({error}). Check that it runs, and that its address and the "
                "files of its TLS keys mean the same in this process; or set_options(executor=...)."
            ) from error


def packed(executor: Any) -> Any:
    """What a pickle carries in the place of an executor; None and names are carried as they are.

    Raises:
        ExecutorError: if no other process can reach the executor.
    """
    if isinstance(executor, ClientExecutor):
        client = packed(executor._client)
        return DaskAddress(client.address, client.security, executor._kwargs)
    if isinstance(executor, Client):
        address = executor.scheduler.address if executor.scheduler else None
        return _address(address, executor.security)
    if isinstance(executor, Cluster):
        connected = executor.scheduler_address != "<Not Connected>"
        address = executor.scheduler_address if connected else None
        return _address(address, getattr(executor, "security", None) or Security())
    if isinstance(executor, concurrent.futures.Executor):
        raise ExecutorError(
            f"A {type(executor).__name__} cannot leave its process, so a backend that has one "
            "cannot be pickled. Give it a Dask client, or set_options(executor=None) first."
        )
    return executor


def unpacked(executor: Any) -> Any:
    """An executor that can run tasks: the one given, or a connection to what came in a pickle.

    Raises:
        ExecutorError: if no scheduler answers.
    """
    return executor.connect() if isinstance(executor, DaskAddress) else executor


def _address(address: str | None, security: Security) -> DaskAddress:
    if address is None:
        raise ExecutorError(
            "The backend's Dask client or cluster has no scheduler, because it is closed or not "
            "started, so the backend cannot be pickled. Give it one that is connected."
        )
    if address.startswith("inproc://"):
        raise ExecutorError(
            "The backend's Dask cluster runs in the threads of this process, so the backend cannot "
            "be pickled. Give it a cluster of processes, such as EmbeddedCluster."
        )
    fields: dict[str, Any] = {name: getattr(security, name, None) for name in _CARRIED}
    in_memory = any("\n" in (fields[name] or "") for name in _FILES)
    if in_memory or type(security) is not Security or security.extra_conn_args:
        raise ExecutorError(
            "The keys or connection arguments of the backend's Dask client exist in this process "
            "only, so the backend cannot be pickled. Give the client keys in files: "
            "Security(tls_ca_file=..., tls_client_cert=..., tls_client_key=...)."
        )
    for name in _FILES:
        if fields[name]:
            fields[name] = os.path.abspath(fields[name])
    return DaskAddress(address, tuple((n, v) for n, v in fields.items() if v is not None))
