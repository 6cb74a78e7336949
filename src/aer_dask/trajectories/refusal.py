"""What shots cannot share, in one sentence for all of it."""

from __future__ import annotations

from qiskit_aer import AerError


def refusal(what: str) -> AerError:
    """The error that says what is in the way of shared trajectories, and what to do."""
    what = what.replace("'", '"')  # an AerError shows its sentence as repr() does
    return AerError(f'noise_sampling="shared" cannot do {what}; use noise_sampling="aer".')
