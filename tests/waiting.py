"""Waiting for a condition, with a deadline that only a fault reaches."""

import time


def wait_until(condition, what, seconds=60.0, interval=0.02):
    """Return the condition's value as soon as it is true; look at it at intervals of seconds."""
    end = time.monotonic() + seconds
    while not (value := condition()):
        if time.monotonic() > end:
            raise AssertionError(f"waited {seconds:g} s in vain until {what}")
        time.sleep(interval)
    return value
