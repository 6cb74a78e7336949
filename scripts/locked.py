"""Print part of requirements.lock: what one set of requirements needs, hashes included.

    python3 scripts/locked.py uv             # one tool and what it needs
    python3 scripts/locked.py . '.[cluster]' # the package with an extra, as the images install it

The lock file holds every package of every purpose at one version, so whatever installs a part of
it agrees with everything else. It uses only the standard library: it runs before anything is
installed.
"""

from __future__ import annotations

import re
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def normalised(name: str) -> str:
    """The name as package indexes compare it (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def requirement_name(requirement: str) -> str:
    """The package a requirement string is about: 'qiskit[x]>=2' gives 'qiskit'."""
    return normalised(re.split(r"[\[<>=!~ ;]", requirement, maxsplit=1)[0])


def read_lock(text: str) -> list[tuple[str, str, set[str]]]:
    """Each entry of the lock as (name, its lines, the names of the packages that require it)."""
    entries = []
    for block in re.split(r"\n(?=[A-Za-z0-9])", text):
        if block.startswith("#"):
            continue
        parents = set(re.findall(r"^    #(?: via)?\s+([A-Za-z0-9._-]+)", block, re.MULTILINE))
        lines = "\n".join(line for line in block.splitlines() if not line.startswith("    #"))
        entries.append((requirement_name(block), lines, {normalised(p) for p in parents - {"via"}}))
    return entries


def roots(wanted: str, project: dict) -> set[str]:
    """The direct requirements a command-line word stands for."""
    if not wanted.startswith("."):
        return {requirement_name(wanted)}
    names = {requirement_name(r) for r in project["dependencies"]}
    for extra in re.findall(r"[\w-]+", wanted):
        for requirement in project["optional-dependencies"][extra]:
            if requirement_name(requirement) == project["name"]:
                names |= roots("." + requirement[len(project["name"]) :].split(">")[0], project)
            else:
                names.add(requirement_name(requirement))
    return names


def project() -> dict:
    """What pyproject.toml says of the package."""
    return tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def part(words: list[str]) -> list[tuple[str, str, set[str]]]:
    """The locked entries that words of the command line stand for."""
    entries = read_lock((ROOT / "requirements.lock").read_text())
    needed = set().union(*(roots(word, project()) for word in words))
    unknown = needed - {name for name, _, _ in entries}
    if unknown:
        raise SystemExit(f"requirements.lock has no {', '.join(sorted(unknown))}: run `make lock`.")
    while more := {name for name, _, parents in entries if parents & needed} - needed:
        needed |= more
    return [entry for entry in entries if entry[0] in needed]


if __name__ == "__main__":
    if len(sys.argv) == 1:
        raise SystemExit(__doc__)
    print("\n".join(lines for _, lines, _ in part(sys.argv[1:])))
