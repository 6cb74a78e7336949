"""The document of the wheel, and what documents say of licenses."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from cyclonedx.output.json import JsonV1Dot6
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from images import sbom
from scripts import locked

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def wheel():
    text = JsonV1Dot6(sbom.of_wheel()).output_as_string()
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None
    return json.loads(text)


def needs(wheel, name):
    """The names that a package of the document needs, in any of its versions."""
    found = [d for d in wheel["dependencies"] if d["ref"].startswith(f"pkg:pypi/{name}@")]
    assert found
    refs = {ref for each in found for ref in each.get("dependsOn", [])}
    return {re.match("pkg:pypi/(.*)@", ref)[1] for ref in refs}


def test_the_wheel_needs_what_pyproject_says_and_its_packages_what_they_say(wheel):
    asked = {canonicalize_name(Requirement(r).name) for r in locked.project()["dependencies"]}
    assert needs(wheel, "aer-dask") == asked
    assert {"numpy", "qiskit", "scipy"} <= needs(wheel, "qiskit-aer")
    assert needs(wheel, "numpy") == set()


def test_the_wheels_document_has_all_that_the_lock_installs_with_hashes(wheel):
    command = [sys.executable, "scripts/locked.py", "."]
    text = subprocess.run(command, cwd=ROOT, check=True, text=True, capture_output=True).stdout
    pins = re.findall(r"^([\w.-]+)==([^\s;\\]+)", text, re.MULTILINE)
    assert {(c["name"], c["version"]) for c in wheel["components"]} == set(pins)
    assert all(component["hashes"] for component in wheel["components"])
    reached, new = set(), {"aer-dask"}
    while new:
        reached |= new
        new = {need for name in new for need in needs(wheel, name)} - reached
    assert reached == {name for name, _ in pins} | {"aer-dask"}


@pytest.mark.parametrize(
    ("metadata", "licenses"),
    [({"License-Expression": "MIT", "License": "other"}, ["MIT"]),
     ({"License": "Apache 2.0", "Classifier": "License :: OSI Approved :: X"}, ["Apache 2.0"]),
     ({"License": "BSD\n\nCopyright", "Classifier": "License :: OSI Approved :: BSD License"},
      ["BSD License"]),
     ({"License": "UNKNOWN", "Classifier": "Topic :: Any"}, [])],
)  # fmt: skip
def test_a_license_is_what_the_package_says_but_no_whole_text(metadata, licenses):
    from email.message import Message

    message = Message()
    for key, value in metadata.items():
        message[key] = value
    source = re.search(r"^def licenses.*?(?=\n\n)", sbom.ASK, re.DOTALL | re.MULTILINE)[0]
    found: dict = {}
    exec(source, found)  # it runs in an image
    assert found["licenses"](message) == licenses
    component = sbom.python_component("x", "1", licenses=licenses)
    assert len(component.licenses) == len(licenses)
