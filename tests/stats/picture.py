"""That distributions agree, as a picture."""

from __future__ import annotations

from itertools import chain
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from scipy.stats import kstwo

EXACT, PLAIN, OURS = "#c9d1d9", "#d9a441", "#1f618d"


def draw(report: dict[str, Any], path: Path) -> None:
    """Write a picture of a report; of the same report the same file."""
    figure = Figure(figsize=(11, 4.4))
    left, right = figure.subplots(1, 2, width_ratios=[1.5, 1])
    compare(left, report["shown"])
    rank(right, report)
    for panel in (left, right):
        panel.spines[["top", "right"]].set_visible(False)
        panel.legend(frameon=False, fontsize=8)
    figure.tight_layout()
    with mpl.rc_context({"svg.hashsalt": "aer-dask", "svg.fonttype": "none"}):
        figure.savefig(path, metadata={"Date": None})


def compare(panel: Axes, shown: dict[str, Any]) -> None:
    """The probability of each value that occurs: exact, and of both simulators' counts."""
    exact = np.array(shown["distribution"])
    values = np.flatnonzero(exact > 1e-9)
    places = np.arange(len(values))
    panel.bar(places, exact[values], color=EXACT, label="exact (density matrix)")
    for key, name, colour, shift in (
        ("aer", "plain Aer", PLAIN, -0.18), ("counts", "shared trajectories", OURS, 0.18)
    ):  # fmt: skip
        counts = np.array(shown[key])
        found = counts[values] / counts.sum()
        error = 2 * np.sqrt(found * (1 - found) / counts.sum())
        panel.errorbar(
            places + shift, found, error, fmt="o", markersize=3, color=colour, capsize=2,
            label=f"{name}, {counts.sum():,} shots, with two standard errors",
        )  # fmt: skip
    width = (len(exact) - 1).bit_length()
    panel.set_xticks(places, [f"{value:0{width}b}" for value in values], rotation=90, fontsize=8)
    panel.set_xlabel("measured bits")
    panel.set_ylabel("probability")
    panel.set_title(f"{shown['kind']}, {shown['circuit']}")
    panel.set_xlim(-0.6, len(values) - 0.4)


def rank(panel: Axes, report: dict[str, Any]) -> None:
    """The p-values of all runs in order, and where they would be if all were right."""
    p_values = np.sort(
        list(chain.from_iterable(row["p_values"] for row in report["rows"].values()))
    )
    size, level = len(p_values), report["level"]
    uniform = (np.arange(size) + 0.5) / size
    distance = kstwo.isf(level, size)
    panel.fill_between(
        [0, 1], [-distance, 1 - distance], [distance, 1 + distance], color=EXACT, linewidth=0,
        label=f"{1 - level:.0%} band (Kolmogorov-Smirnov)",
    )  # fmt: skip
    panel.plot([0, 1], [0, 1], color="black", linewidth=0.8, label="uniform")
    panel.plot(uniform, p_values, color=OURS, linewidth=1.5, label=f"{size} runs, in order")
    panel.set_xlim(0, 1)
    panel.set_ylim(0, 1)
    panel.set_xlabel("part of all runs")
    panel.set_ylabel("p-value against the exact distribution")
    panel.set_title(f"{len(report['rows'])} kinds of error, all runs")
