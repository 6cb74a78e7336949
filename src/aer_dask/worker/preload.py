"""What makes a Dask worker simulate well.

    dask worker tcp://scheduler:8786 --nthreads 1 --preload aer_dask.worker

The preload refuses to serve under a scheduler of other versions, gives Aer the cores and the memory
of the pod (cgroup limits, not the host's), announces that memory to the scheduler, starts the child
processes that simulate, and ends a child when its task is cancelled. A worker started without the
preload gets the same from the client, except that it keeps to the threads its environment allows.
"""

from __future__ import annotations

import asyncio
import logging
import os
import sys
from typing import Any

import dask.system
import distributed.system
from distributed import Nanny, Worker
from distributed.core import Status
from distributed.diagnostics.plugin import WorkerPlugin

from .. import versions
from ..errors import VersionMismatchError
from . import metrics
from .child import children

logger = logging.getLogger(__name__)

PLUGIN_NAME = "aer-dask"
#: The Dask resource of a worker that large tasks ask for: bytes for simulations.
MEMORY = "aer-dask-memory"
#: Memory in bytes that Python, Dask and Aer's libraries take in a worker with one child. Measured:
#: 260 MiB resident (worker 86, nanny 73, child 99), and room for a dashboard and messages.
OVERHEAD = 350 * 2**20
#: What each further child takes, apart from its simulation: 99 MiB resident, 63 of them its own.
CHILD_OVERHEAD = 100 * 2**20
#: Exit status of a worker that must not serve (EX_CONFIG in sysexits.h).
EXIT_CONFIGURATION = 78


class AerPlugin(WorkerPlugin):
    """Prepares a worker for simulations and ends those that are no longer wanted.

    Args:
        dedicated: whether the worker has its pod to itself, so that its threads are the pod's.
    """

    name = PLUGIN_NAME

    def __init__(self, dedicated: bool = False) -> None:
        self._dedicated = dedicated

    async def setup(self, worker: Worker) -> None:
        """Called by Dask: set the limits of this worker's children, start, announce, count them."""
        metrics.show(children.tally)
        slots = worker.state.nthreads
        memory = simulation_memory(_limit(worker), slots)
        if children.threads is None:
            children.configure(self._threads(slots), memory, slots)
        if MEMORY not in worker.state.total_resources:
            await _announce(worker, memory)

    def transition(self, key: object, start: str, finish: str, **_: object) -> None:
        """Called by Dask: a running task that is released was cancelled."""
        if start == "executing" and finish == "released":
            logger.info("Ending %s: it was cancelled", key)
            children.kill(str(key))

    def _threads(self, slots: int) -> int:
        """OpenMP threads for each of the worker's slots."""
        variable = "AER_DASK_THREADS" if self._dedicated else "OMP_NUM_THREADS"
        given = os.environ.get(variable, "")
        if given.isdecimal() and int(given) > 0:
            return int(given)
        return max(1, dask.system.CPU_COUNT // slots)


def simulation_memory(limit: int, slots: int) -> int:
    """Bytes that simulations may take together on a worker with this limit and so many slots."""
    return max(0, limit - OVERHEAD - (slots - 1) * CHILD_OVERHEAD)


def _limit(worker: Worker) -> int:
    """Bytes that the worker has: its own limit, and no more than its control group allows."""
    limit = worker.memory_manager.memory_limit or distributed.system.MEMORY_LIMIT
    return int(min(limit, distributed.system.MEMORY_LIMIT))


async def _announce(worker: Worker, memory: int) -> None:
    """Tell the scheduler of the worker's memory, before or after it has registered."""
    if worker.status not in (Status.running, Status.paused):  # it registers with what stands here
        worker.state.total_resources[MEMORY] = worker.state.available_resources[MEMORY] = memory
        return
    await worker.set_resources(**{MEMORY: memory})
    # the scheduler gives tasks that wait for a resource to workers that begin to run, not to
    # those that run already
    if worker.status is Status.running:
        worker.status = Status.paused
        worker.status = Status.running


async def setup(server: Worker | Nanny) -> None:
    """Check the scheduler's versions, and prepare the worker.

    Of a worker and its nanny, only the nanny's exit status is that of `dask worker`, and so of a
    pod; so both are told to load the preload.
    """
    found = await _versions_of_scheduler(server)
    try:
        versions.require_same(
            versions.installed(), {"the scheduler": versions.of_scheduler(found["packages"])}
        )
    except VersionMismatchError as error:
        # Dask only logs what a preload raises, and the worker would go on to serve
        print(error, file=sys.stderr, flush=True)
        os._exit(EXIT_CONFIGURATION)
    _log_as_dask_does()
    if isinstance(server, Worker):
        await server.plugin_add(AerPlugin(dedicated=True), name=PLUGIN_NAME, catch_errors=False)


async def _versions_of_scheduler(server: Worker | Nanny) -> Any:
    """What the scheduler says, once it is there: a worker waits for it for as long as it takes."""
    while True:
        try:
            return await server.scheduler.versions(packages=list(versions.PACKAGES))
        except OSError as error:
            logger.info("Waiting for the scheduler: %s", error)
            await asyncio.sleep(1)


def _log_as_dask_does() -> None:
    """Have lines of this package shown where Dask's are, and from the same level on."""
    ours, dasks = logging.getLogger("aer_dask"), logging.getLogger("distributed")
    if not ours.handlers:
        ours.setLevel(dasks.level)
        for handler in dasks.handlers:
            ours.addHandler(handler)
