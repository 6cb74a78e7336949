"""The example notebooks run in the Jupyter pod, on the workers of the release."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ..chart.rendering import ROOT
from .release import MINIKUBE, Release, until

pytestmark = pytest.mark.timeout(900)


def test_the_example_notebooks_run_on_the_workers(release: Release, operator) -> None:
    release.install(MINIKUBE, values={"jupyter.rbac": {"scaling": True, "create": True}})
    until(lambda: len(release.workers()) == 2, "the scheduler knows its workers", 60)
    notebooks = sorted((ROOT / "notebooks").glob("*.ipynb"))  # the tutorial scales, so it is late
    said = {path.stem: executed(release, path.name) for path in notebooks}
    assert not any("warn" in text.lower() for outputs in said.values() for text in outputs.values())
    assert said["quickstart"]["run"].count("tls://") == 2, "two workers should have run tasks"
    assert said["quickstart"]["bits"] == "[]"
    assert "2000 shots in all" in said["noise"]["run"]
    assert "patterns of errors" in said["noise"]["run"]
    assert "'noise_sampling': 'shared'" in said["noise"]["run"]
    assert "<Figure" in said["noise"]["plot"]
    tutorial = said["tutorial"]
    assert tutorial["scale"] == "3"
    assert tutorial["adapt"] == tutorial["kube"] == "np.float64(1.0)"
    assert tutorial["circuits"] == tutorial["kube-circuits"] == "[]"
    assert said["vqe"]["solve"].startswith("-1.137306 Hartree")


def executed(release: Release, name: str) -> dict[str, str]:
    """What each cell of a notebook printed and showed, after it ran in JupyterLab's home."""
    path = f"/home/aer/examples/{name}"
    release.execute("jupyter", "jupyter", "execute", "--inplace", path)
    cells = json.loads(release.execute("jupyter", "cat", path))["cells"]
    return {cell["id"]: shown(cell["outputs"]) for cell in cells if cell["cell_type"] == "code"}


def shown(outputs: list[dict[str, Any]]) -> str:
    texts = [o.get("text") or o.get("data", {}).get("text/plain", "") for o in outputs]
    return "\n".join("".join(text) for text in texts).strip()
