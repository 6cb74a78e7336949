"""Errors of jobs, which are Qiskit's too."""

import concurrent.futures

from qiskit.providers import JobError
from qiskit.providers import JobTimeoutError as QiskitJobTimeoutError


class JobCancelledError(JobError, concurrent.futures.CancelledError):
    """The result of a cancelled job was asked for."""


class JobTimeoutError(QiskitJobTimeoutError, TimeoutError):
    """The result was not there within the timeout."""
