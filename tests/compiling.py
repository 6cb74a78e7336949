"""What the package makes of circuits before it sends anything."""

from aer_dask.compile.assemble import Assembler, Request
from aer_dask.compile.assemble import _with_saves as with_saves  # noqa: F401


def assemble(backend, circuits, binds, run_options, paulis=None):
    """One batch, compiled alone."""
    return Assembler(backend, run_options).assemble(Request(circuits, binds, {}, paulis))
