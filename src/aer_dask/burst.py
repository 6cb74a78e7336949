"""Making very many objects at once, in a time that grows with their number and no faster."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager

#: So few new objects may as well be looked at.
_MANY = 100_000


@contextmanager
def burst() -> Iterator[None]:
    """Keep Python's search for cycles away while objects are made that are to stay.

    It looks at all objects there are, again each time that a quarter more have come; for 64,000
    circuits that was two fifths of the time. What is made here has no cycles.
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            # asked in this order: it takes long to count what a user has frozen
            if gc.get_count()[0] > _MANY and not gc.get_freeze_count():
                # to where the old objects are, without a look at any, which would come next
                gc.freeze()
                gc.unfreeze()
            gc.enable()
