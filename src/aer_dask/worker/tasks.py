"""What a Dask task calls: simulate in a child of the worker it has come to."""

from __future__ import annotations

from functools import cache, lru_cache

from distributed import Worker, get_worker
from distributed.utils import sync

from .. import versions
from ..errors import WorkerLostError
from .child import children
from .trace import traced


class OptionsMissingError(WorkerLostError):
    """The scheduler has forgotten a run's options, and the client is to send them again."""


def simulate_on_worker(
    task: bytes, digest: str, memory: int, expected: tuple[str | None, ...]
) -> bytearray:
    """Simulate a task; who did it and when stands behind its output.

    Args:
        task: the encoded task.
        digest: of the run's options and noise model, which the client has left at the scheduler.
        memory: bytes that the task is expected to take.
        expected: the client's versions of :data:`aer_dask.versions.PACKAGES`. Workers are checked
            before a run; this is for those that join later, without the preload.

    Raises:
        VersionMismatchError: if this worker's are others.
        OptionsMissingError: if the scheduler does not know the options.
        Exception: as :meth:`aer_dask.worker.child.Children.run`.
    """
    worker = get_worker()
    here = f"worker {worker.address}"
    versions.require_same(dict(zip(versions.PACKAGES, expected, strict=True)), {here: _installed()})
    key = str(worker.get_current_task())
    if not key.endswith("-1"):  # the driver's keys end with how often it has sent the task
        children.tally.add("tasks_repeated")
    return traced(
        lambda: children.run(key, task, _shared(digest), memory),
        str(worker.name),
        worker.state.nthreads,
        worker.scheduler_delay,  # the clock that all workers share is the scheduler's
    )


def running(dask_worker: Worker) -> list[str]:
    """Called in a worker: the keys of the tasks that run there now."""
    return [str(task.key) for task in dask_worker.state.executing]


@cache
def _installed() -> dict[str, str | None]:
    return versions.installed()


@lru_cache(maxsize=8)
def _shared(digest: str) -> bytes:
    """The options and noise models of a run, fetched once by each worker.

    Not an argument of the tasks, or they would travel with each of them; and not a result that the
    tasks depend on, because Dask gives a task first to workers that hold what it depends on.
    """
    worker = get_worker()
    try:
        shared = sync(worker.loop, worker.scheduler.aer_dask_fetch, digest=digest)
    except OSError as error:
        raise OptionsMissingError(
            f"The scheduler did not give the run's options: {error}"
        ) from error
    if not isinstance(shared, bytes):
        raise OptionsMissingError("The scheduler has forgotten the run's options.")
    return shared
