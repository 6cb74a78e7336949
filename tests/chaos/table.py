"""What a chaos run has shown, as a table."""

from __future__ import annotations

import time
from collections.abc import Sequence

from .recovery import Fault

HEADINGS = ("at", "fault", "hit", "goes on", "whole", "repeated", "again", "resent", "why")


def table(faults: Sequence[Fault], started: float) -> str:
    """A row for each fault; times are seconds after its beginning, ``at`` after the start."""
    rows = [HEADINGS, *(row(fault, started) for fault in faults)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    )


def row(fault: Fault, started: float) -> tuple[str, ...]:
    """A fault in words."""
    why = "; ".join(f"{n}x {reason[:60]}" for reason, n in fault.why.most_common(2))
    kept = f", {fault.kept} of {fault.done} kept" if fault.done else ""
    return (
        time.strftime("%M:%S", time.gmtime(fault.began - started)),
        str(fault.kind),
        fault.hit[:48],
        seconds(fault.goes_on),
        seconds(fault.whole),
        f"{fault.repeated}{kept}",
        seconds(fault.again),
        str(fault.resent),
        why,
    )


def seconds(value: float | None) -> str:
    """So many seconds, in words."""
    return "" if value is None else f"{value:.1f} s"
