"""`make test-cluster`: a cluster, the images on it, the tests, and nothing of it left."""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import time
from contextlib import nullcontext

from . import choice, claim, host
from .common import KUBECONFIG, ROOT

PYTEST = [sys.executable, "-m", "pytest"]
MEASURED_PYTEST = [sys.executable, "-m", "coverage", "run", "-m", "pytest"]
LEAVES_NOTHING = "tests/kubernetes/test_leaves_nothing.py"


def main() -> None:
    """Run all steps up to the first that fails; a cluster that they brought up goes in any case."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cluster", choices=("host", "kind", "minikube"), default="host")
    parser.add_argument("--coverage", action="store_true", help="measure what the tests run")
    parser.add_argument("options", nargs="*", help="for pytest, after --")
    words = parser.parse_args()
    # what a CI sends that gives up; as it is, the cluster would stay
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("Told to stop."))
    if words.cluster == "host":
        host.remove_abandoned()
        claim.refuse_others()
        if claim.SESSION.exists():
            raise SystemExit("Another `make test-cluster` runs in this checkout.")
    was_up = choice.chosen() is not None
    ours = words.cluster == "host" and not was_up
    with claim.session() if ours else nullcontext():
        run(steps(words.cluster, ours, words.coverage, words.options), leave_up=was_up)


def run(steps: dict[str, list[str]], leave_up: bool) -> None:
    """Run the steps up to the first that fails, and take the cluster down in any case."""
    timings: dict[str, float] = {}
    try:
        for name, command in steps.items():
            run_timed(timings, name, command)
    finally:
        if not leave_up:
            run_timed(timings, "cluster-down", ["make", "cluster-down"])
        each = ", ".join(f"{name} {seconds:.0f}" for name, seconds in timings.items())
        print(f"Seconds: {each}; all told {sum(timings.values()):.0f}.", flush=True)


def steps(cluster: str, ours: bool, coverage: bool, options: list[str]) -> dict[str, list[str]]:
    """The commands by what their timing is called; who names tests means those alone."""
    # tested first: it wants a host without a cluster, and compiles all that is missing at once
    trace = {"up and down again": [*PYTEST, LEAVES_NOTHING]} if ours and not options else {}
    pytest = MEASURED_PYTEST if coverage else PYTEST
    tests = ["tests/kubernetes", "tests/release", f"--ignore={LEAVES_NOTHING}"]
    # of this seed the lost node has the scheduler, and each client is cut off once
    chaos = {} if options else {"chaos": ["make", "chaos", "SEED=98", "MINUTES=10"]}
    return {
        **trace,
        "tools": ["make", "tools"],
        "cluster-up": ["make", "cluster-up", f"CLUSTER={cluster}"],
        "images": ["make", "images"],
        "load": ["make", "load"],
        "tests": [*pytest, *tests, "--durations=10", *options],
        **chaos,
    }


def run_timed(timings: dict[str, float], name: str, command: list[str]) -> None:
    """Run a command on the cluster of this checkout, whatever $KUBECONFIG says."""
    started = time.monotonic()
    environment = os.environ | {"KUBECONFIG": str(KUBECONFIG)}
    status = subprocess.run(command, cwd=ROOT, env=environment, check=False).returncode
    timings[name] = time.monotonic() - started
    if status:
        sys.exit(f"make test-cluster failed: {' '.join(command)} ended with status {status}.")


if __name__ == "__main__":
    main()
