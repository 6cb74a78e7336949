"""Bring a cluster up, load images into it, take it down: see `make help`."""

from __future__ import annotations

import argparse
import subprocess
from pathlib import Path

from . import build, choice


def main() -> None:
    """Do what the command line says."""
    parser = argparse.ArgumentParser(prog="python3 -m tests.kubernetes", description=__doc__)
    parser.add_argument("--cluster", choices=choice.KINDS, help="default: the best at hand")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("up", help="bring a cluster up and write build/kubeconfig")
    commands.add_parser("down", help="take down what `up` brought up")
    tools = commands.add_parser("tools", help="compile helm and kubectl where PATH lacks them")
    tools.add_argument("names", nargs="*", default=["helm", "kubectl"])
    load = commands.add_parser("load", help="load image archives on the cluster's nodes")
    load.add_argument("archives", nargs="+", type=Path)
    words = parser.parse_args()
    match words.command:
        case "up":
            choice.up(words.cluster)
        case "down":
            choice.down()
        case "load":
            choice.load(words.archives)
        case "tools":
            build.install_tools(words.names)


if __name__ == "__main__":
    try:
        main()
    except subprocess.CalledProcessError as failure:
        raise SystemExit(f"{failure}\n{failure.stderr or ''}".strip()) from None
