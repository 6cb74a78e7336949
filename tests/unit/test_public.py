"""What is public is importable, documented, and what the documents name exists."""

import ast
import re
from pathlib import Path

import pytest

import aer_dask

ROOT = Path(aer_dask.__file__).parents[2]
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
TEXT = "\n".join(document.read_text() for document in DOCUMENTS)


def test_all_names_are_sorted_importable_and_have_docstrings():
    assert list(aer_dask._HOMES) == sorted([*aer_dask.__all__, "KubeCluster"])
    assert all(getattr(aer_dask, name).__doc__ for name in aer_dask._HOMES)


def test_every_public_name_is_documented():
    assert [name for name in aer_dask._HOMES if name not in TEXT] == []


def test_every_make_target_that_the_documents_name_exists():
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = set(re.findall(r"(?:`|^)make ([a-z-]+)", TEXT, re.MULTILINE))
    assert named - targets == set()


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_python_in_the_documents_parses_and_links_lead_somewhere(document):
    text = document.read_text()
    for block in re.findall(r"```python\n(.*?)```", text, re.DOTALL):
        ast.parse(block)
    for link in re.findall(r"\]\(([^)#:]+)\)", text):
        assert (document.parent / link).exists(), link


def test_the_readmes_program_runs(tmp_path):
    import subprocess
    import sys

    block = next(b for b in re.findall(r"```python\n(.*?)```", DOCUMENTS[0].read_text(), re.DOTALL)
                 if "EmbeddedCluster" in b)  # fmt: skip
    program = tmp_path / "example.py"
    program.write_text(block)
    done = subprocess.run(
        [sys.executable, str(program)], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    assert re.search(r"\{'(00|11)': \d+, '(00|11)': \d+\}", done.stdout)
