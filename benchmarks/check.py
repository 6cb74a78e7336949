"""Whether ours has lost speed against plain Aer since the committed figures were measured.

    make bench-check                        # measures first
    make bench-check FROM=build/bench.json  # compares what was measured

Ratios are compared, not seconds, and only those of ours: the others tell of the machine. So a
slower machine passes, but one with other cores may not.
"""

from __future__ import annotations

import argparse
import json
from itertools import product
from pathlib import Path
from typing import Any

from benchmarks.contenders import OURS, TEMPERATURES

FIGURES = Path(__file__).with_name("figures.json")
#: A ratio that is smaller by more than this part is a loss, and one by less is noise.
TOLERANCE = 0.15

Report = dict[str, Any]


def shared_cases(measured: Report, committed: Report) -> list[str]:
    """The cases that both reports have."""
    return [name for name in measured["cases"] if name in committed["cases"]]


def losses(measured: Report, committed: Report) -> list[str]:
    """Each ratio of ours that is worse than the committed one, in words.

    Raises:
        ValueError: if the reports have no case in common.
        KeyError: if one of them lacks a contender that the other has.
    """
    names = shared_cases(measured, committed)
    if not names:
        raise ValueError("the two reports have no case in common")
    found = []
    for case, known, contender in product(names, TEMPERATURES, OURS):
        if known in committed["cases"][case]:
            before = committed["cases"][case][known][contender]["ratio"]
            now = measured["cases"][case][known][contender]["ratio"]
            if now < (1 - TOLERANCE) * before:
                found.append(f"{case}, {known}, {contender}: {now:.2f}x, and {before:.2f}x before")
    return found


def main() -> None:
    """Compare, print, and exit with status 1 where something was lost."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--from", dest="source", type=Path, default=Path("build/bench.json"))
    measured = json.loads(parser.parse_args().source.read_text())
    committed = json.loads(FIGURES.read_text())
    for report, what in ((measured, "measured"), (committed, "committed")):
        print(f"{what} on {report['date']}, {report['machine']}")
    found = losses(measured, committed)
    if found:
        print("\n".join(found))
        raise SystemExit(f"{len(found)} ratios are worse by more than {TOLERANCE:.0%}.")
    print(f"no ratio of {', '.join(shared_cases(measured, committed))} is worse")


if __name__ == "__main__":
    main()
