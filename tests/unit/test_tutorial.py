"""The tutorial's text and its scripts are one."""

import re
from pathlib import Path

from ..chart.rendering import render

ROOT = Path(__file__).parents[2]


def test_the_scripts_in_the_tutorial_are_the_files_that_the_cluster_tests_run():
    shown = re.findall(r"```python\n(.*?)```", (ROOT / "docs/tutorial.md").read_text(), re.DOTALL)
    scripts = [
        (ROOT / "examples" / name).read_text() for name in ("helm_cluster.py", "kube_cluster.py")
    ]
    assert [text.split('"""\n\n', 1)[1] for text in scripts] == shown


def test_the_tutorial_forwards_a_port_that_jupyters_service_has():
    (port,) = re.findall(
        r"port-forward service/\S+ \d+:(\d+)", (ROOT / "docs/tutorial.md").read_text()
    )
    (served,) = render()["Service/jupyter"]["spec"]["ports"]
    assert int(port) == served["port"]
