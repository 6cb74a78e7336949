"""Run both smoke checks where there is something to run them on.

    python scripts/smoke.py [--release NAMESPACE/NAME]

With $SCHEDULER set, against that scheduler; else, where the cluster at hand holds a release of the
chart, there as Jobs; else on an embedded cluster. The tables are the same.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
import uuid
from typing import Any

import yaml

from _cluster import Release, releases

#: As the chart's tests of the same names run them, each in a Job of its own.
CHECKS = ["array-mean", "aer-parallel"]
#: Seconds for a Job: what its pod may take by default, and some to be scheduled in.
DEADLINE = 900


def main() -> None:
    """Choose the place and run the checks."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--release", default=os.environ.get("RELEASE"), help="NAMESPACE/NAME")
    wanted = parser.parse_args().release
    found = [] if os.environ.get("SCHEDULER") else releases()
    release = choose(found, wanted)
    if release:
        print(f"on release {release.name} in namespace {release.namespace}", flush=True)
        passed = all(in_job(release, check) for check in CHECKS)
    else:  # it starts its own cluster unless $SCHEDULER names one
        done = subprocess.run([sys.executable, "-m", "aer_dask.smoke"], check=False)
        passed = done.returncode == 0
    if not passed:
        sys.exit(1)


def choose(found: list[Release], wanted: str | None) -> Release | None:
    """The release that is wanted, or the only one there is; None without any."""
    names = {f"{release.namespace}/{release.name}": release for release in found}
    if wanted and wanted not in names:
        sys.exit(f"The cluster has no release {wanted} of aer-dask; it has: {', '.join(names)}.")
    if not wanted and len(names) > 1:
        sys.exit(f"Say which release: make smoke-test RELEASE=... with one of {', '.join(names)}.")
    return names[wanted] if wanted else next(iter(found), None)


def in_job(release: Release, check: str) -> bool:
    """Run a check as a Job of the release, print its log and remove it."""
    job = manifest(test_pod(release, check))
    name = job["metadata"]["name"]
    release.kubectl("create", "--filename=-", text=json.dumps(job))
    try:
        passed = finished(release, name)
        print(release.kubectl("logs", f"job/{name}", "--tail=-1"), end="", flush=True)
    finally:
        release.kubectl("delete", "job", name, "--cascade=foreground")
    return passed


def test_pod(release: Release, check: str) -> dict[str, Any]:
    """The pod by which `helm test` runs the same check: its image, settings and rights."""
    suffix = f"-test-smoke-{check}"
    for hook in yaml.safe_load_all(release.helm("get", "hooks", release.name)):
        if hook and hook["metadata"]["name"].endswith(suffix):
            return dict(hook)
    sys.exit(f"Release {release.name} has no tests; upgrade it with --set tests.enabled=true.")


def manifest(pod: dict[str, Any]) -> dict[str, Any]:
    """A Job that runs a pod once, and that goes by itself if nobody removes it."""
    labels = pod["metadata"]["labels"]
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": f"{pod['metadata']['name']}-{uuid.uuid4().hex[:5]}", "labels": labels},
        "spec": {
            "backoffLimit": 0,
            "ttlSecondsAfterFinished": 600,
            "template": {"metadata": {"labels": labels}, "spec": pod["spec"]},
        },
    }


def finished(release: Release, job: str) -> bool:
    """Wait until a Job has ended; whether it succeeded."""
    deadline = time.monotonic() + DEADLINE
    while time.monotonic() < deadline:
        status = json.loads(release.kubectl("get", "job", job, "--output=json"))["status"]
        ended = {c["type"] for c in status.get("conditions", []) if c["status"] == "True"}
        if ended & {"Complete", "Failed"}:
            return "Complete" in ended
        time.sleep(1)
    pods = release.kubectl("get", "pods", f"--selector=job-name={job}", "--output=wide")
    sys.exit(f"FAILED: Job {job} has not ended in {DEADLINE} s:\n{pods}")


if __name__ == "__main__":
    try:
        main()
    except subprocess.CalledProcessError as failure:
        sys.exit(f"{' '.join(failure.cmd)} failed: {failure.stderr}")
