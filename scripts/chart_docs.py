"""Make what is derived of the chart: values.schema.json, and the table of values in README.md.

python scripts/chart_docs.py            # write both
python scripts/chart_docs.py --check    # exit 1 with a sentence if either is out of date
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

CHART = Path(__file__).resolve().parent.parent / "charts" / "aer-dask"
BEGIN, END = "<!-- values: made by `make chart-docs` -->", "<!-- end of values -->"


@dataclass
class Value:
    """A line `key:` of values.yaml: its dotted path and the `# --` comment above it, if any."""

    path: str
    description: str


def described(text: str) -> Iterator[Value]:
    """Every key of values.yaml, in its order, children after their parents."""
    parents: list[tuple[int, str]] = []
    comment: list[str] = []
    for line in text.splitlines():
        stripped = line.strip()
        if stripped.startswith("# -- "):
            comment = [stripped[5:]]
        elif stripped.startswith("# ") and comment:
            comment.append(stripped[2:])
        elif match := re.match(r"( *)([A-Za-z][\w.-]*):( |$)", line):
            indent = len(match[1])
            parents = [(depth, key) for depth, key in parents if depth < indent]
            parents.append((indent, match[2]))
            yield Value(".".join(key for _, key in parents), " ".join(comment))
            comment = []
        else:
            comment = []


def default(values: dict[str, Any], path: str) -> Any:  # noqa: ANN401
    """What values.yaml gives for a dotted path."""
    node: Any = values
    for key in path.split("."):
        node = node[key]
    return node


def table(text: str) -> str:
    """The described values as a Markdown table."""
    values = yaml.safe_load(text)
    rows = ["| Value | Default | What it does |", "|---|---|---|"]
    for value in described(text):
        if value.description:
            shown = json.dumps(default(values, value.path))
            what = value.description.replace("|", "\\|")
            rows.append(f"| `{value.path}` | `{shown}` | {what} |")
    return "\n".join(rows)


def readme(text: str, values: str) -> str:
    """README.md with its table made anew."""
    before, rest = text.split(BEGIN)
    return f"{before}{BEGIN}\n{table(values)}\n{rest[rest.index(END) :]}"


def derived(chart: Path = CHART) -> dict[Path, str]:
    """The derived files and what they should hold."""
    schema = yaml.safe_load((chart / "values.schema.yaml").read_text())
    values = (chart / "values.yaml").read_text()
    page = chart / "README.md"
    return {
        chart / "values.schema.json": json.dumps(schema, indent=1) + "\n",
        page: readme(page.read_text(), values),
    }


def main() -> None:
    """Write or check the derived files."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing")
    check = parser.parse_args().check
    for path, text in derived().items():
        if path.exists() and path.read_text() == text:
            continue
        if check:
            sys.exit(f"{path.name} is out of date; run make chart-docs and commit the result.")
        path.write_text(text)


if __name__ == "__main__":
    main()
