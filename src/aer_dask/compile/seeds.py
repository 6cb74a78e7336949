"""The rule by which Aer seeds experiments and shots.

``controllers/controller_execute.hpp`` and ``simulators/circuit_executor.hpp``: circuit k of a run,
counted after parameter rows are expanded, has the seed ``s + 2113 k``; where shots are simulated
one by one, shot j is seeded with the circuit's seed plus j.
"""

from __future__ import annotations

#: Distance of the seeds of neighbouring circuits.
STRIDE = 2113


def seed_of(base: int, ordinal: int, first_shot: int = 0) -> int:
    """The seed of a shot.

    Args:
        base: seed of the run.
        ordinal: the experiment, counted from 0.
        first_shot: the shot, counted from 0.
    """
    return _int64(base + STRIDE * ordinal + first_shot)


def _int64(value: int) -> int:
    """The value as C++ would wrap it into a signed 64-bit integer."""
    return (value + 2**63) % 2**64 - 2**63
