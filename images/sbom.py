"""What is in each image, and what the wheel asks for, as CycloneDX documents in build/sbom.

python -m images.sbom runtime jupyter

An image is asked itself: its Python for the packages of /opt/venv, and dpkg for Debian's, which
knows no licenses. The wheel has what requirements.lock says of its dependencies, with the hashes
that an installation accepts, and which package is there for which.
"""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Iterable
from typing import Any

from cyclonedx.contrib.license.factories import LicenseFactory
from cyclonedx.model import HashAlgorithm, HashType
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.model.license import DisjunctiveLicense
from cyclonedx.output.json import JsonV1Dot6
from packageurl import PackageURL

from images import build
from scripts import locked

#: Run in an image: its packages, and which of them each needs there.
ASK = r"""
import importlib.metadata, json, subprocess
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

def needs(distribution):
    for line in distribution.requires or ():
        requirement = Requirement(line)
        if not requirement.marker or requirement.marker.evaluate({"extra": ""}):
            yield canonicalize_name(requirement.name)

def licenses(metadata):
    "As the package says them: an expression, else a few words, else classifiers; no whole text."
    words = (metadata.get("License") or "").strip()
    if words in ("UNKNOWN", "Dual License") or "\n" in words or len(words) > 60:
        words = ""
    if expression := metadata.get("License-Expression") or words:
        return [expression]
    found = [line.split(" :: ") for line in metadata.get_all("Classifier") or ()]
    return sorted({parts[-1] for parts in found if parts[:2] == ["License", "OSI Approved"]})

python = [
    {
        "name": canonicalize_name(d.name), "version": d.version, "needs": sorted(set(needs(d))),
        "licenses": licenses(d.metadata),
    }
    for d in importlib.metadata.distributions(path=["/opt/venv/lib/python3.11/site-packages"])
]
form = "${Package} ${Version} ${Architecture}\\n"
debian = subprocess.run(
    ["dpkg-query", "--show", "--showformat", form], check=True, text=True, capture_output=True
).stdout
print(json.dumps({"python": python, "debian": [line.split() for line in debian.splitlines()]}))
"""


def main() -> None:
    """Write the documents of the images named, and of the wheel."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("targets", nargs="+", choices=sorted(build.NAMES))
    tool = build.builder()
    for target in parser.parse_args().targets:
        said = build.inside(tool, build.tag(target), "python", "-c", ASK)
        write(build.NAMES[target], of_image(build.NAMES[target], json.loads(said)))
    write("aer_dask-wheel", of_wheel())


def of_image(name: str, found: dict[str, Any]) -> Bom:
    """The document of an image, of what :data:`ASK` found in it."""
    bom = bom_of(Component(type=ComponentType.CONTAINER, name=name, version=build.VERSION))
    packages = {package["name"]: python_component(**package) for package in found["python"]}
    debian = [debian_component(*words) for words in found["debian"]]
    for component in [*packages.values(), *debian]:
        bom.components.add(component)
    for package in found["python"]:
        needed = [packages[need] for need in package["needs"] if need in packages]
        bom.register_dependency(packages[package["name"]], needed)
    bom.register_dependency(bom.metadata.component, [packages["aer-dask"], *debian])
    return bom


def of_wheel() -> Bom:
    """The document of the wheel: what it asks for, in the versions of the lock."""
    purl = PackageURL("pypi", name="aer-dask", version=build.VERSION)
    root = Component(
        type=ComponentType.LIBRARY, name="aer-dask", version=build.VERSION, purl=purl,
        bom_ref=str(purl), licenses=[DisjunctiveLicense(id="Apache-2.0")],
    )  # fmt: skip
    bom = bom_of(root)
    needed: dict[str, list[Component]] = {}  # by the name of the package that needs them
    of_name: dict[str, list[Component]] = {}  # in several versions, where Python's decides
    for name, lines, parents in locked.part(["."]):
        version = re.match(r"[\w.-]+==([^\s;\\]+)", lines)[1]
        component = python_component(name, version, re.findall("sha256:([0-9a-f]+)", lines))
        bom.components.add(component)
        of_name.setdefault(name, []).append(component)
        for parent in parents:
            needed.setdefault(parent, []).append(component)
    for component in bom.components:
        bom.register_dependency(component, needed.get(component.name, []))
    direct = sorted(locked.roots(".", locked.project()))
    bom.register_dependency(root, [each for name in direct for each in of_name[name]])
    return bom


def bom_of(root: Component) -> Bom:
    """An empty document about a component."""
    bom = Bom()
    bom.metadata.component = root
    return bom


def python_component(
    name: str,
    version: str,
    hashes: Iterable[str] = (),
    licenses: Iterable[str] = (),
    needs: Iterable[str] = (),
) -> Component:
    """A package of a Python index."""
    purl = PackageURL("pypi", name=name, version=version)
    return Component(
        type=ComponentType.LIBRARY, name=name, version=version, purl=purl, bom_ref=str(purl),
        hashes=[HashType(alg=HashAlgorithm.SHA_256, content=digest) for digest in hashes],
        licenses=map(LicenseFactory().make_from_string, licenses),
    )  # fmt: skip


def debian_component(name: str, version: str, architecture: str) -> Component:
    """A package of Debian's."""
    qualifiers = {"arch": architecture, "distro": "debian-12"}
    purl = PackageURL("deb", "debian", name, version, qualifiers)
    return Component(
        type=ComponentType.LIBRARY, name=name, version=version, purl=purl, bom_ref=str(purl)
    )


def write(name: str, bom: Bom) -> None:
    """Write a document, and say where."""
    build.SBOMS.mkdir(parents=True, exist_ok=True)
    path = build.SBOMS / f"{name}.cdx.json"
    path.write_text(JsonV1Dot6(bom).output_as_string(indent=2) + "\n")
    print(f"{path.relative_to(build.ROOT)}: {len(bom.components)} packages")


if __name__ == "__main__":
    main()
