"""Which dispatcher serves what the user gave as ``executor``."""

from __future__ import annotations

import concurrent.futures
from typing import Any

import dask
import distributed
from distributed import Client
from distributed.cfexecutor import ClientExecutor
from distributed.deploy.cluster import Cluster

from .. import versions
from ..errors import ExecutorError
from .base import Dispatcher
from .dask import DaskDispatcher
from .pool import PoolDispatcher, ProcessPoolDispatcher, ThreadPoolDispatcher


def dispatcher(executor: Any) -> Dispatcher:
    """A dispatcher for one job.

    Raises:
        ExecutorError: if the executor is none of the kinds that can run tasks, or closed.
    """
    if isinstance(executor, str) and executor == "dask":
        executor = _default_client()
    if isinstance(executor, ClientExecutor):
        return DaskDispatcher(executor._client, **executor._kwargs)
    if isinstance(executor, (Client, Cluster)):
        return DaskDispatcher(executor)
    if isinstance(executor, concurrent.futures.ThreadPoolExecutor):
        return ThreadPoolDispatcher(executor)
    if isinstance(executor, concurrent.futures.ProcessPoolExecutor):
        return ProcessPoolDispatcher(executor)
    if isinstance(executor, concurrent.futures.Executor):
        return PoolDispatcher(executor)
    raise ExecutorError(
        f"executor={executor!r} cannot run circuits. Give a dask.distributed Client or Cluster, a "
        'concurrent.futures executor, or "dask" for the current client.'
    )


def _default_client() -> Client:
    try:
        return distributed.default_client()
    except ValueError as error:
        if dask.config.get("scheduler-address", None):  # as in a notebook of the chart
            with versions.ours_to_compare():
                return Client()
        raise ExecutorError(
            'executor="dask" means this process\'s current Dask client, and there is none. '
            "Make one first: from distributed import Client; client = Client(address)."
        ) from error
