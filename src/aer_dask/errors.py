"""The errors aer_dask raises itself; what Aer raises passes through unchanged.

    AerError (qiskit_aer)
    ├── VersionMismatchError     client, scheduler and workers do not run the same versions
    ├── InsufficientMemoryError  a circuit cannot fit in any worker
    ├── WorkerLostError          a task lost its worker or its Aer process, again and again
    └── ExecutorError            the executor is unusable: closed, broken or of an unknown kind
    JobError (qiskit)
    ├── JobCancelledError        the result of a cancelled job was asked for
    └── JobTimeoutError          the result was not there in time
"""

from __future__ import annotations

import concurrent.futures

from qiskit.providers import JobError
from qiskit.providers import JobTimeoutError as _QiskitJobTimeoutError
from qiskit_aer import AerError


class VersionMismatchError(AerError):
    """Client, scheduler and workers do not run the same versions."""


class InsufficientMemoryError(AerError):
    """A circuit needs more memory than any worker has."""


class WorkerLostError(AerError):
    """A task lost its worker or its Aer process more often than retries allow."""


class ExecutorError(AerError):
    """The executor cannot take work: closed, broken, or of a kind that is not known."""


class JobCancelledError(JobError, concurrent.futures.CancelledError):
    """The result of a cancelled job was asked for."""


class JobTimeoutError(_QiskitJobTimeoutError, TimeoutError):
    """The result was not there within the timeout."""
