"""What runs in a worker: ``--preload aer_dask.worker``, and the same as ``--preload-nanny``.

The two hooks below are all that Dask looks for in a preload. They import late, because the child
processes that simulate are modules of this package too, and start without Dask.
"""

from typing import Any


async def dask_setup(server: Any) -> None:
    """Called by Dask when it loads the preload, into a worker or its nanny."""
    from .preload import setup

    await setup(server)


async def dask_teardown(server: Any) -> None:
    """Called by Dask before a worker or its nanny ends."""
    from .drain import teardown

    await teardown(server)
