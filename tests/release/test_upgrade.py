"""A release that changes keeps what is its users'."""

from __future__ import annotations

import pytest

from .release import MINIKUBE, Release

pytestmark = pytest.mark.timeout(900)

NOTEBOOK = "/home/aer/kept.ipynb"
#: Prints the HTTP status with which JupyterLab answers a token.
ASK = """
import sys, urllib.error, urllib.request
try:
    print(urllib.request.urlopen(f"http://localhost:8888/api/status?token={sys.argv[1]}").status)
except urllib.error.HTTPError as refusal:
    print(refusal.code)
"""


def test_upgrade_and_rollback_keep_token_and_notebooks(release: Release) -> None:
    release.install(MINIKUBE)
    token, first = release.token(), release.pods("jupyter")[0]["metadata"]["uid"]
    release.execute("jupyter", "sh", "-c", f"echo kept > {NOTEBOOK}")

    release.upgrade(MINIKUBE, values={"worker.replicas": 1, "jupyter.podLabels": {"new": "yes"}})
    second = release.pods("jupyter")[0]["metadata"]["uid"]
    assert second != first
    assert len(release.pods("worker")) == 1
    assert_kept(release, token)

    release.helm("rollback", release.name, "1", "--wait", "--timeout=5m")
    assert release.pods("jupyter")[0]["metadata"]["uid"] != second
    assert len(release.pods("worker")) == 2
    assert_kept(release, token)


def assert_kept(release: Release, token: str) -> None:
    """The token still opens JupyterLab, another does not, and the notebook is there."""
    assert release.token() == token
    assert release.execute("jupyter", "python", "-c", ASK, token).strip() == "200"
    assert release.execute("jupyter", "python", "-c", ASK, "another").strip() == "403"
    assert release.execute("jupyter", "cat", NOTEBOOK).strip() == "kept"
