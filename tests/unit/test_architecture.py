"""docs/architecture.md is the code: every module and folder is there, and arrows are imports."""

import ast
import re
from pathlib import Path

import aer_dask

PACKAGE = Path(aer_dask.__file__).parent
ROOT = PACKAGE.parents[1]
PAGE = (ROOT / "docs" / "architecture.md").read_text()
MODULES = {
    ".".join(path.relative_to(PACKAGE).with_suffix("").parts): path
    for path in PACKAGE.rglob("*.py")
    if path.name != "__init__.py"
}
#: Not drawn, because anybody may import them.
COMMON = {"errors", "versions", "burst"}


def room(module):
    return module.split(".")[0]


def imports(module):
    """The modules of the package that a module imports, at its top or later."""
    package = ("aer_dask." + module).split(".")[:-1]
    for node in ast.walk(ast.parse(MODULES[module].read_text())):
        if isinstance(node, ast.ImportFrom) and node.level:
            base = [*package[: len(package) - node.level + 1], *(node.module or "").split(".")]
            for name in [[], *([alias.name] for alias in node.names)]:
                target = ".".join(filter(None, [*base, *name])).removeprefix("aer_dask.")
                if target in MODULES:
                    yield target


def test_every_module_and_folder_is_on_the_page():
    named = set(re.findall(r"`([\w/]+?)/?`", PAGE))
    assert {part for module in MODULES for part in module.split(".")} - named == set()
    folders = {
        path.parent.relative_to(ROOT).as_posix()
        for top in ("benchmarks", "charts", "images", "notebooks", "scripts", "tests/*", "values")
        for path in ROOT.glob(f"{top}/*.*")
        if not path.parent.name.startswith("_")
    }
    assert folders - named == set()


def test_what_the_page_names_in_a_room_is_there():
    table = PAGE.split("## The rooms")[1].split("## ")[0]
    current = ""
    for row in re.findall(r"^\| ([^|]*) \| ([^|]*) \|", table, re.MULTILINE):
        current = row[0].strip("` ") or current
        for module in re.findall(r"`(\w+)`", row[1]):
            assert {f"{current}.{module}", module} & set(MODULES), f"{current}: {module}"


def test_the_arrows_are_the_imports_between_rooms():
    drawn = set(re.findall(r"^ +(\w+) --> (\w+)$", PAGE, re.MULTILINE))
    imported = {(room(module), room(other)) for module in MODULES for other in imports(module)}
    assert drawn == {
        (here, there) for here, there in imported if here != there and there not in COMMON
    }


def test_imports_run_one_way():
    graph = {module: set(imports(module)) - {module} for module in MODULES}
    while free := [module for module, needs in graph.items() if not needs]:
        for module in free:
            del graph[module]
        for needs in graph.values():
            needs.difference_update(free)
    assert graph == {}, "these import each other"
