"""Where tasks ran, as the workers themselves tell it."""


def executed(client, job=None):
    """Which worker executed which of our tasks, from its own log of transitions."""
    prefix = f"aer-{job.job_id()}" if job else "aer-"
    logs = client.run(
        lambda dask_worker: [str(entry[0]) for entry in dask_worker.state.log
                             if "executing" in entry and "memory" in entry]
    )  # fmt: skip
    return {
        worker: {key for key in keys if key.startswith(prefix) and "shared" not in key}
        for worker, keys in logs.items()
    }
