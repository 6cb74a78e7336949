"""Dask's flags and settings for simulations: of the embedded cluster and of the chart's pods alike.

A test compares this list with what the chart renders (tests/chart).
"""

from __future__ import annotations

#: The environment variable by which the chart tells a notebook of which release it is.
OWN_RELEASE = "AER_DASK_RELEASE"
#: Flags of every worker: one simulation at a time, which may use all of the worker's threads.
WORKER_FLAGS = (
    "--nthreads", "1", "--preload", "aer_dask.worker", "--preload-nanny", "aer_dask.worker",
)  # fmt: skip
#: Settings of scheduler and workers, as environment variables.
DASK_SETTINGS = {
    # simulations run in child processes, so a worker that is silent hangs
    "DASK_DISTRIBUTED__SCHEDULER__WORKER_TTL": "5 minutes",
    # workers come and go under an autoscaler; the job set has its own limit
    "DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES": "20",
    # no task waits at a busy worker while another worker is idle
    "DASK_DISTRIBUTED__SCHEDULER__WORKER_SATURATION": "1.0",
    # before a task has been seen to end, expect a simulation rather than half a second
    "DASK_DISTRIBUTED__SCHEDULER__UNKNOWN_TASK_DURATION": "60s",
    "DASK_DISTRIBUTED__ADAPTIVE__TARGET_DURATION": "60s",
    # Dask gives all of this to one attempt, which a Service whose pod is gone never answers
    "DASK_DISTRIBUTED__COMM__TIMEOUTS__CONNECT": "10s",
    # a worker's own process only waits for simulations, and Dask's profile takes 2 % of a core
    "DASK_DISTRIBUTED__WORKER__PROFILE__ENABLED": "False",
    # state vectors live in child processes that Dask's memory manager does not see
    "DASK_DISTRIBUTED__WORKER__MEMORY__TARGET": "False",
    "DASK_DISTRIBUTED__WORKER__MEMORY__SPILL": "False",
    "DASK_DISTRIBUTED__WORKER__MEMORY__PAUSE": "False",
    "DASK_DISTRIBUTED__WORKER__MEMORY__TERMINATE": "False",
}
