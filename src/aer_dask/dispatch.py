"""Where tasks go: to the workers of a Dask cluster, or to any pool of concurrent.futures.

A dispatcher hides the difference. It counts the slots, checks what can be checked before anything
is sent, submits, fetches and cancels. Dask is met here and in :mod:`aer_dask.worker` only.
"""

from __future__ import annotations

import concurrent.futures
import logging
import time
from abc import ABC, abstractmethod
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures.process import BrokenProcessPool
from typing import Any
from weakref import WeakKeyDictionary

import distributed
from distributed import Client
from distributed.cfexecutor import ClientExecutor
from distributed.comm.core import CommClosedError
from distributed.deploy.cluster import Cluster
from distributed.scheduler import KilledWorker, NoValidWorkerError

from . import child, codec, execute, versions
from .errors import ExecutorError, WorkerLostError
from .worker import PLUGIN_NAME, SHARED, AerPlugin, memory_per_slot, run_on_worker

logger = logging.getLogger(__name__)

#: What a task can end with through no fault of its own: it is run again.
LOST = (
    WorkerLostError, KilledWorker, NoValidWorkerError, CommClosedError, OSError,
    concurrent.futures.CancelledError,
)  # fmt: skip

#: The client of each cluster that was given as an executor.
_clients: WeakKeyDictionary[Cluster, Client] = WeakKeyDictionary()
#: The workers of each client that are known to run the right versions, and the plugin.
_checked: WeakKeyDictionary[Client, frozenset[str]] = WeakKeyDictionary()
#: The options and noise models, by digest, that each client has left with its scheduler.
_sent: WeakKeyDictionary[Client, OrderedDict[str, None]] = WeakKeyDictionary()
_KEPT = 8  # of them, so that the next run of an optimiser finds its own

Outcome = bytes | BaseException
Callback = Callable[[Any], None]


class Dispatcher(ABC):
    """One executor, as the job set needs it."""

    @abstractmethod
    def slots(self) -> int:
        """Tasks that can run at once; 0 while there is no worker."""

    @abstractmethod
    def memory(self) -> int | None:
        """Bytes that a simulation may take on the largest worker; None if that is not known."""

    @abstractmethod
    def prepare(self, shared: bytes, memory: int) -> Any:
        """Check the workers and make ``shared`` available to all tasks of a run.

        Args:
            shared: encoded options and noise model.
            memory: bytes that the largest simulation of the run takes.

        Returns:
            What :meth:`submit` is to be given for it.
        """

    @abstractmethod
    def submit(self, key: str, task: bytes, shared: Any, priority: int, done: Callback) -> Any:
        """Start a task; ``done`` is called with the returned future, in another thread."""

    @abstractmethod
    def fetch(self, futures: Sequence[Any]) -> list[Outcome]:
        """The results, or what went wrong, of futures that are done."""

    @abstractmethod
    def cancel(self, futures: dict[str, Any]) -> None:
        """Stop tasks, by key, whether they wait or run."""

    def recover(self, deadline: float) -> None:  # noqa: B027 (most have nothing to wait for)
        """Wait until tasks can be sent again after some were lost."""


class DaskDispatcher(Dispatcher):
    """The workers of a Dask cluster.

    Args:
        client: of the cluster.
        workers: addresses of those to use; default all.
        resources: Dask's worker resources that each task takes, such as ``{"GPU": 1}``.
    """

    def __init__(
        self,
        client: Client,
        workers: str | Iterable[str] | None = None,
        resources: dict[str, float] | None = None,
        **_: Any,
    ) -> None:
        if client.asynchronous:
            raise ExecutorError(
                "The Dask client is asynchronous, and run() is not. "
                "Make one without asynchronous=True."
            )
        if client.status not in ("running", "connecting"):
            raise ExecutorError(f"The Dask client is {client.status}; make a new one.")
        self._client = client
        self._chosen = {workers} if isinstance(workers, str) else set(workers or ())
        self._resources = resources
        self._eligible: list[str] | None = None

    def slots(self) -> int:
        return sum(worker["nthreads"] for worker in self._workers().values())

    def memory(self) -> int | None:
        return max(map(_memory, self._workers().values()), default=None)

    def prepare(self, shared: bytes, memory: int) -> Any:
        found = self._workers()
        self._eligible = self._large_enough(found, memory)
        workers = frozenset(found)
        if not workers <= _checked.get(self._client, frozenset()):
            versions.require_same(versions.installed(), versions.of_cluster(self._client))
            self._client.register_plugin(AerPlugin(), name=PLUGIN_NAME)
            _checked[self._client] = workers
        digest = codec.digest(shared)
        sent = _sent.setdefault(self._client, OrderedDict())
        if digest not in sent:
            self._client.set_metadata([SHARED, digest], shared)
        sent[digest] = None
        sent.move_to_end(digest)
        if len(sent) > _KEPT:
            oldest, _ = sent.popitem(last=False)
            self._client.set_metadata([SHARED, oldest], None)
        return digest

    def submit(self, key: str, task: bytes, shared: Any, priority: int, done: Callback) -> Any:
        future = self._client.submit(
            run_on_worker, task, shared, key=key, priority=priority, workers=self._eligible,
            resources=self._resources, pure=False,
        )  # fmt: skip
        future.add_done_callback(done)
        return future

    def fetch(self, futures: Sequence[Any]) -> list[Outcome]:
        outcomes: dict[Any, Outcome] = {}
        finished = [future for future in futures if future.status == "finished"]
        try:
            outcomes.update(zip(finished, self._client.gather(finished), strict=True))
        except LOST as error:
            outcomes.update(dict.fromkeys(finished, error))
        for future in futures:
            if future not in outcomes:
                outcomes[future] = _exception(future)
        return [outcomes[future] for future in futures]

    def cancel(self, futures: dict[str, Any]) -> None:
        self._client.cancel(list(futures.values()), force=True)

    def recover(self, deadline: float) -> None:
        _sent.pop(self._client, None)  # a scheduler that was restarted has forgotten them
        while self._client.status == "connecting" and time.monotonic() < deadline:
            time.sleep(0.1)
        if self._client.status != "running":
            raise ExecutorError(
                "The connection to the Dask scheduler was lost and did not come back in time. "
                "Run the job again; Client(..., timeout=300) waits longer for a scheduler."
            )

    def _workers(self) -> dict[str, Any]:
        workers: dict[str, Any] = self._client.scheduler_info(n_workers=-1)["workers"]
        return {a: worker for a, worker in workers.items() if not self._chosen or a in self._chosen}

    def _large_enough(self, workers: dict[str, Any], memory: int) -> list[str] | None:
        """The workers chosen, or those that the largest simulation fits into; None for all.

        None wherever possible: a task that names its workers can run on no later one.
        """
        fitting = [a for a, worker in workers.items() if _memory(worker) >= memory]
        return fitting if self._chosen or len(fitting) < len(workers) else None


def _memory(worker: dict[str, Any]) -> int:
    """Bytes for one simulation on a worker, from what the scheduler knows of it."""
    return memory_per_slot(worker["memory_limit"] or 2**63, worker["nthreads"])


def _exception(future: Any) -> BaseException:
    if future.status == "error":
        exception: BaseException = future.exception()
        return exception
    return concurrent.futures.CancelledError(future.key)


class PoolDispatcher(Dispatcher):
    """A pool of concurrent.futures, or anything with its interface.

    The tasks of a ThreadPoolExecutor simulate in child processes, because threads would only take
    turns; those of other executors in whatever process the executor runs them.
    """

    def __init__(self, pool: concurrent.futures.Executor) -> None:
        self._pool = pool
        self._threads = isinstance(pool, concurrent.futures.ThreadPoolExecutor)

    def slots(self) -> int:
        return int(getattr(self._pool, "_max_workers", 1))

    def memory(self) -> int | None:
        return None

    def prepare(self, shared: bytes, memory: int) -> Any:
        return shared

    def submit(self, key: str, task: bytes, shared: Any, priority: int, done: Callback) -> Any:
        try:
            if self._threads:
                future = self._pool.submit(child.run_task, key, task, shared)
            else:
                future = self._pool.submit(execute.run_task, task, shared)
        except (BrokenProcessPool, RuntimeError) as error:
            raise ExecutorError(
                f"The executor takes no more work ({error}); make a new one."
            ) from error
        future.add_done_callback(done)
        return future

    def fetch(self, futures: Sequence[Any]) -> list[Outcome]:
        return [_outcome(future) for future in futures]

    def cancel(self, futures: dict[str, Any]) -> None:
        for key, future in futures.items():
            if not future.cancel():
                child.children.kill(key)


def _outcome(future: concurrent.futures.Future[bytes]) -> Outcome:
    if future.cancelled():
        return concurrent.futures.CancelledError()
    return future.exception() or future.result()


def _client_of(cluster: Cluster) -> Client:
    if cluster not in _clients or _clients[cluster].status == "closed":
        _clients[cluster] = cluster.get_client()
    return _clients[cluster]


def dispatcher(executor: Any) -> Dispatcher:
    """The dispatcher for what the user gave as ``executor``.

    Raises:
        ExecutorError: if it is none of the kinds that can run tasks.
    """
    if isinstance(executor, str) and executor == "dask":
        try:
            executor = distributed.default_client()
        except ValueError as error:
            raise ExecutorError(
                'executor="dask" means this process\'s current Dask client, and there is none. '
                "Make one first: from distributed import Client; client = Client(address)."
            ) from error
    if isinstance(executor, Cluster):
        executor = _client_of(executor)
    if isinstance(executor, ClientExecutor):
        return DaskDispatcher(executor._client, **executor._kwargs)
    if isinstance(executor, Client):
        return DaskDispatcher(executor)
    if isinstance(executor, concurrent.futures.Executor):
        return PoolDispatcher(executor)
    raise ExecutorError(
        f"executor={executor!r} cannot run circuits. Give a dask.distributed Client or Cluster, a "
        'concurrent.futures executor, or "dask" for the current client.'
    )
