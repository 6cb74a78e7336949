"""Puts our AerSimulator, with a cluster, in the place of upstream's for a whole pytest session.

    make conformance AER=<checkout of qiskit-aer>

Loaded with ``-p`` before any of upstream's tests is imported. Every run is cut as finely as it can
be: one circuit a task, and the shots of each circuit in three parts.
"""

import math
import sys

import pytest
import qiskit_aer
import qiskit_aer.primitives

from aer_dask import AerSimulator, EmbeddedCluster

#: Tests that assert how Aer deals out the threads of this host, each with its reason.
EXCEPTED = {
    "TestGateFusion::test_fusion_parallelization":
        "asserts that a run uses two threads of this host; a worker here has one",
    "TestThreadManagement::test_max_memory_settings":
        "asserts that Aer's default memory is this host's; a worker has its share of it",
}  # fmt: skip

_cluster = None
_tasks = 0


class ClusterSimulator(AerSimulator):
    """What upstream's tests get when they ask for an AerSimulator."""

    @classmethod
    def _default_options(cls):
        options = super()._default_options()
        options.executor = _cluster
        return options

    def run(self, circuits, parameter_binds=None, **run_options):
        """Run cut as finely as possible."""
        global _tasks
        if self._get_executor(**run_options) is None:
            return super().run(circuits, parameter_binds, **run_options)
        shots = int(run_options.get("shots") or self.options.shots)
        run_options = {
            "max_job_size": 1, "max_shot_size": max(1, math.ceil(shots / 3)), **run_options,
        }  # fmt: skip
        job = super().run(circuits, parameter_binds, **run_options)
        job.result()
        _tasks += job.progress().total
        return job


ClusterSimulator.__name__ = ClusterSimulator.__qualname__ = "AerSimulator"


def _replace_everywhere() -> None:
    original = qiskit_aer.AerSimulator
    for name, module in list(sys.modules.items()):
        if name.split(".")[0] == "qiskit_aer":
            for attribute, value in list(vars(module).items()):
                if value is original:
                    setattr(module, attribute, ClusterSimulator)


_replace_everywhere()


def pytest_sessionstart(session):
    global _cluster
    _cluster = EmbeddedCluster(workers=2)


def pytest_sessionfinish(session):
    _cluster.close()


def pytest_terminal_summary(terminalreporter):
    terminalreporter.write_line(f"{_tasks} tasks went through the cluster")


def pytest_collection_modifyitems(items):
    for item in items:
        for part, reason in EXCEPTED.items():
            if part in item.nodeid:
                item.add_marker(pytest.mark.skip(reason=reason))
