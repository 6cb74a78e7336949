"""Smoke check: the mean of a dask array of 1000 x 1000 x 1000 ones is 1.0, computed by workers.

    python scripts/smoke_array_mean.py [--scheduler tcp://host:8786]

All workers compute it, and then one of them alone, for the speed-up.
"""

import time

import dask.array as da
from _smoke import LEAST_WORKERS, arguments, by_worker, cluster, require, table
from distributed import Client, get_task_stream


def timed_mean(client: Client, workers: list[str] | None = None) -> tuple[float, float]:
    """The mean, and the seconds it took, on all workers or on some."""
    ones = da.ones((1000, 1000, 1000), chunks=(100, 500, 500))
    started = time.perf_counter()
    mean = float(client.compute(ones.mean(), workers=workers).result())
    return mean, time.perf_counter() - started


def main() -> None:
    """Run the check; exit with a sentence if it fails."""
    with cluster(arguments(__doc__)) as client:
        timed_mean(client)  # not counted: the workers still import what it takes
        with get_task_stream(client) as stream:
            mean, seconds = timed_mean(client)
        used = by_worker(stream)
        first = list(client.scheduler_info(n_workers=1)["workers"])
        _, alone = timed_mean(client, first)
    rows: list[tuple[str, ...]] = [
        ("check", "workers used", "tasks per worker", "seconds", "one worker", "speed-up", "mean"),
        (
            "array mean", str(len(used)), " ".join(map(str, used.values())), f"{seconds:.2f}",
            f"{alone:.2f}", f"{alone / seconds:.2f}x", str(mean),
        ),
    ]  # fmt: skip
    print(table(rows))
    require(mean == 1.0, f"the mean of ones is {mean}.")
    require(
        len(used) >= LEAST_WORKERS,
        f"only {len(used)} of the workers did anything; look at their logs.",
    )


if __name__ == "__main__":
    main()
