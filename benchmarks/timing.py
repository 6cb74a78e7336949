"""One timed turn, and phases that make circuits new."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable
from itertools import count
from typing import Any

#: Global phases, each given once: far too small to matter, and different in some bit.
PHASES = (1e-9 * number for number in count(1))
#: Seconds before each turn, in which the cluster gives up what the turn before it has left there.
PAUSE = 0.5


def timed(work: Callable[[Any], Any], contender: Any) -> tuple[float, Any]:
    """Seconds of the work, and what it gave."""
    gc.collect()
    time.sleep(PAUSE)
    gc.freeze()  # what earlier turns have left alive shall not slow down this one's collections
    started = time.perf_counter()
    value = work(contender)
    spent = time.perf_counter() - started
    gc.unfreeze()
    return spent, value
