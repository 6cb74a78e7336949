"""A worker that is told to stop finishes its task first, and leaves its results with the others.

    dask worker tcp://scheduler:8786 --preload aer_dask.worker --preload-nanny aer_dask.drain

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


async def dask_teardown(nanny: Nanny) -> None:
    """Called by Dask, in the nanny that loaded the preload, before it ends its worker."""
    address = nanny.worker_address
    if address is None:
        return
    try:
        # at once, because a node may be gone long before the running task is done
        await _hand_over(nanny, address)
        await nanny.rpc(address).run(function=dumps(finish_running))
        deadline = time.monotonic() + _PATIENCE
        while not await _hand_over(nanny, address, remove=True) and time.monotonic() < deadline:
            await asyncio.sleep(1)
    except OSError as error:
        logger.info("Not drained, since scheduler or worker is gone: %s", error)


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
