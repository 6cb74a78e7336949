"""CHANGELOG.md: the section of a version, and the heading that makes one of what is unreleased.

python scripts/changelog.py 0.2.0    # print the section, as the notes of the release
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

FILE = Path(__file__).resolve().parent.parent / "CHANGELOG.md"
UNRELEASED = "Unreleased"


def section(text: str, name: str) -> str:
    """What is under the heading of a version, or of what is unreleased; empty without one."""
    found = re.search(rf"^## {re.escape(name)}( - [^\n]*)?\n(.*?)(?=^## |\Z)", text, re.M | re.S)
    return found[2].strip() if found else ""


def entries(body: str) -> list[tuple[str, str]]:
    """The entries of a section, each with its kind: added, changed, fixed, security, ..."""
    found = []
    for part in re.split(r"^### ", body, flags=re.M)[1:]:
        kind, _, lines = part.partition("\n")
        for entry in re.split(r"^- ", lines, flags=re.M)[1:]:
            found.append((kind.strip().lower(), " ".join(entry.split())))
    return found


def released(text: str, version: str, day: str) -> str:
    """The text in which all that was unreleased is a version's, of a day as 2026-01-31."""
    heading = f"## {UNRELEASED}\n"
    return text.replace(heading, f"{heading}\n## {version} - {day}\n", 1)


def main() -> None:
    """Print the section of the version that the command line names."""
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    body = section(FILE.read_text(), sys.argv[1])
    if not body:
        sys.exit(f"CHANGELOG.md has no section {sys.argv[1]}.")
    print(body)


if __name__ == "__main__":
    main()
