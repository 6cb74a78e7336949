"""Every block of Python and of the shell in the documents is run here, or says why it is not."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from qiskit_aer.noise import NoiseModel, depolarizing_error

import aer_dask

from ..circuits import bell

ROOT = Path(aer_dask.__file__).parents[2]
PAGES = [*ROOT.glob("*.md"), ROOT / "charts/aer-dask/README.md", *(ROOT / "docs").glob("*.md")]
BLOCK = re.compile(r"(?:<!-- (.+?) -->\n)?```(python|bash|console)\n(.*?)```", re.DOTALL)
MARK = re.compile(r"not run: \w.+|run by: (make )?(\S+)")


def blocks(page):
    """Of each block its mark, or None, its language and its text."""
    return BLOCK.findall(page.read_text())


def runnable(page):
    return [(language, text) for mark, language, text in blocks(page) if not mark]


@pytest.fixture
def spoken_of(cluster, client):
    """What the text of a page calls by these names, and no block of it makes."""
    noise = NoiseModel()
    noise.add_all_qubit_quantum_error(depolarizing_error(0.01, 2), ["cx"])
    return {
        "__name__": "__main__", "AerSimulator": aer_dask.AerSimulator, "cluster": cluster,
        "client": client,
        "backend": aer_dask.AerSimulator(executor=client), "circuits": [bell()] * 3, "noise": noise,
    }  # fmt: skip


@pytest.mark.parametrize("page", filter(runnable, PAGES), ids=lambda page: page.stem)
def test_the_blocks_of_a_page_run_one_after_another(
    page, spoken_of, cluster, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MPLBACKEND", "agg")
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    try:
        for language, text in runnable(page):
            here = text.replace("/data/aer", str(tmp_path / "aer"))
            if language == "python":
                exec(compile(here, str(page), "exec"), spoken_of)
            else:
                subprocess.run(["bash", "-euc", here], check=True, timeout=120)
    finally:
        for left in spoken_of.values():
            if isinstance(left, aer_dask.EmbeddedCluster) and left is not cluster:
                left.close()


def test_the_readmes_program_runs(tmp_path):
    text = (ROOT / "README.md").read_text()
    block = next(b for b in re.findall(r"```python\n(.*?)```", text, re.DOTALL)
                 if "EmbeddedCluster" in b)  # fmt: skip
    program = tmp_path / "example.py"
    program.write_text(block)
    done = subprocess.run(
        [sys.executable, str(program)], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    assert re.search(r"\{'(00|11)': \d+, '(00|11)': \d+\}", done.stdout)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.parent.name + "/" + page.stem)
def test_a_block_that_is_not_run_says_why_or_names_what_runs_it(page):
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    for mark, _, text in blocks(page):
        match = MARK.fullmatch(mark or "run by: make test")
        assert match, f"{mark!r} should be 'not run: why' or 'run by: a file or make target'"
        make, what = match.groups()
        assert what is None or (what in targets if make else (ROOT / what).exists()), (mark, text)
