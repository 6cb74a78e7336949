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
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from dask.system import CPU_COUNT
from distributed.deploy.spec import SpecCluster
from distributed.deploy.subprocess import Subprocess
from distributed.system import MEMORY_LIMIT

from .child import die_with_parent

#: Flags of every worker: one simulation at a time, which may use all of the worker's threads.
WORKER_FLAGS = (
    "--nthreads", "1", "--preload", "aer_dask.worker", "--preload-nanny", "aer_dask.worker",
)  # fmt: skip
#: Dask's settings for simulations, as environment variables of scheduler and workers.
DASK_SETTINGS = {
    # a simulation is silent for as long as it takes, and a lost node shows in other ways
    "DASK_DISTRIBUTED__SCHEDULER__WORKER_TTL": "24h",
    # workers come and go under an autoscaler; the job set has its own limit
    "DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES": "20",
    # no task waits at a busy worker while another worker is idle
    "DASK_DISTRIBUTED__SCHEDULER__WORKER_SATURATION": "1.0",
    # before a task has been seen to end, expect a simulation rather than half a second
    "DASK_DISTRIBUTED__SCHEDULER__UNKNOWN_TASK_DURATION": "60s",
    "DASK_DISTRIBUTED__ADAPTIVE__TARGET_DURATION": "60s",
    # state vectors live in child processes that Dask's memory manager does not see
    "DASK_DISTRIBUTED__WORKER__MEMORY__TARGET": "False",
    "DASK_DISTRIBUTED__WORKER__MEMORY__SPILL": "False",
    "DASK_DISTRIBUTED__WORKER__MEMORY__PAUSE": "False",
    "DASK_DISTRIBUTED__WORKER__MEMORY__TERMINATE": "False",
}
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
        # started by the cluster's event loop, whose thread lives as long as the cluster
        self.process = await asyncio.create_subprocess_exec(
            *command, env=self._environment, preexec_fn=die_with_parent
        )


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
        end = time.monotonic() + _START_SECONDS
        while not (address := self._address()):
            assert self.process is not None
            if self.process.returncode is not None or time.monotonic() > end:
                raise RuntimeError(f"The Dask scheduler did not start in {_START_SECONDS:g} s.")
            await asyncio.sleep(0.05)
        self.address = address

    def _address(self) -> str | None:
        try:
            return str(json.loads(self._file.read_text())["address"])
        except (OSError, json.JSONDecodeError):  # not yet written, or not yet all of it
            return None

    async def close(self) -> None:
        await super().close()
        self._folder.cleanup()


class _Worker(_DaskProcess):
    def __init__(
        self, scheduler: str, name: object, memory: int, environment: dict[str, str]
    ) -> None:
        super().__init__(
            "worker", scheduler, "--host", _HOST, "--name", str(name), "--no-dashboard",
            "--memory-limit", str(memory), *WORKER_FLAGS, environment=environment,
        )  # fmt: skip


class EmbeddedCluster(SpecCluster):
    """A Dask cluster of processes on this machine.

    Args:
        workers: how many; default one for each core.
        threads: OpenMP threads of each worker's simulations; default an equal share of the cores.
        memory: bytes of each worker; default an equal share of this machine's.
        settings: further environment variables of all processes, such as ``DASK_...`` settings.
    """

    def __init__(
        self,
        workers: int | None = None,
        *,
        threads: int | None = None,
        memory: int | None = None,
        settings: dict[str, str] | None = None,
        **spec_cluster: Any,
    ) -> None:
        workers = workers or CPU_COUNT
        threads = threads or max(1, CPU_COUNT // workers)
        environment = {"AER_DASK_THREADS": str(threads), **(settings or {})}
        worker = {
            "cls": _Worker,
            "options": {"memory": memory or MEMORY_LIMIT // workers, "environment": environment},
        }
        super().__init__(
            workers=dict.fromkeys(range(workers), worker),
            scheduler={"cls": _Scheduler, "options": {"environment": environment}},
            worker=worker,
            name="EmbeddedCluster",
            **spec_cluster,
        )
