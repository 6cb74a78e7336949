"""Shots that share trajectories beside what plain Aer does by itself: part of ``make bench``.

Every contender simulates the same circuit with the same noise model, on one thread, or on two
workers of one thread each. Bits differ, so distributions are compared: the numbers of ones, of ours
and of plain Aer, by a chi-square test.
"""

from __future__ import annotations

import os
import statistics
from typing import Any

import numpy as np
from distributed import Client
from qiskit.result import Result
from scipy.stats import chi2_contingency

from benchmarks.cases import with_phase
from benchmarks.contenders import PLAIN, Simulation, ours, plain
from benchmarks.noise_cases import NoiseCase
from benchmarks.timing import PHASES, timed

SHARED_1, SHARED_2, AUTO_1 = "shared, 1 worker", "shared, 2 workers", "auto, 1 worker"
#: Below this the distributions differ.
LEVEL = 1e-6
#: Where plain Aer takes longer than this, it has one turn.
LONG = 10.0
_FEW = 10


def noise_contenders(client: Client) -> dict[str, tuple[Simulation, dict[str, Any]]]:
    """All of them, with the options of their runs."""
    one = client.get_executor(workers=[next(iter(client.scheduler_info(n_workers=-1)["workers"]))])
    return {
        PLAIN: (plain(1), {}),
        SHARED_1: (ours(one), {"noise_sampling": "shared"}),
        AUTO_1: (ours(one), {"noise_sampling": "auto"}),
        SHARED_2: (ours(client), {"noise_sampling": "shared"}),
    }


def measure_noise(case: NoiseCase, client: Client, repeats: int) -> dict[str, Any]:
    """All rounds of a case."""
    load, members = os.getloadavg(), noise_contenders(client)
    circuit, noise = case.circuit(), case.noise()
    seconds: dict[str, list[float]] = {name: [] for name in members}
    ones: dict[str, np.ndarray] = {}
    ways: dict[str, str] = {}
    for _ in range(repeats):
        for name, (contender, options) in members.items():
            if name == PLAIN and any(spent > LONG for spent in seconds[name]):
                continue
            known = with_phase(circuit, next(PHASES))
            given = {**case.options, **options, "noise_model": noise, "shots": case.shots}
            spent, result = timed(lambda on: on.run([known], **given), contender)  # noqa: B023
            seconds[name].append(spent)
            ones[name] = numbers_of_ones(result)  # with the seed of every round: no more shots
            ways[name] = way(result)
    medians = {name: statistics.median(spent) for name, spent in seconds.items()}
    return {
        "title": case.title,
        "load": load,
        "p_values": {name: p_value(ones[name], ones[PLAIN]) for name in members if name != PLAIN},
        "contenders": {
            name: {
                "seconds": seconds[name],
                "median": medians[name],
                "ratio": medians[PLAIN] / medians[name],
                "way": ways[name],
            }
            for name in members
        },
    }


def numbers_of_ones(result: Result) -> np.ndarray:
    """How many shots had how many ones."""
    counts = result.get_counts()
    width = len(next(iter(counts)))
    return np.bincount(
        [bits.count("1") for bits in counts], weights=list(counts.values()), minlength=width + 1
    )


def p_value(some: np.ndarray, others: np.ndarray) -> float:
    """How likely it is that two samples of one distribution differ at least as much."""
    enough = some + others >= _FEW
    table = [np.append(values[enough], values[~enough].sum()) for values in (some, others)]
    kept = np.array(table)[:, np.sum(table, axis=0) > 0]
    return float(chi2_contingency(kept).pvalue) if kept.shape[1] > 1 else 1.0


def way(result: Result) -> str:
    """How the circuit was simulated."""
    metadata = result.results[0].metadata
    return str(metadata.get("noise_sampling", metadata["method"]))


def print_noise_case(figures: dict[str, Any]) -> None:
    """A line for each contender."""
    least = min(figures["p_values"].values())
    agree = "distributions agree" if least > LEVEL else "DISTRIBUTIONS DIFFER"
    print(f"\n{figures['title']}: {agree} (p >= {least:.2g}); load {figures['load'][0]:.1f}")
    for name, each in figures["contenders"].items():
        low, high = min(each["seconds"]), max(each["seconds"])
        print(
            f"  {name:<20} {each['median']:8.3f} s ({low:.3f} to {high:.3f}) "
            f"{each['ratio']:6.2f}x  {each['way']}",
            flush=True,
        )
