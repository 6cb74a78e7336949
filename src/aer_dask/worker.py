"""What makes a Dask worker simulate well.

    dask worker tcp://scheduler:8786 --nthreads 1 --preload aer_dask.worker

The preload refuses to serve under a scheduler of other versions, gives Aer the cores and the memory
of the pod (cgroup limits, not the host's), starts the child processes that simulate, and ends a
child when its task is cancelled. A worker started without the preload gets the same from the
client, except that it keeps to the threads its environment allows.
"""

from __future__ import annotations

import logging
import os
import sys
from functools import lru_cache

import dask.system
import distributed.system
from distributed import Nanny, Worker, get_worker
from distributed.diagnostics.plugin import WorkerPlugin
from distributed.utils import sync

from . import versions
from .child import children
from .errors import VersionMismatchError, WorkerLostError

logger = logging.getLogger(__name__)

PLUGIN_NAME = "aer-dask"
#: Where the scheduler keeps the options and noise models of runs, by their digest.
SHARED = "aer-dask-shared"
#: Memory in bytes that Python, Dask and Aer's libraries take in a worker, apart from any state.
OVERHEAD = 350 * 2**20
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

    def setup(self, worker: Worker) -> None:
        """Called by Dask: set the limits of this worker's children and start them."""
        if children.threads is None:
            children.configure(
                self._threads(worker.state.nthreads), simulation_memory(worker) // 2**20 or None
            )
            children.start(worker.state.nthreads)

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


def simulation_memory(worker: Worker) -> int:
    """Bytes that one simulation may take on a worker."""
    limit = worker.memory_manager.memory_limit or distributed.system.MEMORY_LIMIT
    return memory_per_slot(min(limit, distributed.system.MEMORY_LIMIT), worker.state.nthreads)


def memory_per_slot(limit: int, slots: int) -> int:
    """Bytes that one simulation may take on a worker with this limit and so many slots."""
    return max(0, limit - OVERHEAD) // slots


def run_on_worker(task: bytes, digest: str) -> bytes:
    """What a Dask task calls: simulate in a child of the worker.

    Args:
        task: the encoded task.
        digest: of the run's options and noise model, which the client has left at the scheduler.
    """
    return children.run(str(get_worker().get_current_task()), task, _shared(digest))


@lru_cache(maxsize=8)
def _shared(digest: str) -> bytes:
    """The options and noise model of a run, fetched once by each worker.

    Not an argument of the tasks, or they would travel with each of them; and not a result that the
    tasks depend on, because Dask gives a task first to workers that hold what it depends on.
    """
    worker = get_worker()
    try:
        shared = sync(worker.loop, worker.scheduler.get_metadata, keys=[SHARED, digest])
    except KeyError:
        shared = None
    if shared is None:
        raise WorkerLostError("The scheduler was restarted and has forgotten the run's options.")
    return bytes(shared)


async def dask_setup(server: Worker | Nanny) -> None:
    """Called by Dask when it loads the preload, into a worker or (--preload-nanny) its nanny.

    Of the two, only the nanny's exit status is that of `dask worker`, and so of a pod.
    """
    found = await server.scheduler.versions(packages=list(versions.PACKAGES))
    try:
        versions.require_same(
            versions.installed(), {"the scheduler": versions.of_scheduler(found["packages"])}
        )
    except VersionMismatchError as error:
        # Dask only logs what a preload raises, and the worker would go on to serve
        print(error, file=sys.stderr, flush=True)
        os._exit(EXIT_CONFIGURATION)
    if isinstance(server, Worker):
        await server.plugin_add(AerPlugin(dedicated=True), name=PLUGIN_NAME, catch_errors=False)
