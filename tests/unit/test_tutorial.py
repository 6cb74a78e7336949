"""The tutorial's text and its scripts are one."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_the_scripts_in_the_tutorial_are_the_files_that_the_cluster_tests_run():
    shown = re.findall(r"```python\n(.*?)```", (ROOT / "docs/tutorial.md").read_text(), re.DOTALL)
    scripts = [
        (ROOT / "examples" / name).read_text() for name in ("helm_cluster.py", "kube_cluster.py")
    ]
    assert [text.split('"""\n\n', 1)[1] for text in scripts] == shown
