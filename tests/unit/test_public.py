"""What is public is importable, documented, and what the documents name exists."""

import argparse
import ast
import inspect
import re
from pathlib import Path

import pytest

import aer_dask
from aer_dask.__main__ import _parser
from aer_dask.clusters.settings import DASK_SETTINGS
from aer_dask.worker.metrics import Tally
from scripts import sentences

ROOT = Path(aer_dask.__file__).parents[2]
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
PAGES = [*DOCUMENTS, *sorted({*ROOT.glob("*.md")} - {*DOCUMENTS})]
TEXT = "\n".join(document.read_text() for document in DOCUMENTS)


def test_all_names_are_sorted_importable_and_have_docstrings():
    assert list(aer_dask._HOMES) == sorted([*aer_dask.__all__, "KubeCluster"])
    assert all(getattr(aer_dask, name).__doc__ for name in aer_dask._HOMES)


def page(name):
    return (ROOT / "docs" / name).read_text()


def test_the_reference_has_every_public_name_once():
    made = re.findall(r"^\.\. auto\w+:: aer_dask\.(\w+)$", page("api.md") + page("errors.md"), re.M)
    assert sorted(made) == sorted(aer_dask._HOMES)


def test_every_parameter_is_in_a_docstring():
    # made by other objects, and not by users
    by_others = {("AerJobSet", "__init__"), ("StoredJob", "__init__"), ("Plan", "with_bytes")}
    for name in aer_dask._HOMES:
        thing = getattr(aer_dask, name)
        for called, member in vars(thing).items():
            function = getattr(member, "__func__", member)
            own = inspect.isfunction(function) and (called == "__init__" or called[0] != "_")
            if not own or (name, called) in by_others or issubclass(thing, Exception):
                continue
            text = thing.__doc__ if called == "__init__" else function.__doc__
            for parameter in inspect.signature(function).parameters.keys() - {"self", "cls"}:
                assert re.search(rf"\b{parameter}\b", text), f"{name}.{called}: {parameter}"


def test_every_error_names_its_cure_or_the_page_of_errors_does():
    said, text = sentences.said(), page("errors.md")
    assert len(said) > 100
    for sentence in said:
        assert sentences.names_its_cure(sentence.text) or sentences.is_told(sentence.text, text), (
            f"docs/errors.md should say what to do about: {sentence}"
        )
    listed = re.findall(r"^```{said} (\w+)$", text, re.MULTILINE)
    assert {kind for kind, each in said if not sentences.is_told(each, text)} <= set(listed)


def test_every_refusal_of_the_chart_names_its_cure():
    assert len(sentences.refused()) > 20
    assert [each for each in sentences.refused() if not sentences.names_its_cure(each)] == []


def test_every_word_of_the_command_line_is_shown():
    commands = next(a for a in _parser()._actions if isinstance(a, argparse._SubParsersAction))
    shown = set(re.findall(r"^aer-dask(?: --\w+ \w+)* (\w[\w-]*)", TEXT, re.MULTILINE))
    assert commands.choices.keys() == shown


def test_every_metric_is_documented():
    pytest.importorskip("prometheus_client")
    counted = {f"{family.name}_total" for family in Tally().collect()}
    assert set(re.findall(r"^\| `(\w+)", page("metrics.md"), re.MULTILINE)) == counted


def test_every_variable_that_is_read_or_set_is_among_the_settings():
    sources = [*(ROOT / "src").rglob("*.py"), ROOT / "images/jupyter_server_config.py",
               *(ROOT / "charts/aer-dask/templates").rglob("*.*")]  # fmt: skip
    source = "\n".join(file.read_text() for file in sources)
    read = set(re.findall(r"\b(?:DASK|AER_DASK|OMP)_+[A-Z_]+[A-Z]\b", source)) - {"DASK_SETTINGS"}
    read |= set(re.findall(r"environ(?:\.get\(|\[)\"(\w+)\"", source))
    assert len(read) > 15
    assert [name for name in read if f"`{name}`" not in page("settings.md")] == []


def test_the_settings_of_dask_have_these_values():
    rows = dict(re.findall(r"^\| `(DASK_\w+)` \| ([^|]+?) \|", page("settings.md"), re.MULTILINE))
    assert {name: rows[name] for name in DASK_SETTINGS} == DASK_SETTINGS


def test_every_make_target_is_in_the_documents():
    targets = re.findall(r"^([a-z-]+):.*## ", (ROOT / "Makefile").read_text(), re.MULTILINE)
    text = "".join(page.read_text() for page in PAGES)
    named = {word for line in re.findall(r"make ([a-z -]+)", text) for word in line.split()}
    assert set(targets) - named == {"help"}  # which is `make` alone


def test_every_test_that_the_documents_cite_exists():
    source = "\n".join(file.read_text() for file in (ROOT / "tests").rglob("test_*.py"))
    cited = set(re.findall(r"`(test_\w+)`", TEXT))
    assert len(cited) > 15
    assert [name for name in cited if f"def {name}(" not in source] == []
    files = set(re.findall(r"`(tests/[\w/]+\.py)`", TEXT))
    assert [file for file in files if not (ROOT / file).exists()] == []


def test_every_make_target_that_the_documents_name_exists():
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    text = "\n".join(page.read_text() for page in PAGES)
    named = set(re.findall(r"(?:`|^)make ([a-z-]+)", text, re.MULTILINE))
    assert named - targets == set()


@pytest.mark.parametrize("document", PAGES, ids=lambda path: path.name)
def test_python_in_the_documents_parses_and_links_lead_somewhere(document):
    text = document.read_text()
    for block in re.findall(r"```python\n(.*?)```", text, re.DOTALL):
        ast.parse(block)
    for link in re.findall(r"\]\(([^)#:]+)", text):
        assert link.startswith("http") or (document.parent / link).exists(), link
