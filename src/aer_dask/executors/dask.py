"""The workers of a Dask cluster."""

from __future__ import annotations

import concurrent.futures
import inspect
import logging
import socket
import threading
import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from functools import cached_property
from typing import Any

import distributed.client
from distributed import Client
from distributed.deploy.cluster import Cluster
from distributed.scheduler import KilledWorker, NoValidWorkerError

from .. import versions
from ..compile import codec
from ..errors import ExecutorError, VersionMismatchError, WorkerLostError
from ..worker.preload import MEMORY, simulation_memory
from ..worker.tasks import OptionsMissingError, simulate_on_worker
from .base import Callback, Capacity, Dispatcher, Lost, LostWorker, Outcome, Outlook, Output
from .session import PATIENCE, session_of

logger = logging.getLogger(__name__)

#: Tasks that need no more bytes than this ask for no memory. Dask holds back the tasks of a queue
#: until a worker is free only where they ask for nothing, and every worker has this much.
SMALL = 64 * 2**20
#: What a Dask task ends with when the worker that ran it died, or the child in it.
_DEATHS = (WorkerLostError, KilledWorker, NoValidWorkerError)
#: Seconds that a job waits for workers that it can use while there are none: longer than a cloud
#: takes to start a machine.
WORKERS_PATIENCE = 600.0
_POLL = 0.2
_NO_WORKERS = "the cluster has no workers yet"
_TASK = vars(distributed.client).get("Task", object)
#: Keeps a task at the scheduler until a worker is idle, also where tasks are few, if Dask has such
#: a thing: `submit` hands it to `Task`. (From two tasks a thread on Dask does so by itself, and
#: never with tasks that ask for workers or memory.)
_QUEUED = (
    {"_data_producer": True} if "_data_producer" in inspect.signature(_TASK).parameters else {}
)


class DaskDispatcher(Dispatcher):
    """Sends the tasks of one job to a Dask cluster.

    Tasks name no workers but those that the user has chosen, so that they can run on any that come
    later. A large task asks for memory as a Dask resource (:mod:`aer_dask.worker.preload` announces
    it), so it waits for a worker that has it, and tasks side by side share what a worker has.

    Args:
        source: the Client or Cluster.
        workers: names, hosts or addresses of those to use; default all.
        resources: Dask's worker resources that each task takes, such as ``{"GPU": 1}``.
        allow_other_workers: whether ``workers`` is only a wish; then it is not followed, since Dask
            leaves tasks with such a wish waiting where none of those workers is there.
        ignored: what else ``client.get_executor`` takes; a job repeats its tasks by itself.

    Raises:
        ExecutorError: if none of the workers of the cluster is among the chosen ones.
    """

    def __init__(
        self,
        source: Client | Cluster,
        workers: str | Iterable[str] | None = None,
        resources: dict[str, float] | None = None,
        allow_other_workers: bool = False,
        **ignored: Any,
    ) -> None:
        self._source = source  # the session does not keep it alive
        self._session = session_of(source)
        self._chosen = [workers] if isinstance(workers, str) else list(workers or ())
        if allow_other_workers:
            self._chosen = []
        self._addresses: list[str] = []
        #: of the tasks that cannot run anywhere: the addresses they may go to, and their bytes
        self._asked: dict[str, tuple[list[str], int]] = {}
        self._has_warned = False
        #: since when the workers have lacked something that tasks wait for
        self._lacking: float | None = None
        self._resources = resources or {}
        self._shared = b""
        self._digest = ""
        self._refuse_unknown_workers()
        self._versions = tuple(versions.installed()[name] for name in versions.PACKAGES)

    def capacity(self) -> Capacity:
        workers = self._workers().values()
        slots = sum(worker["nthreads"] for worker in workers)
        return Capacity(slots, max(map(_memory, workers), default=None))

    def begin(self, shared: bytes) -> None:
        self._shared, self._digest = shared, codec.digest(shared)
        self._session.hold(self._digest)
        try:
            workers = self._session.workers()
            self._session.check(frozenset(workers))
            self._session.renew(self._digest, shared)
        except (OSError, concurrent.futures.CancelledError) as error:
            raise WorkerLostError("The connection to the Dask scheduler was lost.") from error
        self._addresses = self._chosen_addresses(workers)

    def submit(self, key: str, task: bytes, memory: int, priority: int, done: Callback) -> Any:
        if not self._session.connected():
            raise WorkerLostError("The connection to the Dask scheduler was lost.")
        is_large = memory > SMALL
        needed = {**self._resources, **({MEMORY: memory} if is_large else {})}
        future = self._session.client.submit(
            simulate_on_worker, task, self._digest, memory, self._versions,
            key=key, priority=priority, workers=self._addresses or None,
            resources=needed or None, pure=False,
            **_QUEUED,
        )  # fmt: skip
        if self._addresses or is_large:
            self._asked[key] = self._addresses, memory
        future.add_done_callback(done)
        return future

    def fetch(self, futures: Sequence[Any]) -> list[Outcome]:
        outcomes: dict[Any, Outcome] = {}
        finished = [future for future in futures if future.status == "finished"]
        if finished:
            self._lacking = None  # what one has run with is there, or has been since
            try:
                fetched = self._session.patiently(
                    lambda client: client.gather(finished), by=finished[0].client
                )
                outcomes.update(zip(finished, map(Output.of, fetched), strict=True))
            except (OSError, *_DEATHS, concurrent.futures.CancelledError) as error:
                # a result that was lost with its worker, and that Dask could not compute again
                outcomes.update(dict.fromkeys(finished, Lost(error)))
        for future in futures:
            if future not in outcomes:
                outcomes[future] = _failure(future)
        return [outcomes[future] for future in futures]

    def cancel(self, futures: dict[str, Any]) -> None:
        for client in {future.client for future in futures.values()}:
            mine = [future for future in futures.values() if future.client is client]
            if client.status == "running":
                client.cancel(mine, force=True)

    def await_workers(self, stop: threading.Event) -> None:
        while not stop.is_set():
            self._session.connect(stop)
            if stop.is_set() or self.capacity().slots:
                self._lacking = None
                return
            self._bear(self._no_workers)
            stop.wait(_POLL)

    def recover(self, stop: threading.Event) -> None:
        deadline = time.monotonic() + PATIENCE
        while not stop.is_set():
            self.await_workers(stop)
            if stop.is_set():
                return
            try:
                # workers of other versions may be on their way out, and the scheduler too
                self._session.check(frozenset(self._session.workers()), anew=True)
                self._session.renew(self._digest, self._shared)
                # asked for anew: after a scheduler's restart workers come one by one
                self._addresses = self._chosen_addresses(self._session.workers())
                return
            except VersionMismatchError:
                if time.monotonic() > deadline:
                    raise
            except (OSError, concurrent.futures.CancelledError) as error:
                if time.monotonic() > deadline:
                    raise ExecutorError(
                        f"The Dask scheduler or a worker does not answer: {error}. Look at their "
                        "logs and run the job anew."
                    ) from error
            stop.wait(_POLL)

    def stranded(self, futures: dict[str, Any]) -> list[str]:
        self._session.require_answers()
        self._asked = {key: asked for key, asked in self._asked.items() if key in futures}
        workers = self._workers()
        self._bear(self._lack(workers, futures))
        if not workers:
            return []
        self._warn_of_memory(self._largest(futures), workers)
        return [
            key
            for key, (addresses, _) in self._asked.items()
            if addresses and workers.keys().isdisjoint(addresses)
        ]

    def lost_workers(self, prefix: str) -> list[LostWorker]:
        mine = []
        for lost in list(self._session.lost_workers):
            if keys := tuple(key for key in lost.keys if key.startswith(prefix)):
                mine.append(LostWorker(lost.worker, keys, lost.when))
        return mine

    def outlook(self, futures: dict[str, Any], timeout: float) -> Outlook:
        end = time.monotonic() + timeout
        try:
            workers = self._among(self._session.workers(timeout))
            if not self._session.connected():
                return Outlook(0, "the scheduler is away; connecting again")
            if not workers:
                return Outlook(0, self._no_workers)
            return Outlook(len(workers), self._waits_for(futures, workers, end))
        except (ExecutorError, OSError, concurrent.futures.CancelledError):
            return Outlook(None, "the scheduler does not answer")

    def _waits_for(self, futures: dict[str, Any], workers: dict[str, Any], end: float) -> str:
        """What tasks wait for, none of which runs; nothing if one does, or has just been sent.

        Asks until ``end``, on the clock of :func:`time.monotonic`.
        """
        given = self._session.processing(_left(end))
        mine = [worker for worker, keys in given.items() if not futures.keys().isdisjoint(keys)]
        if mine:
            # a worker that is given a task holds it back until it has free what the task asks for
            largest = self._largest(futures)
            gibibytes = f"{largest / 2**30:.1f} GiB" if largest > SMALL else ""
            asks = " and ".join(filter(None, [gibibytes, self._resources_in_words]))
            waits = asks and futures.keys().isdisjoint(self._session.running(mine, _left(end)))
            return f"{asks} that no worker has free" if waits else ""
        if lack := self._lack(workers, futures):
            return lack
        return "the workers are busy with other jobs" if futures and any(given.values()) else ""

    def _lack(self, workers: dict[str, Any], futures: dict[str, Any]) -> str:
        """What none of the workers has that tasks cannot run without; nothing if one has all."""
        if not workers:
            return self._no_workers
        if not any(self._has_resources(worker) for worker in workers.values()):
            return f"a worker with the resource {self._resources_in_words}; there is none"
        largest = self._largest(futures)
        if largest > max(map(_memory, workers.values())):
            return f"a worker with {largest / 2**30:.1f} GiB for simulations; there is none"
        return ""

    def _bear(self, lack: str) -> None:
        """Note what the workers lack, if anything; raise once that is so for too long."""
        if not lack:
            self._lacking = None
            return
        now = time.monotonic()
        self._lacking = now if self._lacking is None else self._lacking
        if now - self._lacking > WORKERS_PATIENCE:
            raise ExecutorError(
                f"The job has waited for {WORKERS_PATIENCE:g} s: {lack}. Start what it waits for "
                "and run it again; with a store it then goes on from what was done."
            )

    def _largest(self, futures: dict[str, Any]) -> int:
        """The most bytes that one of these tasks asks for."""
        asked = [memory for key, (_, memory) in self._asked.copy().items() if key in futures]
        return max(asked, default=0)

    @property
    def _no_workers(self) -> str:
        return "none of the chosen workers is there" if self._chosen else _NO_WORKERS

    @property
    def _resources_in_words(self) -> str:
        return " and ".join(f"{n:g} {name}" for name, n in self._resources.items())

    def end(self) -> None:
        if self._digest:
            self._session.release(self._digest)

    def _has_resources(self, worker: dict[str, Any]) -> bool:
        """Whether a worker has the resources that the user wants for each task."""
        return all(worker["resources"].get(name, 0) >= n for name, n in self._resources.items())

    def _workers(self) -> dict[str, Any]:
        """The workers that may be used, by address."""
        return self._among(self._session.workers())

    def _among(self, workers: dict[str, Any]) -> dict[str, Any]:
        """Those of the workers that may be used."""
        if not self._chosen:
            return workers
        chosen = {str(name) for name in self._chosen} | self._hosts
        return {
            address: worker
            for address, worker in workers.items()
            if not chosen.isdisjoint((address, str(worker["name"]), worker["host"]))
        }

    def _chosen_addresses(self, workers: dict[str, Any]) -> list[str]:
        """Where tasks may go; nothing for anywhere.

        Dask itself takes a name for the address that it stands for at that moment, a number for
        another name than its digits, and a host by its IP address only.
        """
        return list(self._among(workers)) if self._chosen else []

    @cached_property
    def _hosts(self) -> frozenset[str]:
        """The IP addresses of what is chosen, where that is the name of a host."""
        found = set()
        for name in self._chosen:
            with suppress(OSError, UnicodeError):
                if not str(name).isdecimal():  # a worker's name; as a host it would be 0.0.0.1
                    found.add(socket.gethostbyname(str(name)))
        return frozenset(found)

    def _warn_of_memory(self, asked: int, workers: dict[str, Any]) -> None:
        """Say, once, that a task waits for a worker larger than any there is."""
        if not self._has_warned and asked > max(map(_memory, workers.values())):
            self._has_warned = True
            logger.warning(
                "A task waits for a worker with %.1f GiB for simulations; there is none now.",
                asked / 2**30,
            )

    def _refuse_unknown_workers(self) -> None:
        workers = self._session.workers() if self._chosen else {}
        if workers and not self._among(workers):
            names = ", ".join(sorted(str(worker["name"]) for worker in workers.values()))
            raise ExecutorError(
                f"None of the chosen workers {self._chosen} is part of the cluster; it has {names}."
            )


def _memory(worker: dict[str, Any]) -> int:
    """Bytes for simulations on a worker, from what the scheduler knows of it."""
    announced = worker["resources"].get(MEMORY)
    if announced is not None:
        return int(announced)
    return simulation_memory(worker["memory_limit"] or 2**63, worker["nthreads"])


def _left(end: float) -> float:
    """Seconds until then."""
    return max(0.0, end - time.monotonic())


def _failure(future: Any) -> Outcome:
    """How a future has ended that has no result."""
    if future.status != "error":
        # Dask says no more of it
        why = "Dask has cancelled it: the scheduler was lost, or was told to."
        return Lost(concurrent.futures.CancelledError(why), begun=False)
    error: BaseException = future.exception()
    if isinstance(error, OptionsMissingError):
        return Lost(error)
    if isinstance(error, KilledWorker):
        return Lost(error, deaths=error.allowed_failures + 1)
    return Lost(error, deaths=1) if isinstance(error, _DEATHS) else error
