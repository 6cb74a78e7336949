"""A cluster on this machine, of the same processes that the pods run.

    with EmbeddedCluster(workers=2) as cluster:
        backend = AerSimulator(executor=cluster)

``dask scheduler`` and ``dask worker`` run as processes of their own, with the flags and settings of
the chart; so what works here works there, and needs neither root nor Docker.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

from dask import config
from dask.system import CPU_COUNT
from dask.utils import parse_timedelta
from distributed.core import rpc
from distributed.deploy.cluster import Cluster
from distributed.deploy.spec import SpecCluster
from distributed.deploy.subprocess import Subprocess
from distributed.security import Security
from distributed.system import MEMORY_LIMIT

from ..worker.child import die_with_parent
from .settings import DASK_SETTINGS, WORKER_FLAGS

_HOST = "127.0.0.1"
_START_SECONDS = 60.0


class _DaskProcess(Subprocess):
    """A process of the ``dask`` command."""

    def __init__(self, *arguments: str, environment: dict[str, str]) -> None:
        self._arguments = arguments
        self._environment = {
            "DASK_LOGGING__DISTRIBUTED": "warning", **os.environ, **DASK_SETTINGS, **environment,
        }  # fmt: skip
        super().__init__()

    async def _start(self) -> None:
        command = (sys.executable, "-m", "dask", *self._arguments)
        # started by the cluster's event loop, whose thread lives as long as the cluster; in a
        # session of its own, or Ctrl-C and Jupyter's interrupt would end it
        self.process = await asyncio.create_subprocess_exec(
            *command, env=self._environment, start_new_session=True,
            preexec_fn=partial(die_with_parent, os.getpid()),
        )  # fmt: skip

    async def close(self) -> None:
        """End it and its children at once.

        Dask would end the children first, one by one: a nanny then says that its worker has died
        and starts another, and a child that has ended by itself meanwhile is an error.
        """
        if self.process is not None and self.process.returncode is None:
            with suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)  # it leads a session
            await self.process.wait()
        await super().close()

    async def _wait_until(self, condition: Callable[[], Awaitable[Any]], what: str) -> Any:
        """Wait until a condition is true of the process, and return its value."""
        end = time.monotonic() + _START_SECONDS
        while not (value := await condition()):
            assert self.process is not None
            if self.process.returncode is not None:
                raise RuntimeError(
                    f"{what} did not start; it exited with status {self.process.returncode}."
                )
            if time.monotonic() > end:
                raise RuntimeError(f"{what} did not start within {_START_SECONDS:g} s.")
            await asyncio.sleep(0.05)
        return value


class _Scheduler(_DaskProcess):
    def __init__(self, environment: dict[str, str]) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="aer-dask-")
        self._file = Path(self._folder.name, "scheduler.json")
        super().__init__(
            "scheduler", "--host", _HOST, "--port", "0", "--dashboard-address", f"{_HOST}:0",
            "--scheduler-file", str(self._file), environment=environment,
        )  # fmt: skip

    async def _start(self) -> None:
        await super()._start()
        self.address = await self._wait_until(self._written_address, "The Dask scheduler")

    async def _written_address(self) -> str | None:
        try:
            return str(json.loads(self._file.read_text())["address"])
        except (OSError, json.JSONDecodeError):  # not yet written, or not yet all of it
            return None

    async def close(self) -> None:
        await super().close()
        self._folder.cleanup()


class _Worker(_DaskProcess):
    """A worker that has started once the scheduler knows it."""

    def __init__(
        self,
        scheduler: str,
        name: object,
        memory: int,
        environment: dict[str, str],
        connection: dict[str, Any],
    ) -> None:
        self._scheduler, self._name, self._connection = scheduler, str(name), connection
        super().__init__(
            "worker", scheduler, "--host", _HOST, "--name", self._name, "--no-dashboard",
            "--memory-limit", str(memory), *WORKER_FLAGS, environment=environment,
        )  # fmt: skip

    async def _start(self) -> None:
        await super()._start()
        await self._wait_until(self._is_registered, f"Dask worker {self._name}")

    async def _is_registered(self) -> bool:
        async with rpc(self._scheduler, connection_args=self._connection) as scheduler:
            workers = (await scheduler.identity(n_workers=-1))["workers"].values()
        return any(str(worker["name"]) == self._name for worker in workers)


class EmbeddedCluster(SpecCluster):
    """A Dask cluster of processes on this machine, ready when its constructor returns.

    Args:
        workers: how many; default one for each core.
        threads: OpenMP threads of each worker's simulations; default an equal share of the cores.
        memory: bytes of each worker; default an equal share of this machine's.
        settings: further environment variables of all processes, such as ``DASK_...`` settings.
        security: how this process connects to them; default as Dask's configuration says.
        spec_cluster: further arguments of ``distributed.SpecCluster``.
    """

    def __init__(
        self,
        workers: int | None = None,
        *,
        threads: int | None = None,
        memory: int | None = None,
        settings: dict[str, str] | None = None,
        security: Security | None = None,
        **spec_cluster: Any,
    ) -> None:
        workers = workers or CPU_COUNT
        threads = threads or max(1, CPU_COUNT // workers)
        environment = {"AER_DASK_THREADS": str(threads), **(settings or {})}
        security = security or Security()
        worker = {
            "cls": _Worker,
            "options": {
                "memory": memory or MEMORY_LIMIT // workers,
                "environment": environment,
                "connection": security.get_connection_args("client"),
            },
        }
        super().__init__(
            workers=dict.fromkeys(range(workers), worker),
            scheduler={"cls": _Scheduler, "options": {"environment": environment}},
            worker=worker,
            security=security,
            name="EmbeddedCluster",
            shutdown_scheduler=False,
            **spec_cluster,
        )

    def _update_worker_status(self, op: str, msg: Any) -> None:
        """Forget a worker that has gone, if its nanny has gone, too: `scale` then starts another.

        Dask's class forgets all that are away for this time, and ends a nanny that starts a worker.
        """
        if op == "remove":
            name = self.scheduler_info["workers"][msg]["name"]
            delay = parse_timedelta(config.get("distributed.deploy.lost-worker-timeout"))
            asyncio.get_running_loop().call_later(delay, self._forget, name)
        Cluster._update_worker_status(self, op, msg)

    def _forget(self, name: object) -> None:
        worker = self.workers.get(name)
        if worker and worker.process and worker.process.returncode is not None:
            self._futures.add(asyncio.ensure_future(worker.close()))
            del self.workers[name]

    async def _close(self) -> None:
        await super()._close()
        # by a signal: a scheduler that Dask asks to close logs a traceback for each graph it is
        # just taking in
        if self.scheduler is not None:
            await self.scheduler.close()
