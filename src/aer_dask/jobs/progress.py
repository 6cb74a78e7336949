"""The bar of a job that somebody waits for: in a terminal a line, in a notebook a widget."""

from __future__ import annotations

import time
from collections.abc import Callable

from .driver import Driver

#: Seconds between two looks at the workers.
_LOOK = 2.0


def show(driver: Driver, seconds_left: Callable[[], float | None]) -> None:
    """Show a bar until the job has ended.

    Args:
        driver: of the job.
        seconds_left: of the timeout; None without one.

    Raises:
        JobTimeoutError: after that.
    """
    from tqdm.auto import tqdm  # looks for a notebook, which takes a while

    done = len(driver.done_tasks)  # before anybody looked: they say nothing of the speed
    with tqdm(
        desc="tasks", unit="task", total=driver.total() or None, initial=done, dynamic_ncols=True
    ) as bar:
        looked = -_LOOK
        while not driver.outcome.done():
            if time.monotonic() - looked > _LOOK:
                bar.set_postfix_str(str(driver.outlook()), refresh=False)
                looked = time.monotonic()
            seen, left = bar.n, seconds_left()
            changed = driver.changes(
                lambda seen=seen: len(driver.done_tasks) > seen,
                _LOOK if left is None else min(left, _LOOK),
            )
            bar.total = driver.total() or None
            if not bar.update(len(driver.done_tasks) - bar.n):  # it shows itself only now and then
                bar.refresh()
            if not changed and left is not None and left <= _LOOK:
                driver.wait(lambda: False, 0.0)
