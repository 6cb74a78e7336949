"""A release that changes keeps what is its users'."""

from __future__ import annotations

import pytest

from ..chart.rendering import CHART, VERSION
from ..kubernetes import choice
from .previous import Previous, previous  # noqa: F401
from .release import Release, options
from .test_store import RUN, assert_only_the_rest_runs

pytestmark = [
    pytest.mark.timeout(900),
    pytest.mark.skipif(
        choice.chosen() in (None, "current"),
        reason="needs a cluster that images can be loaded into",
    ),
]

NOTEBOOK = "/home/aer/kept.ipynb"
#: Prints the HTTP status with which JupyterLab answers a token.
ASK = """
import sys, urllib.error, urllib.request
try:
    print(urllib.request.urlopen(f"http://localhost:8888/api/status?token={sys.argv[1]}").status)
except urllib.error.HTTPError as refusal:
    print(refusal.code)
"""
#: Prints the version of what it runs in.
ASK_VERSION = "import aer_dask; print(aer_dask.__version__)"


def test_an_upgrade_from_the_previous_release_under_load_and_back_costs_only_what_ran(
    release: Release,
    previous: Previous,  # noqa: F811
) -> None:
    values = {"store.persistence.enabled": True}
    small = options((previous.minikube,))
    release.helm("install", release.name, previous.chart, *small, values=values)
    release.rolled_out()
    token = release.token()
    release.execute("jupyter", "sh", "-c", f"echo kept > {NOTEBOOK}")
    assert versions(release) == {previous.version}

    everything = f"--values={previous.chart / 'values.yaml'}"
    release.helm("template", release.name, CHART, everything)  # no value is refused by now
    with release.popen("jupyter", "python", "-c", RUN, "--watched") as run:
        assert run.stdout
        assert run.stdout.readline()
        kept = ["--reset-then-reuse-values", "--set=worker.replicas=1"]
        release.helm("upgrade", release.name, CHART, *kept, *options(()))
        assert run.wait() != 0, "its pod has gone"
    release.rolled_out()
    assert versions(release) == {VERSION}
    assert len(release.pods("worker")) == 1
    assert_only_the_rest_runs(release, "file:///data/aer")
    assert_kept(release, token)

    release.helm("rollback", release.name, "1", *options(()))
    release.rolled_out()
    assert versions(release) == {previous.version}
    assert len(release.pods("worker")) == 2
    assert release.execute("jupyter", "python", "-c", RUN).split() == ["[]", "12", "0"]
    assert release.tests_passed("smoke-aer-parallel") == 1
    assert_kept(release, token)


def versions(release: Release) -> set[str]:
    """The versions of aer_dask in the pods of a release."""
    command = ["python", "-c", ASK_VERSION]
    workers = [f"pod/{pod['metadata']['name']}" for pod in release.pods("worker")]
    said = [release.execute(component, *command) for component in ("scheduler", "jupyter")]
    said += [release.kubectl("exec", name, "--", *command) for name in workers]
    return {version.strip() for version in said}


def assert_kept(release: Release, token: str) -> None:
    """The token still opens JupyterLab, another does not, and the notebook is there."""
    assert release.token() == token
    assert release.execute("jupyter", "python", "-c", ASK, token).strip() == "200"
    assert release.execute("jupyter", "python", "-c", ASK, "another").strip() == "403"
    assert release.execute("jupyter", "cat", NOTEBOOK).strip() == "kept"
