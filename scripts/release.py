"""Release a version: of wheel, images and chart together.

    python scripts/release.py 0.2.0 [--images runtime jupyter] [--dry-run]

Writes the version wherever it is, and gives it the unreleased entries of CHANGELOG.md; commits,
builds all that is published, begins the next version in a commit of its own, so that nothing else
is ever called as what is released, and tags. Whatever fails, the commits are taken back. --dry-run
shows what would be written. Nothing is pushed: the tag, once it is, has the release workflow
publish.
"""

from __future__ import annotations

import argparse
import difflib
import re
import subprocess
import sys
import textwrap
from datetime import UTC, datetime
from pathlib import Path

import yaml
from packaging.version import InvalidVersion, Version

import changelog
import dist

ROOT = dist.ROOT
CHART = "charts/aer-dask/Chart.yaml"
#: Where a version stands in such a file: behind one of these.
BEFORE = r"""^version = "|^version: |^appVersion: |aer-dask(?:-jupyter|-gpu)?:|\$image:|\bv"""


def main() -> None:
    """Do what the command line says."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("version", help="as 0.2.0")
    parser.add_argument("--images", nargs="*", default=[], help="to build: runtime, jupyter, gpu")
    parser.add_argument("--dry-run", action="store_true", help="only show what would be written")
    words = parser.parse_args()
    check(words.version)
    changed = changes(words.version)
    if words.dry_run:
        show(changed)
        return
    before = git("rev-parse", "HEAD")
    try:
        released = commit(f"Release {words.version}", changed)
        dist.build()
        if words.images:
            build_images(words.images)
        following = next_version(words.version)
        commit(f"Begin {following}", begun(following))
        message = f"--message=aer-dask {words.version}"
        git("tag", "--annotate", f"v{words.version}", message, released)
    except BaseException:
        git("reset", "--quiet", "--hard", before)
        raise
    print(f"Tagged. To publish it: git push --atomic origin main v{words.version}")


def check(version: str) -> None:
    """Refuse what is no release, in a sentence."""
    if not re.fullmatch(r"\d+\.\d+\.\d+", version):
        sys.exit(f"{version!r} is no version such as 0.2.0.")
    if git("status", "--porcelain"):
        sys.exit("There are changes that are not committed; commit or stash them.")
    if (branch := git("rev-parse", "--abbrev-ref", "HEAD")) != "main":
        sys.exit(f"Releases are made from main; this is {branch}.")
    if (newest := max(tagged(), default=None)) and Version(version) <= newest:
        sys.exit(f"{version} is not greater than {newest}, which is released.")
    if Version(version) < Version(current := dist.project()["version"]):
        sys.exit(f"{version} is less than {current}, which pyproject.toml has.")
    if not changelog.entries(changelog.section(changelog.FILE.read_text(), changelog.UNRELEASED)):
        sys.exit("CHANGELOG.md says nothing under Unreleased: what do users notice?")


def tagged() -> list[Version]:
    """The versions that are released."""
    found = []
    for tag in git("tag", "--list", "v*").split():
        try:
            found.append(Version(tag))
        except InvalidVersion:
            continue
    return found


def changes(version: str) -> dict[Path, str]:
    """The files that change, and what they will hold."""
    log = changelog.FILE.read_text()
    notes = changelog.entries(changelog.section(log, changelog.UNRELEASED))
    changed = with_version_everywhere(version)
    changed[changelog.FILE] = changelog.released(log, version, f"{datetime.now(UTC):%Y-%m-%d}")
    changed[ROOT / CHART] = with_changes(changed[ROOT / CHART], notes)
    return {path: text for path, text in changed.items() if text != path.read_text()}


def begun(version: str) -> dict[Path, str]:
    """What the files hold once a version is begun, of which there is nothing to tell yet."""
    changed = with_version_everywhere(version)
    changed[ROOT / CHART] = with_changes(changed[ROOT / CHART], [])
    return changed


def commit(message: str, changed: dict[Path, str]) -> str:
    """Write files and commit them; the commit."""
    for path, text in changed.items():
        path.write_text(text)
    git("commit", "--quiet", "--all", f"--message={message}")
    return git("rev-parse", "HEAD")


def next_version(version: str) -> str:
    """The least version after one: what main is called until it is known what its changes are."""
    major, minor, micro = Version(version).release
    return f"{major}.{minor}.{micro + 1}"


def places() -> list[Path]:
    """The files that name the version."""
    named = ["pyproject.toml", "CITATION.cff", CHART, "src/aer_dask/clusters/worker-spec.yml"]
    return [ROOT / name for name in [*named, "README.md"]] + sorted((ROOT / "docs").glob("*.md"))


def with_version_everywhere(version: str) -> dict[Path, str]:
    """What the files hold that name the version of now, with another one."""
    now = re.escape(dist.project()["version"])
    former = re.compile(rf"({BEFORE}){now}\b", flags=re.M)
    return {path: former.sub(rf"\g<1>{version}", path.read_text()) for path in places()}


def with_changes(text: str, notes: list[tuple[str, str]]) -> str:
    """Chart.yaml whose annotation for Artifact Hub has these entries; without any it has none."""
    text = re.sub(r"  artifacthub\.io/changes: \|\n(?:    .*\n)*", "", text)
    if not notes:
        return text
    changes = [{"kind": kind, "description": note} for kind, note in notes]
    written = yaml.safe_dump(changes, sort_keys=False, allow_unicode=True, width=100)
    block = "  artifacthub.io/changes: |\n" + textwrap.indent(written, " " * 4)
    return text.replace("annotations:\n", f"annotations:\n{block}", 1)


def show(changed: dict[Path, str]) -> None:
    """Print the differences."""
    for path, text in changed.items():
        name = str(path.relative_to(ROOT))
        old, new = path.read_text().splitlines(True), text.splitlines(True)
        sys.stdout.writelines(difflib.unified_diff(old, new, name, name, n=0))


def build_images(targets: list[str]) -> None:
    """Build images and the documents of what is in them."""
    for command in (["images/build.py", "build"], ["-m", "images.sbom"]):
        subprocess.run([sys.executable, *command, *targets], cwd=ROOT, check=True)


def git(*words: str) -> str:
    """What git prints; it must succeed."""
    done = subprocess.run(["git", *words], cwd=ROOT, text=True, capture_output=True, check=False)
    if done.returncode:
        sys.exit(f"git {' '.join(words)} failed: {done.stderr.strip()}")
    return done.stdout.strip()


if __name__ == "__main__":
    main()
