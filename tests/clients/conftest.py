"""Programs of other libraries: each runs over two workers and with plain Aer, and must not differ.

What each made of the cluster (runs, circuits, tasks) is printed at the end, as the table
of docs/clients.md.
"""

from importlib.metadata import version

import pytest
import qiskit_aer

import aer_dask
from aer_dask import AerSimulator
from tests.placement import executed
from tests.real.conftest import client, cluster  # noqa: F401 (fixtures)

#: The rows of the table that is printed at the end.
ROWS = []


@pytest.fixture
def jobs(monkeypatch):
    """The job sets that have been started."""
    jobs = []
    run_batches = AerSimulator.run_batches
    monkeypatch.setattr(
        AerSimulator, "run_batches",
        lambda *args, **options: jobs.append(run_batches(*args, **options)) or jobs[-1],
    )  # fmt: skip
    return jobs


@pytest.fixture
def on_both(client, jobs):  # noqa: F811
    """A function that runs a program over the cluster and with plain Aer, and returns both results.

    A program takes a backend, and the module that has the primitives for it. ``make`` makes a
    backend of either class. That the tasks were run by the workers is seen in the workers' logs.
    """

    def on_both(package, what, program, make=lambda kind, **options: kind(**options)):
        spread = program(make(AerSimulator, executor=client, max_job_size=4), aer_dask)
        tasks = [len(job.plan().tasks) for job in jobs]
        placed = [executed(client, job) for job in jobs]
        assert [sum(map(len, ran.values())) for ran in placed] == tasks, "not all ran on workers"
        # fewer than four tasks may be over before the second worker is asked
        assert tasks
        assert max(tasks) < 4 or any(all(ran.values()) for ran in placed), "on one worker only"
        circuits = sum(len(result.results) for job in jobs for result in job.results())
        ROWS.append((f"{package} {version(package)}", what, len(jobs), circuits, sum(tasks)))
        expected = program(make(qiskit_aer.AerSimulator, max_job_size=4), qiskit_aer.primitives)
        assert len(jobs) == len(tasks), "plain Aer used the cluster"
        return spread, expected

    return on_both


def pytest_terminal_summary(terminalreporter):
    """The table for the documents."""
    terminalreporter.write_line("| library | program | runs | circuits | tasks |")
    terminalreporter.write_line("| --- | --- | --- | --- | --- |")
    for row in ROWS:
        terminalreporter.write_line(f"| {' | '.join(map(str, row))} |")
