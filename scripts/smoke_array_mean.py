"""Smoke check: the mean of a dask array of 1000 x 1000 x 1000 ones is 1.0, computed by workers.

python scripts/smoke_array_mean.py [--scheduler tcp://host:8786]
"""

import time

import dask.array as da
from _smoke import LEAST_WORKERS, arguments, by_worker, cluster, require, table
from distributed import get_task_stream


def main() -> None:
    """Run the check; exit with a sentence if it fails."""
    with cluster(arguments(__doc__)) as client:
        started = time.perf_counter()
        with get_task_stream(client) as stream:
            mean = float(da.ones((1000, 1000, 1000), chunks=(100, 500, 500)).mean().compute())
        seconds = time.perf_counter() - started
        workers = by_worker(stream)
    print(table([
        ("check", "workers used", "tasks per worker", "seconds", "mean"),
        ("array mean", str(len(workers)), " ".join(map(str, workers.values())), f"{seconds:.2f}",
         str(mean)),
    ]))  # fmt: skip
    require(mean == 1.0, f"the mean of ones is {mean}.")
    require(
        len(workers) >= LEAST_WORKERS,
        f"only {len(workers)} of the workers did anything; look at their logs.",
    )


if __name__ == "__main__":
    main()
