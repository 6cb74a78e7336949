"""The sentences that the package raises and logs, and with which the chart refuses values.

They are read from the sources, for the site's page of errors and for the test that each has a cure.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "src" / "aer_dask"
VALIDATION = ROOT / "charts" / "aer-dask" / "templates" / "_validate.tpl"
#: What stands for a value.
GAP = "…"
#: Not shown to users by themselves, but as a part of other sentences or not at all.
INTERNAL = {
    "AttributeError", "CancelledError", "FormatError", "OptionsMissingError", "TimeoutError",
}  # fmt: skip
#: Under which name users catch an error that is raised under another one.
CAUGHT_AS = {"_MissingError": "ClusterError", "OutOfMemoryError": "WorkerLostError"}
#: How a sentence says what to do: by a verb that begins a clause, or by the rule that was broken.
_CURE = re.compile(
    rf"(^|[.;:,?{GAP}] |\bor |\band )"
    "(add|ask|assign|call|cancel|check|enable|give|install|leave|look|make|mend|please|resume|run|say"
    r"|see|set|swap|take|use|`kubectl|`make)\b"
    r"|must (be|begin|fit|not)|may be|cannot be fewer|needs |should be |wants |pip install"
    r"|scale\(0\)|has two slashes",
    re.IGNORECASE,
)


class Sentence(NamedTuple):
    """An error's class (``warning`` for what is logged), and what it says."""

    kind: str
    text: str


def said() -> list[Sentence]:
    """What the package raises and logs, in the order of its modules; each once."""
    found = [each for path in sorted(PACKAGE.rglob("*.py")) for each in _said_in(path)]
    return list(dict.fromkeys(found))


def refused() -> list[str]:
    """What the chart says of values that cannot work."""
    text = VALIDATION.read_text()
    sentences = re.findall(r"^- (.+)$", text, re.MULTILINE)
    sentences += re.findall(r'fail "[^"]*\\n- ([^"]+?)\\n"', text)
    return [re.sub(r"\{\{.*?\}\}", GAP, sentence) for sentence in sentences]


def names_its_cure(sentence: str) -> bool:
    """Whether a sentence says itself what to do."""
    return bool(_CURE.search(sentence))


def is_told(sentence: str, page: str) -> bool:
    """Whether a page has the longest part of a sentence that is always the same."""
    return _longest(sentence) in re.sub(r"\s+", " ", page)


def _longest(sentence: str) -> str:
    parts = re.split(rf"{GAP}|[.;:] ", sentence)
    return max((part.strip(" .,;:()'\"`\n") for part in parts), key=len)


def _said_in(path: Path) -> Iterator[Sentence]:
    tree = ast.parse(path.read_text())
    constants = {
        target.id: node.value
        for node in tree.body
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and node.args:
            kind = _kind(node.func)
            text = _text(node.args[0], constants)
            if kind == "warning":
                text = re.sub(r"%[\d.]*[a-z]", GAP, text)
            if kind and _longest(text):
                yield Sentence(kind, text)


def _kind(called: ast.expr) -> str:
    """The class of an error that is made, ``warning`` for a log's, or nothing."""
    name = getattr(called, "id", getattr(called, "attr", ""))
    name = CAUGHT_AS.get(name, name)
    if name in INTERNAL or not (name.endswith("Error") or name == "warning"):
        return ""
    return name


def _text(node: ast.expr, constants: dict[str, ast.expr]) -> str:
    """A string as the source has it, with gaps for values that are not known."""
    match node:
        case ast.Constant(str(text)):
            return text
        case ast.JoinedStr(parts):
            return re.sub(f"{GAP}+", GAP, "".join(_text(part, constants) for part in parts))
        case ast.FormattedValue(ast.Name(name)) if name in constants:
            return _text(constants[name], constants)
    return GAP
