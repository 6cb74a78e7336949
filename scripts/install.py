"""Install the chart on the cluster at hand, small: what `make up` does after the images.

python scripts/install.py [--registry registry.example.org/team]
"""

from __future__ import annotations

import argparse
import subprocess
import time

from _cluster import ROOT, environment

NAME, NAMESPACE = "aer", "aer-dask"


def main() -> None:
    """Install or upgrade release `aer`, and wait until it is ready."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--registry", help="where the images were pushed; default: on the nodes")
    registry = parser.parse_args().registry
    options = [f"--set=image.registry={registry}"] if registry else []
    started = time.monotonic()
    done = subprocess.run(
        ["helm", "upgrade", "--install", NAME, "charts/aer-dask", "--values=values/minikube.yaml",
         f"--namespace={NAMESPACE}", "--create-namespace", "--wait", "--timeout=10m", *options],
        cwd=ROOT, env=environment(), check=False,
    )  # fmt: skip
    if done.returncode:
        raise SystemExit("helm could not install the chart; its message is above.")
    print(f"Ready after {time.monotonic() - started:.0f} s.")


if __name__ == "__main__":
    main()
