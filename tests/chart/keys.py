"""The keys of the chart's values: those the schema knows, and those the templates read."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import yaml

from .rendering import CHART

SCHEMA = yaml.safe_load((CHART / "values.schema.yaml").read_text())["properties"]
ROLES = ("scheduler", "worker", "jupyter")
ROLE = SCHEMA["pod"]["properties"] | {
    key: value for role in ROLES for key, value in SCHEMA[role]["properties"].items()
}


def documented_keys() -> Iterator[str]:
    """The dotted path of every key that has a default and a meaning of its own.

    Not the keys of `pod` again in each role, and not `global`, which is Helm's.
    """
    for key, schema in SCHEMA.items():
        if key != "global":
            skip = SCHEMA["pod"]["properties"] if key in ROLES else {}
            yield from _leaves(key, schema, skip)


def _leaves(path: str, schema: dict[str, Any], skip: dict[str, Any]) -> Iterator[str]:
    if path.startswith("pod.") or "properties" not in schema or path.endswith("resources"):
        yield path
        return
    for key, child in schema["properties"].items():
        if key not in skip:
            yield from _leaves(f"{path}.{key}", child, {})


def unknown_reads(template: str) -> list[str]:
    """The values that a template reads and the schema does not have.

    Follows `with`, and variables set from a path, as far as they are plain paths; `.v` and what
    "role" templates return are a role's values.
    """
    contexts: list[str | None] = [None]
    variables: dict[str, str | None] = {}
    unknown = []
    actions = re.findall(r"{{-?\s*(/\*.*?\*/|.*?)\s*-?}}", template, re.DOTALL)
    for action in (a for a in actions if not a.startswith("/*")):
        code = re.sub(r'"[^"]*"', lambda s: s[0] if ".role" in s[0] else '""', action)
        paths = _paths(code, contexts[-1], variables)
        unknown += [path for path in paths if not _known(path)]
        word = code.split(" ", 1)[0]
        if word == "end":
            contexts.pop()
        elif word in ("if", "with", "range", "define"):
            contexts.append(_context(code, paths, contexts[-1], variables))
        elif assigned := re.match(r"\$(\w+) :?= ", code):
            role = ".role" in code and "fromYaml" in code
            variables[assigned[1]] = "ROLE" if role else next(iter(paths), None)
    return unknown


def _context(
    code: str, paths: list[str], current: str | None, variables: dict[str, str | None]
) -> str | None:
    """What `.` is in the block that an action opens; None where it is no part of the values."""
    if code.startswith("if "):
        return current
    if bare := re.fullmatch(r"with \$(\w+)", code):
        return variables.get(bare[1])
    return paths[0] if code.startswith("with ") and len(paths) == 1 else None


def _paths(code: str, context: str | None, variables: dict[str, str | None]) -> list[str]:
    """The paths into the values that an action reads: jupyter.auth.token, ROLE.resources."""
    found = []
    for variable, rest in re.findall(r"(?<![\w.)])(\$\w*)?((?:\.\w+)+|\.(?!\w))", code):
        path = rest.strip(".")
        inner = re.sub(r"^(root\.)?Values\.?|^v\b\.?", "", path)
        if re.match(r"(root\.)?Values\b", path):
            found.append(inner)
        elif re.match(r"v\b", path):
            found.append(f"ROLE.{inner}".strip("."))
        elif variable and variable != "$" and variables.get(variable[1:]):
            found.append(f"{variables[variable[1:]]}.{path}".strip("."))
        elif not variable and context:
            found.append(f"{context}.{path}".strip("."))
    return found


def _known(path: str) -> bool:
    """Whether the schema has the path, or leaves what is there open."""
    properties: dict[str, Any] | None = {"ROLE": {"properties": ROLE}, **SCHEMA}
    for key in filter(None, path.split(".")):
        if properties is None:
            return True
        if key not in properties:
            return False
        properties = properties[key].get("properties")
    return True
