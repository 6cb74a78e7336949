"""Qiskit Aer on a Dask cluster: same class, same options, same bits as plain Aer.

>>> from aer_dask import AerSimulator
>>> backend = AerSimulator(executor=client)        # doctest: +SKIP
"""

from importlib.metadata import version

from .errors import (
    ExecutorError,
    InsufficientMemoryError,
    JobCancelledError,
    JobTimeoutError,
    VersionMismatchError,
    WorkerLostError,
)
from .jobset import AerJobSet
from .plan import Plan
from .simulator import AerSimulator

__version__ = version("aer-dask")

__all__ = [
    "AerJobSet",
    "AerSimulator",
    "ExecutorError",
    "InsufficientMemoryError",
    "JobCancelledError",
    "JobTimeoutError",
    "Plan",
    "VersionMismatchError",
    "WorkerLostError",
]
