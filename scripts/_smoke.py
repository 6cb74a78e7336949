"""What the two smoke checks share: a cluster to run on, and a table of what was seen."""

from __future__ import annotations

import argparse
import contextlib
import os
from collections import Counter
from collections.abc import Iterator

from distributed import Client, get_task_stream

from aer_dask import EmbeddedCluster
from aer_dask.versions import installed

LEAST_WORKERS = 2


def arguments(description: str | None) -> argparse.Namespace:
    """The command line: a scheduler, or none for an embedded cluster."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument(
        "--scheduler",
        default=os.environ.get("SCHEDULER") or None,
        help="address such as tcp://host:8786; default $SCHEDULER, else an embedded cluster",
    )
    parser.add_argument("--timeout", type=float, default=300, help="seconds for all of it")
    return parser.parse_args()


@contextlib.contextmanager
def cluster(options: argparse.Namespace) -> Iterator[Client]:
    """A client of the scheduler given, or of a cluster of processes on this machine."""
    with contextlib.ExitStack() as stack:
        if options.scheduler:
            print(f"cluster: {options.scheduler}")
            client = stack.enter_context(Client(options.scheduler, timeout=options.timeout))
        else:
            print(f"cluster: embedded, {LEAST_WORKERS} dask worker processes on this machine")
            embedded = stack.enter_context(EmbeddedCluster(workers=LEAST_WORKERS))
            client = stack.enter_context(Client(embedded, timeout=options.timeout))
        client.wait_for_workers(LEAST_WORKERS, timeout=options.timeout)
        print("versions:", ", ".join(f"{name} {found}" for name, found in installed().items()))
        yield client


def by_worker(stream: get_task_stream, prefix: str = "") -> Counter[str]:
    """How many tasks whose key begins so each worker executed, as the scheduler recorded it."""
    return Counter(task["worker"] for task in stream.data if str(task["key"]).startswith(prefix))


def table(rows: list[tuple[str, ...]]) -> str:
    """Rows in columns; the first row is the heading."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["  ".join(f"{cell:<{w}}" for cell, w in zip(row, widths, strict=True)) for row in rows]
    lines.insert(1, "  ".join("-" * width for width in widths))
    return "\n".join(line.rstrip() for line in lines)


def require(condition: bool, sentence: str) -> None:
    """End the check with a sentence unless the condition holds."""
    if not condition:
        raise SystemExit(f"FAILED: {sentence}")
