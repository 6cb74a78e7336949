"""Where options and noise models wait for workers, and who says which tasks a worker took along.

A plugin of the scheduler.

It is sent to the scheduler by value, because a scheduler needs no aer_dask; so nothing here may use
any other module of the package.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from distributed.diagnostics.plugin import SchedulerPlugin

NAME = "aer-dask-shared-store"
#: The topic of events that tell clients of our tasks that were lost with a worker.
LOST = "aer-dask-lost"
#: How the keys of our tasks begin.
PREFIX = "aer-"


class SharedStore(SchedulerPlugin):
    """Encoded options and noise models by digest, each for as long as a client holds it."""

    name = NAME

    def __init__(self) -> None:
        self._scheduler: Any = None
        self._workers: dict[str, Any] = {}
        self._data: dict[str, bytes] = {}
        self._holders: dict[str, set[str]] = {}

    async def start(self, scheduler: Any) -> None:
        """Called by Dask: answer to clients and workers."""
        self._scheduler = scheduler
        self._workers = dict(scheduler.workers)
        scheduler.handlers["aer_dask_hold"] = self.hold
        scheduler.handlers["aer_dask_release"] = self.release
        scheduler.handlers["aer_dask_fetch"] = self.fetch

    def add_worker(self, scheduler: Any, worker: str) -> None:
        """Called by Dask when a worker has come, with its address."""
        self._workers[worker] = scheduler.workers[worker]

    def remove_worker(self, scheduler: Any, worker: str, **_: Any) -> None:
        """Called by Dask when a worker has gone, after that was noted."""
        self._workers.pop(worker, None)

    def remove_client(self, scheduler: Any, client: str) -> None:
        """Called by Dask when a client has gone."""
        for digest in list(self._holders):
            self.release(client, digest)

    def log_event(self, topic: str, msg: Any) -> None:
        """Called by Dask with all it notes: it repeats the tasks of a worker that dies unasked."""
        if topic != "all" or not isinstance(msg, dict) or msg.get("action") != "remove-worker":
            return
        worker = self._workers.get(msg["worker"])
        if worker is None or msg["expected"]:
            return
        tasks = map(self._scheduler.tasks.get, msg["processing-tasks"])
        lost = {*begun(worker, filter(None, tasks)), *msg["lost-computed-tasks"]}
        if keys := [key for key in lost if str(key).startswith(PREFIX)]:
            self._scheduler.log_event(LOST, {"worker": str(worker.name), "keys": keys})

    def hold(self, client: str, digest: str, data: bytes | None = None) -> bool:
        """Keep data for a client; False if they are not here and were not given."""
        if data is not None:
            self._data[digest] = data
        if digest not in self._data:
            return False
        self._holders.setdefault(digest, set()).add(client)
        return True

    def release(self, client: str, digest: str) -> None:
        """Keep data no longer for this client."""
        holders = self._holders.get(digest, set())
        holders.discard(client)
        if not holders:
            self._holders.pop(digest, None)
            self._data.pop(digest, None)

    def fetch(self, digest: str) -> bytes | None:
        """The data; None if they are not here."""
        return self._data.get(digest)


def begun(worker: Any, given: Iterable[Any]) -> list[Any]:
    """Keys of the tasks that a worker had begun, of those that it was given and has not finished.

    Tasks that ask for workers or resources are given to one long before it can run them. How many
    it had begun is what its threads and resources allow, as workers take tasks up. Which ones, its
    last heartbeat says (with few workers twice a second); of those begun since, their priority.

    Args:
        worker: what the scheduler knows of it, a ``WorkerState`` of Dask's.
        given: the tasks, each a ``TaskState``.
    """
    keys: list[Any] = []
    free, is_held_up = dict(worker.resources), False
    known = {task.key for task in worker.executing}
    here = set(given) - set(worker.long_running)  # those have left their threads
    for task in sorted(here, key=lambda task: (task.key not in known, task.priority)):
        asked = task.resource_restrictions or {}
        # a worker lets no task that asks for resources pass another one that waits for them
        is_held_up = is_held_up or any(free.get(name, 0) < asked[name] for name in asked)
        if len(keys) < worker.nthreads and not (asked and is_held_up):
            keys.append(task.key)
            free.update({name: free.get(name, 0) - asked[name] for name in asked})
    return keys
