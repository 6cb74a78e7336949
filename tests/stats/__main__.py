"""Whether shots that share trajectories have the exact distribution, error by error.

    make stats    # some minutes on one core; to build/stats.json and build/stats.svg

For each kind of error, circuits of three to eight qubits are run with seeds far apart, all as users
would: ``AerSimulator(noise_sampling="shared")``. Four tests make a line of the table:

- *uniformity*: the chi-square p-values of all runs against exact distributions, which Aer's density
  matrix gives, are uniform (Kolmogorov-Smirnov);
- *all shots*: the chi-square statistic of the counts of all runs together;
- *total variation*: the distance of these counts from the exact distributions, against that of as
  many simulated samples of them, two-sided;
- *plain Aer*: the same counts against those of plain Aer, shot by shot, with other seeds
  (chi-square of two samples).

A line fails if one of its p-values is below 1 % divided by the number of lines (Bonferroni): each
column has a false alarm with a probability of at most 1 %, if seeds are chosen anew. They are
fixed: a program that passes does so always. One more test, at 1 %, is of the p-values of all runs
together.

And a wrong probability is found: shots of errors of which one is more probable by a twentieth must
fail the test of all shots, at 1 % divided by the number of these errors, and those of the right
probability must pass it.

Status 1 says that something failed.
"""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime
from itertools import chain
from pathlib import Path
from typing import Any

from aer_dask.versions import installed
from tests.noises import NOISES
from tests.stats.agreement import CIRCUITS, LEVEL, Row, uniformity
from tests.stats.picture import draw
from tests.stats.power import SCALED, SHOTS, WRONG, power

REPORT = Path("build/stats.json")
#: What the picture shows of one circuit.
SHOWN = "relaxation in Kraus form", "4 qubits"
#: How wide the columns are.
_WIDTHS = 36, 9, 6, 12, 11, 17, 11


def print_line(*cells: str) -> None:
    """A line of the table, as soon as it is known."""
    pairs = zip(cells, _WIDTHS, strict=False)
    first, *others = (f"{cell:<{w}}" if w == _WIDTHS[0] else f"{cell:>{w}}" for cell, w in pairs)
    print(first, *others, flush=True)


def print_row(row: Row, *, failed: bool) -> None:
    """One kind of error."""
    each, variation = row.tests, row.variation
    ratio = variation.found / variation.expected
    spread = variation.deviation / variation.expected
    print_line(
        row.kind, f"{row.shots:,}", str(len(row.p_values)), f"{each['uniformity']:.3f}",
        f"{each['all shots']:.3f}", f"{ratio:.3f} ± {spread:.3f}", f"{each['plain Aer']:.3f}",
        "  FAILED" if failed else "",
    )  # fmt: skip


def as_json(row: Row) -> dict[str, Any]:
    """All numbers of a row."""
    return {
        "shots": row.shots,
        "runs": len(row.p_values),
        "plain_shots": sum(int(sample.aer.sum()) for sample in row.samples.values()),
        "tests": row.tests,
        "total_variation": row.variation._asdict(),
        "p_values": row.p_values,
    }


def shown(row: Row, circuit: str) -> dict[str, Any]:
    """One circuit with one noise model, for the picture."""
    sample = row.samples[circuit]
    return {
        "kind": row.kind,
        "circuit": circuit,
        "distribution": sample.distribution.tolist(),
        "counts": sample.counts.tolist(),
        "aer": sample.aer.tolist(),
    }


def measure_rows(report: dict[str, Any]) -> list[str]:
    """The table; what failed in it."""
    level, failed = LEVEL / len(NOISES), []
    print_line("error", "shots", "runs", "uniformity", "all shots", "TV / expected", "plain Aer")
    for kind in NOISES:
        row = Row.of(kind)
        if min(row.tests.values()) < level:
            failed.append(kind)
        print_row(row, failed=kind in failed)
        report["rows"][kind] = as_json(row)
        if kind == SHOWN[0]:
            report["shown"] = shown(row, SHOWN[1])
    p_values = list(chain.from_iterable(row["p_values"] for row in report["rows"].values()))
    report["uniformity"] = uniformity(p_values)
    print(f"all {len(p_values)} runs together: uniformity {report['uniformity']:.3f}")
    return failed + ["all runs together"] * (report["uniformity"] < LEVEL)


def measure_power(report: dict[str, Any]) -> list[str]:
    """The errors of which a wrong probability must be found; those of which it is not."""
    level, failed = LEVEL / len(SCALED), []
    print_line(f"\n{WRONG - 1:.0%} more of one error", "shots", "", "wrong: p", "right: p")
    for kind in SCALED:
        found = power(kind)
        if not found.wrong < level <= found.right:
            failed.append(f"{WRONG - 1:.0%} more of {kind}")
        report["power"][kind] = {"shots": SHOTS, **found._asdict()}
        print_line(kind, f"{SHOTS:,}", "", f"{found.wrong:.0e}", f"{found.right:.3f}")
    return failed


def main() -> None:
    """Run, print, write down and draw."""
    started = time.perf_counter()
    report: dict[str, Any] = {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "versions": installed(),
        "circuits": {name: shots for name, (_, shots) in CIRCUITS.items()},
        "level": LEVEL,
        "rows": {},
        "power": {},
    }
    failed = measure_rows(report) + measure_power(report)
    report |= {"failed": failed, "seconds": time.perf_counter() - started}
    REPORT.parent.mkdir(exist_ok=True)
    REPORT.write_text(json.dumps(report, indent=1) + "\n")
    draw(report, REPORT.with_suffix(".svg"))
    print(f"{report['seconds']:.0f} seconds")
    if failed:
        raise SystemExit(f"Not as it should be: {', '.join(failed)}")


if __name__ == "__main__":
    main()
