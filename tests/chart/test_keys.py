"""values.yaml, its schema, its documentation and the templates speak of the same keys."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from .keys import SCHEMA, documented_keys, unknown_reads
from .rendering import CHART, ROOT, refusal

TEMPLATES = sorted(p for p in (CHART / "templates").rglob("*") if p.is_file())
VALUES = yaml.safe_load((CHART / "values.yaml").read_text())

sys.path.insert(0, str(ROOT / "scripts"))
from chart_docs import described  # noqa: E402


def test_every_key_of_the_schema_has_a_default() -> None:
    for path in documented_keys():
        node = VALUES
        for key in path.split("."):
            assert key in node, f"{path} is missing from values.yaml"
            node = node[key]


def test_every_key_has_a_description() -> None:
    values = described((CHART / "values.yaml").read_text())
    descriptions = {value.path: value.description for value in values}
    assert [path for path in documented_keys() if not descriptions.get(path)] == []


def test_every_key_is_camel_case() -> None:
    assert [path for path in documented_keys() if "_" in path or "-" in path] == []


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda p: f"{p.parent.name}/{p.name}")
def test_a_template_reads_only_keys_that_exist(template: Path) -> None:
    assert unknown_reads(template.read_text()) == []


def test_the_search_for_unknown_keys_finds_them() -> None:
    for template in (
        "{{ .Values.worker.replica }}",
        "{{ $.Values.image.name }}",
        "{{- with .Values.jupyter.ingress }}{{ .hosts }}{{ end }}",
        "{{- $v := .v -}}{{ $v.nodeSelectors }}",
        "{{ $s := .Values.jupyter.auth }}{{ with $s }}{{ if .token }}{{ .key }}{{ end }}{{ end }}",
        '{{- $v := include "aer-dask.worker.role" . | fromYaml -}}{{ if $v.replica }}{{ end }}',
    ):
        assert len(unknown_reads(template)) == 1, template


def test_the_templates_together_read_the_whole_first_level() -> None:
    text = "".join(p.read_text() for p in TEMPLATES)
    assert [key for key in SCHEMA if key != "global" and f".Values.{key}" not in text] == []


def test_a_helper_of_a_role_holds_no_whole_resource() -> None:
    """A resource is found by its file's name."""
    helpers = (CHART / "templates").glob("*/_*.tpl")
    assert [h.name for h in helpers if re.search(r"^kind:", h.read_text(), re.M)] == []


def test_the_readme_and_the_schema_are_up_to_date() -> None:
    done = subprocess.run(
        [sys.executable, "scripts/chart_docs.py", "--check"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_every_object_of_known_keys_is_closed() -> None:
    def closed(node: object) -> bool:
        if isinstance(node, dict):
            if isinstance(node.get("properties"), dict) and "type" in node:
                return node["additionalProperties"] is False and all(map(closed, node.values()))
            return all(map(closed, node.values()))
        return True

    assert closed(json.loads((CHART / "values.schema.json").read_text()))


@pytest.mark.parametrize(
    "path",
    [
        "replica",
        "worker.replica",
        "workerGroups.gpu.replica",
        "jupyter.auth.password",
        "image.name",
        "scheduler.service.port",
        "tests.nodeSelector",
    ],
)
def test_a_misspelt_key_is_refused(path: str) -> None:
    assert f"additional properties '{path.rpartition('.')[2]}' not allowed" in refusal({path: "x"})
