"""The bar of a job that somebody waits for: in a terminal a line, in a notebook a widget."""

from __future__ import annotations

import time

from .driver import Driver, Timeout

#: Seconds between two looks at the workers.
_LOOK = 2.0
#: Seconds for an answer of the executor's; with less left nobody asks.
_SOON = 0.2


def show(driver: Driver, timeout: Timeout) -> None:
    """Show a bar until the job has ended, or the timeout.

    Args:
        driver: of the job.
        timeout: of who waits for it.
    """
    from tqdm.auto import tqdm  # looks for a notebook, which takes a while

    done = len(driver.done_tasks)  # before anybody looked: they say nothing of the speed
    with tqdm(
        desc="tasks", unit="task", total=driver.total() or None, initial=done, dynamic_ncols=True
    ) as bar:
        looked = -_LOOK
        while not driver.outcome.done() and timeout.left() != 0:
            left = timeout.left()
            if time.monotonic() - looked > _LOOK and (left is None or left > _SOON):
                bar.set_postfix_str(str(driver.outlook(timeout)), refresh=False)
                looked = time.monotonic()
            seen, left = bar.n, timeout.left()
            driver.changes(
                lambda seen=seen: len(driver.done_tasks) > seen,
                _LOOK if left is None else min(left, _LOOK),
            )
            bar.total = driver.total() or None
            if not bar.update(len(driver.done_tasks) - bar.n):  # it shows itself only now and then
                bar.refresh()
