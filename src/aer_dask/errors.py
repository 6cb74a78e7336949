"""The errors aer_dask raises itself. What Aer raises (``qiskit_aer.AerError``) passes unchanged.

AerDaskError
├── VersionMismatchError     client, scheduler and workers do not run the same versions
├── InsufficientMemoryError  a circuit cannot fit in any worker
├── WorkerLostError          a task lost its worker or its Aer process, again and again
│   └── OutOfMemoryError     its Aer process was killed for lack of memory (within aer_dask)
├── StoreError               a store of results cannot be used, or lacks what was asked for
├── ClusterError             a cluster on Kubernetes is not there, not ready, or not ours to change
└── ExecutorError            the executor is unusable: closed, broken or of an unknown kind

qiskit.providers.JobError    (in aer_dask.jobs: workers do without importing Qiskit)
├── JobCancelledError        the result of a cancelled job was asked for
└── JobTimeoutError          the result was not there in time
"""

from typing import Any


class AerDaskError(Exception):
    """Base of the errors that are aer_dask's own."""


class VersionMismatchError(AerDaskError):
    """Client, scheduler and workers do not run the same versions."""


class InsufficientMemoryError(AerDaskError):
    """A circuit needs more memory than any worker has."""


class WorkerLostError(AerDaskError):
    """A task lost its worker or its Aer process; final once four have died of it."""

    #: who ran the task and when (:class:`aer_dask.worker.trace.Trace`), where that is known
    trace: Any = None


class OutOfMemoryError(WorkerLostError):
    """A task's Aer process was killed for lack of memory; a larger worker may do.

    Args:
        message: what happened.
        limit: bytes that the worker has for its simulations; None if it does not know.
        alone: whether no other task ran in the worker, which took of that.
    """

    def __init__(self, message: str, limit: int | None = None, alone: bool = True) -> None:
        super().__init__(message, limit, alone)
        self.limit, self.alone = limit, alone

    def __str__(self) -> str:
        return str(self.args[0])


class StoreError(AerDaskError):
    """A store of results cannot be used, or has not what was asked for."""


class ClusterError(AerDaskError):
    """A cluster on Kubernetes cannot be found, made, reached or changed."""


class ExecutorError(AerDaskError):
    """The executor cannot take work: closed, broken, or of a kind that is not known."""
