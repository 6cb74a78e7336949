"""Plain Aer, a client.map written by hand, and ours on one worker and on two, side by side.

    make bench                          # every case, medians of 3, to build/bench.json and .svg
    make bench CASES="qv4 ghz" REPEATS=5
    make bench CASES=ghz_growth         # many circuits against very many, ours alone
    make bench CASES=noise_qv12         # shots that share trajectories (benchmarks.noise_bench)

In each round every contender has one turn, so that a noisy machine is noisy for all of them. A turn
is timed twice: *cold* with circuits that nobody has seen, and *warm* with the same circuits again.
Ratios are to plain Aer on one thread. What ours gives is compared with what plain Aer gives for the
same circuits in the same round; a difference ends the command with status 1, when all is written.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import statistics
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from distributed import Client
from qiskit import QuantumCircuit
from qiskit.result import Result

from aer_dask import EmbeddedCluster
from aer_dask.testing import differences
from aer_dask.versions import installed
from benchmarks.cases import CASES, Case, many_ghz
from benchmarks.contenders import (
    BY_HAND,
    OURS,
    OURS_1,
    OURS_2,
    PLAIN,
    PLAIN_ALL,
    TEMPERATURES,
    Contender,
    contenders,
    ours,
)
from benchmarks.noise_bench import LEVEL, measure_noise, print_noise_case
from benchmarks.noise_cases import NOISE_CASES
from benchmarks.picture import draw
from benchmarks.timing import PHASES, timed

REPORT = Path("build/bench.json")
GROWTH = "ghz_growth"
#: Those of one group are given circuits of the same phase: ours, and whoever it is compared with.
#: Ours on two workers must not meet the circuits that ours on one of them has seen.
GROUPS = {PLAIN: 0, PLAIN_ALL: 1, BY_HAND: 0, OURS_1: 0, OURS_2: 1}
ALL = [*CASES, *NOISE_CASES]
#: Of each temperature and contender, the seconds of every round.
Seconds = dict[str, dict[str, list[float]]]


def unlike(found: Any, expected: Any) -> list[str]:
    """Where two outcomes of the same work differ, in words."""
    if isinstance(expected, Result):
        failed = [] if expected.success else [f"plain Aer failed: {expected.status}"]
        return failed + differences(found, expected)
    if len(found) != len(expected):
        return [f"{len(found)} values are not {len(expected)}"]
    pairs = enumerate(zip(found, expected, strict=True))
    return [f"value {index} differs" for index, (a, b) in pairs if not np.array_equal(a, b)]


def start_processes(members: Mapping[str, Contender]) -> None:
    """Have every process import what it needs before anything is measured."""
    circuit = QuantumCircuit(1)
    circuit.measure_all()
    for contender in members.values():
        contender.run([circuit] * 16, shots=10, max_job_size=1)


def one_round(case: Case, members: dict[str, Contender], seconds: Seconds) -> list[str]:
    """A turn of each contender; where ours differs from plain Aer."""
    phases = [next(PHASES), next(PHASES)]
    expected: dict[int, Any] = {}
    found = []
    for name, contender in members.items():
        group = GROUPS[name]
        work = case.prepare(phases[group])
        for known, spent in seconds.items():
            elapsed, outcome = timed(work, contender)
            spent.setdefault(name, []).append(elapsed)
            if name in OURS:
                found += [f"{name}, {known}: {text}" for text in unlike(outcome, expected[group])]
            elif group not in expected:
                expected[group] = outcome
    return found


def summary(seconds: dict[str, list[float]]) -> dict[str, Any]:
    """Of each contender the seconds of every round, their median, and its ratio to plain Aer's."""
    medians = {name: statistics.median(each) for name, each in seconds.items()}
    return {
        name: {"seconds": each, "median": medians[name], "ratio": medians[PLAIN] / medians[name]}
        for name, each in seconds.items()
    }


def measure(case: Case, client: Client, repeats: int) -> dict[str, Any]:
    """All rounds of a case."""
    load = os.getloadavg()
    members = contenders(client)
    start_processes(members)
    seconds: Seconds = {known: {} for known in TEMPERATURES if case.warm or known == "cold"}
    found: list[str] = []
    for _ in range(min(repeats, case.most_rounds)):
        found += one_round(case, members, seconds)
    return {
        "title": case.title,
        "load": load,
        "bits_equal": not found,
        "differences": found[:10],
        **{known: summary(spent) for known, spent in seconds.items()},
    }


def measure_growth(client: Client, repeats: int) -> dict[str, Any]:
    """Seconds per circuit of ours on two workers, for many circuits and for very many."""
    load, members = os.getloadavg(), {OURS_2: ours(client)}
    start_processes(members)
    each: dict[int, list[float]] = {16_000: [], 64_000: []}
    for _ in range(repeats):
        for number, spent in each.items():
            elapsed, _ = timed(many_ghz(next(PHASES), number), members[OURS_2])
            spent.append(elapsed / number)
    few, many = map(statistics.median, each.values())
    return {"load": load, "seconds_per_circuit": each, "growth": many / few}


def machine() -> dict[str, Any]:
    """What the figures depend on, besides versions."""
    found = re.search(r"^model name\s*: (.*)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    return {"processor": found[1] if found else platform.machine(), "cores": os.cpu_count()}


def cell(known: str, figures: dict[str, Any]) -> str:
    """Median, spread and ratio of one contender."""
    low, high = min(figures["seconds"]), max(figures["seconds"])
    median, ratio = figures["median"], figures["ratio"]
    return f"{known} {median:7.3f} s ({low:.3f} to {high:.3f}) {ratio:5.2f}x"


def print_case(figures: dict[str, Any]) -> None:
    """A line for each contender, and the first differences."""
    bits = "bits equal" if figures["bits_equal"] else "BITS DIFFER"
    print(f"\n{figures['title']}: {bits}; load {figures['load'][0]:.1f}")
    for name in figures["cold"]:
        cells = [cell(known, figures[known][name]) for known in TEMPERATURES if known in figures]
        print(f"  {name:<20} {'   '.join(cells)}")
    for text in figures["differences"][:3]:
        print(f"  {text:.200}")
    sys.stdout.flush()


def main() -> None:
    """Measure, print, and write down."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--cases", nargs="+", default=ALL, choices=[*ALL, GROWTH])
    options = parser.parse_args()
    report: dict[str, Any] = {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": machine(),
        "versions": {"python": platform.python_version(), **installed()},
        "repeats": options.repeats,
        "cases": {},
        "noise": {},
    }
    REPORT.parent.mkdir(exist_ok=True)
    with EmbeddedCluster(workers=2, threads=1) as cluster, Client(cluster) as client:
        for name in options.cases:
            if name == GROWTH:
                report[GROWTH] = measure_growth(client, options.repeats)
                print(f"\n64,000 circuits against 16,000, each: {report[GROWTH]['growth']:.2f}")
            elif name in NOISE_CASES:
                report["noise"][name] = measure_noise(NOISE_CASES[name], client, options.repeats)
                print_noise_case(report["noise"][name])
            else:
                report["cases"][name] = measure(CASES[name], client, options.repeats)
                print_case(report["cases"][name])
            REPORT.write_text(json.dumps(report, indent=1) + "\n")
    if report["cases"]:
        draw(report, REPORT.with_suffix(".svg"))
    if wrong := [name for name, each in report["cases"].items() if not each["bits_equal"]]:
        raise SystemExit(f"Bits differ from plain Aer's: {', '.join(wrong)}")
    noise = report["noise"].items()
    if wrong := [name for name, each in noise if min(each["p_values"].values()) < LEVEL]:
        raise SystemExit(f"Distributions differ from plain Aer's: {', '.join(wrong)}")


if __name__ == "__main__":
    main()
