"""Qiskit Aer on a Dask cluster: same class, same options, same bits as plain Aer.

>>> from aer_dask import AerSimulator
>>> backend = AerSimulator(executor=client)        # doctest: +SKIP

Names are imported when they are first used: a worker that only hands tasks to its child processes
starts without loading Qiskit.
"""

from importlib import import_module
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .clusters.embedded import EmbeddedCluster
    from .clusters.helm import HelmCluster
    from .clusters.kube import KubeCluster as KubeCluster
    from .errors import (
        AerDaskError,
        ClusterError,
        ExecutorError,
        InsufficientMemoryError,
        StoreError,
        VersionMismatchError,
        WorkerLostError,
    )
    from .jobs.errors import JobCancelledError, JobTimeoutError
    from .jobs.jobset import AerJobSet
    from .jobs.report import JobReport
    from .jobs.stored import StoredJob
    from .primitives import EstimatorV2, SamplerV2
    from .runs.plan import Plan
    from .simulator import AerSimulator

__version__ = version("aer-dask")

_HOMES = {
    "AerDaskError": "errors",
    "AerJobSet": "jobs.jobset",
    "AerSimulator": "simulator",
    "ClusterError": "errors",
    "EmbeddedCluster": "clusters.embedded",
    "EstimatorV2": "primitives",
    "ExecutorError": "errors",
    "HelmCluster": "clusters.helm",
    "InsufficientMemoryError": "errors",
    "JobCancelledError": "jobs.errors",
    "JobReport": "jobs.report",
    "JobTimeoutError": "jobs.errors",
    "KubeCluster": "clusters.kube",
    "Plan": "runs.plan",
    "SamplerV2": "primitives",
    "StoreError": "errors",
    "StoredJob": "jobs.stored",
    "VersionMismatchError": "errors",
    "WorkerLostError": "errors",
}

# of KubeCluster the base is an extra's, so that `import *` leaves it out
__all__ = [
    "AerDaskError",
    "AerJobSet",
    "AerSimulator",
    "ClusterError",
    "EmbeddedCluster",
    "EstimatorV2",
    "ExecutorError",
    "HelmCluster",
    "InsufficientMemoryError",
    "JobCancelledError",
    "JobReport",
    "JobTimeoutError",
    "Plan",
    "SamplerV2",
    "StoreError",
    "StoredJob",
    "VersionMismatchError",
    "WorkerLostError",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{_HOMES[name]}", __name__), name)


def __dir__() -> list[str]:
    return sorted(_HOMES)
