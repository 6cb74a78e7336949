"""Make what is published beside the images: wheel, sdist and the chart's package, in dist/.

    python scripts/dist.py [--registry registry.example.com/team]    # where the images will be
    python scripts/dist.py --push --registry registry.example.com/team

The packaged chart differs from charts/aer-dask in two things: its images come from the registry,
and the links of its README lead to the repository. --push sends it to REGISTRY/charts/aer-dask.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
CHART = ROOT / "charts" / "aer-dask"
DIST = ROOT / "dist"
#: What has been pushed, one NAME@DIGEST a line, for `make sign`.
PUSHED = ROOT / "build" / "pushed"


def main() -> None:
    """Build all, or push the chart."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--registry", default="", help="a host and path")
    parser.add_argument("--push", action="store_true", help="push the chart that is in dist/")
    words = parser.parse_args()
    if words.push:
        push(words.registry)
    else:
        build(words.registry)


def build(registry: str = "") -> None:
    """Build wheel, sdist and chart anew; nothing else is left in dist/."""
    shutil.rmtree(DIST, ignore_errors=True)
    DIST.mkdir()
    output(sys.executable, "-m", "hatchling", "build", f"--directory={DIST}")
    package_chart(DIST, registry)
    for file in sorted(DIST.iterdir()):
        print(file.relative_to(ROOT))


def package_chart(folder: Path, registry: str) -> None:
    """Put the chart's package into a folder."""
    with tempfile.TemporaryDirectory() as scratch:
        chart = Path(shutil.copytree(CHART, Path(scratch) / CHART.name))
        publishable(chart, registry)
        output("helm", "package", str(chart), f"--destination={folder}")


def publishable(chart: Path, registry: str) -> None:
    """Have a copy of the chart take its images from a registry, and link to the repository."""
    about = project()
    values = (chart / "values.yaml").read_text()
    (chart / "values.yaml").write_text(values.replace('registry: ""', f'registry: "{registry}"', 1))
    pages = f"{about['urls']['Repository']}/blob/v{about['version']}/"
    readme = (chart / "README.md").read_text()
    (chart / "README.md").write_text(re.sub(r"\]\((?:\.\./)+", f"]({pages}", readme))


def push(registry: str) -> None:
    """Push the chart, and write down what was pushed."""
    if not registry:
        sys.exit("Say where to push: make push-chart REGISTRY=registry.example.com/team")
    name = f"{registry.rstrip('/')}/charts"
    package = DIST / f"aer-dask-{project()['version']}.tgz"
    if not package.exists():
        sys.exit(f"{package} is not there: run make dist.")
    told = output("helm", "push", str(package), f"oci://{name}")
    digest = re.search(r"sha256:[0-9a-f]{64}", told)
    if not digest:
        sys.exit(f"helm named no digest of what it has pushed:\n{told}")
    pushed = f"{name}/aer-dask:{project()['version']}@{digest[0]}"
    PUSHED.parent.mkdir(exist_ok=True)
    with PUSHED.open("a") as file:
        print(pushed, file=file)
    print(f"Pushed {pushed}")


def project() -> dict[str, Any]:
    """What pyproject.toml says of the package."""
    return dict(tomllib.loads((ROOT / "pyproject.toml").read_text())["project"])


def output(*command: str) -> str:
    """All that a command prints, which must succeed."""
    done = subprocess.run(
        command, cwd=ROOT, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False
    )
    if done.returncode:
        sys.exit(f"{' '.join(command)} failed:\n{done.stdout}")
    return done.stdout


if __name__ == "__main__":
    os.chdir(ROOT)
    main()
