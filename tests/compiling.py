"""What the package makes of circuits before it sends anything."""

from aer_dask.compile.assemble import Assembler, Request
from aer_dask.compile.assemble import _with_saves as with_saves  # noqa: F401
from aer_dask.runs.run import Run


def assemble(backend, circuits, binds, run_options, paulis=None):
    """One batch, compiled alone."""
    batch = Assembler(backend, run_options).assemble(Request(circuits, binds, {}, paulis))
    list(batch.compile())
    return batch


def compiled_run(*args):
    """A run with all its circuits compiled."""
    run = Run(*args)
    run.compile()
    return run
