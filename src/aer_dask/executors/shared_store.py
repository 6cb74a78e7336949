"""Where options and noise models wait for workers, and who says which tasks a worker took along.

A plugin of the scheduler.

It is sent to the scheduler by value, because a scheduler needs no aer_dask; so nothing here may use
any other module of the package.
"""

from __future__ import annotations

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
        self._names: dict[str, str] = {}
        self._data: dict[str, bytes] = {}
        self._holders: dict[str, set[str]] = {}

    async def start(self, scheduler: Any) -> None:
        """Called by Dask: answer to clients and workers."""
        self._scheduler = scheduler
        self._names = {address: str(worker.name) for address, worker in scheduler.workers.items()}
        scheduler.handlers["aer_dask_hold"] = self.hold
        scheduler.handlers["aer_dask_release"] = self.release
        scheduler.handlers["aer_dask_fetch"] = self.fetch

    def add_worker(self, scheduler: Any, worker: str) -> None:
        """Called by Dask when a worker has come, with its address."""
        self._names[worker] = str(scheduler.workers[worker].name)

    def remove_worker(self, scheduler: Any, worker: str, **_: Any) -> None:
        """Called by Dask when a worker has gone, after that was noted."""
        self._names.pop(worker, None)

    def remove_client(self, scheduler: Any, client: str) -> None:
        """Called by Dask when a client has gone."""
        for digest in list(self._holders):
            self.release(client, digest)

    def log_event(self, topic: str, msg: Any) -> None:
        """Called by Dask with all it notes: it repeats the tasks of a worker that dies unasked."""
        if topic != "all" or not isinstance(msg, dict) or msg.get("action") != "remove-worker":
            return
        lost = {*msg["processing-tasks"], *msg["lost-computed-tasks"]}
        keys = [key for key in lost if str(key).startswith(PREFIX)]
        if keys and not msg["expected"]:
            self._scheduler.log_event(
                LOST, {"worker": self._names.get(msg["worker"], msg["worker"]), "keys": keys}
            )

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
