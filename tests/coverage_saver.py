"""A plugin for coverage: what a process has measured is written while it runs.

Most processes of a cluster end by SIGKILL, and coverage by itself writes at a process's end.
"""

import os
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


def _one_at_a_time(self: coverage.Coverage) -> None:
    """As coverage's, which is called where a process ends, too, and closes files under this."""
    with _saving:
        _save_all(self)


_saving = threading.RLock()  # a handler of SIGTERM may come in between
# no copy of a process begins in the middle of it
os.register_at_fork(
    before=_saving.acquire, after_in_parent=_saving.release, after_in_child=_saving.release
)
_save_all, coverage.Coverage.save = coverage.Coverage.save, _one_at_a_time
