"""A worker that is told to stop finishes its task first, and leaves its results with the others.

    dask worker tcp://scheduler:8786 --preload aer_dask.worker --preload-nanny aer_dask.worker

Dask's own answer to SIGTERM, which a pod gets when it is scaled down, evicted or replaced, is to
drop both at once; its ``retire_workers`` saves results but not running tasks. With this preload,
the nanny waits for as long as whoever sent the signal does: the pod's termination grace period.
"""

from __future__ import annotations

import asyncio
import logging
import time

from distributed import Nanny, Worker
from distributed.core import Status
from distributed.protocol.pickle import dumps

logger = logging.getLogger(__name__)

#: Seconds between two looks at what still runs.
_INTERVAL = 0.25
#: Seconds in which another worker must turn up that can take the results.
_PATIENCE = 20.0


async def teardown(nanny: Nanny | Worker) -> None:
    """Called by Dask before a nanny ends its worker; a worker that ends has nothing to do here."""
    if (
        not isinstance(nanny, Nanny)
        or nanny.process is None
        or nanny.worker_address is None
        or not nanny.is_alive()
    ):
        return
    drained = asyncio.create_task(_drain(nanny, nanny.worker_address))
    # a worker ends by itself once it is signed off, or if its scheduler is gone
    gone = asyncio.create_task(nanny.process.stopped.wait())
    await asyncio.wait([drained, gone], return_when=asyncio.FIRST_COMPLETED)
    for each in (drained, gone):
        each.cancel()


async def _drain(nanny: Nanny, worker: str) -> None:
    """Have a worker finish what it runs, hand over what it holds, and sign off."""
    try:
        # at once, because a node may be gone long before the running task is done
        await _hand_over(nanny, worker)
        await nanny.rpc(worker).run(function=dumps(finish_running))
        deadline = time.monotonic() + _PATIENCE
        while not await _hand_over(nanny, worker, remove=True) and time.monotonic() < deadline:
            await asyncio.sleep(1)
    except OSError as error:
        logger.info("Worker %s could not be drained: %s", worker, error)


async def _hand_over(nanny: Nanny, worker: str, remove: bool = False) -> bool:
    """Copy what only this worker holds to others; whether they could take it.

    Args:
        nanny: of the worker.
        worker: its address.
        remove: whether to sign the worker off, too. Tasks that it has not begun then go to others,
            and none of its tasks counts as having killed a worker (``allowed-failures``).
    """
    retired = await nanny.scheduler.retire_workers(
        workers=[worker], close_workers=False, remove=remove
    )
    return worker in retired


async def finish_running(dask_worker: Worker) -> None:
    """Run by the worker: begin no more tasks, and return once those that run are done."""
    state = dask_worker.state
    while True:
        # again and again: where no other worker could take the results, the scheduler takes it back
        if dask_worker.status is Status.running:
            dask_worker.status = Status.closing_gracefully
        if not (state.executing or state.long_running):
            return
        await asyncio.sleep(_INTERVAL)
