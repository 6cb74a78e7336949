"""A plugin for coverage: what a process has measured is written while it runs.

Most processes of a cluster end by SIGKILL, and coverage by itself writes at a process's end.
"""

import threading
import time

import coverage

#: Seconds of a process that may be lost.
INTERVAL = 0.2


def coverage_init(_registry, _options) -> None:
    """Called by coverage in each process that it measures."""
    threading.Thread(target=_save, name="coverage", daemon=True).start()


def _save() -> None:
    while True:
        time.sleep(INTERVAL)
        if measuring := coverage.Coverage.current():
            measuring.save()
