"""The bench's ratios as bars."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from benchmarks.contenders import BY_HAND, OURS_1, OURS_2, PLAIN_ALL, TEMPERATURES

COLOURS = {PLAIN_ALL: "#9aa5b1", BY_HAND: "#d9a441", OURS_1: "#7fb3d5", OURS_2: "#1f618d"}


def draw(report: dict[str, Any], path: Path) -> None:
    """Write a picture of a report; of the same report the same file."""
    cases = report["cases"]
    figure = Figure(figsize=(11, 1.5 + 0.7 * len(cases)))
    panels = figure.subplots(1, 2, sharex=True, sharey=True)
    for panel, known in zip(panels, TEMPERATURES, strict=True):
        bars(panel, cases, known)
    panels[0].invert_yaxis()
    figure.legend(*panels[0].get_legend_handles_labels(), loc="lower center", ncols=len(COLOURS))
    figure.tight_layout(rect=(0, 0.5 / figure.get_figheight(), 1, 1))
    with mpl.rc_context({"svg.hashsalt": "aer-dask", "svg.fonttype": "none"}):
        figure.savefig(path, metadata={"Date": None})


def bars(panel: Axes, cases: dict[str, Any], known: str) -> None:
    """A group of bars for each case."""
    height = 0.8 / len(COLOURS)
    for place, (name, colour) in enumerate(COLOURS.items()):
        rows = [row for row, case in enumerate(cases.values()) if known in case]
        ratios = [case[known][name]["ratio"] for case in cases.values() if known in case]
        drawn = panel.barh(
            [row + (place - 1.5) * height for row in rows], ratios, height, label=name, color=colour
        )
        panel.bar_label(drawn, fmt="%.1f", padding=2, fontsize=7)
    panel.set_yticks(range(len(cases)), [case["title"] for case in cases.values()])
    panel.axvline(1, color="black", linewidth=0.8)
    panel.set_title({"cold": "circuits never seen", "warm": "the same circuits again"}[known])
    panel.set_xlabel("times as fast as plain Aer on one thread")
    panel.spines[["top", "right"]].set_visible(False)
    panel.margins(x=0.08, y=0.01)
