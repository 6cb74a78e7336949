"""What JupyterLab does in the image when it starts, where the home volume takes no more."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
#: As Jupyter's programs begin, with what came of it.
PROGRAM = """
import json, os, sys
from jupyter_core.application import JupyterApp
app = JupyterApp.instance()
app.initialize(sys.argv[1:])
print(json.dumps([app.config, os.environ.get("PIP_PYTHON")]))
"""


@pytest.fixture
def start(tmp_path):
    """Start with a home directory, or where nothing can be written; gives what is said of home."""
    text = (ROOT / "images/jupyter_server_config.py").read_text()
    assert "/opt/aer-dask/" in text
    config = tmp_path / "jupyter_server_config.py"
    config.write_text(text.replace("/opt/aer-dask/", f"{ROOT}/"))

    def started(home: Path, *, full: bool = False) -> list[str]:
        def fill() -> None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))

        done = subprocess.run(
            [sys.executable, "-c", PROGRAM, f"--config={config}"],
            env={**os.environ, "HOME": str(home), "TMPDIR": str(tmp_path)},
            preexec_fn=fill if full else None, capture_output=True, text=True, check=True,
        )  # fmt: skip
        settings, pip = json.loads(done.stdout)
        assert settings["ServerApp"] == {"root_dir": str(home)}
        assert settings["LabApp"]["default_url"] == "lab/tree/examples/welcome.md"
        assert pip == str(home / ".local")
        if not full:
            folder = Path(settings["LabApp"]["app_settings_dir"])
            assert "dask-labextension:plugin" in json.loads((folder / "overrides.json").read_text())
        assert "Traceback" not in done.stderr
        return [line for line in done.stderr.splitlines() if "home directory" in line]

    return started


@pytest.mark.parametrize("old", ["examples/welcome.md", "image.pth"])
def test_a_full_home_costs_no_setting_and_no_file(start, tmp_path, old):
    home = tmp_path / "home"
    home.mkdir()
    start(home)
    (file,) = home.rglob(old)
    new = file.read_text()
    assert start(home, full=True) == [], "there is nothing to write"
    changed = home / "examples/vqe.ipynb"
    for each in (file, changed):
        each.write_text("of an older image, or of somebody's own")
    names, text = sorted(home.rglob("*")), file.read_text()

    (line,) = start(home, full=True)
    assert "cannot be filled" in line
    assert "make room there" in line
    assert (sorted(home.rglob("*")), file.read_text()) == (names, text)

    assert start(home) == [], "there is room again"
    assert (file.read_text(), changed.read_text()) == (new, text)


def test_a_home_that_cannot_be_written_costs_no_setting(start, tmp_path):
    home = tmp_path / "home"
    home.touch()
    (line,) = start(home)
    assert "cannot be filled" in line
