"""What measurements found to classical bits, with readout errors."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .circuit import Measurement
from .draws import Draws

#: What a measurement found that a shot has jumped over.
NOTHING = 2


def classical_bits(
    measurements: Sequence[Measurement],
    num_bits: int,
    found: np.ndarray,
    shots: np.ndarray,
    draws: Draws,
) -> np.ndarray:
    """The classical bits of shots after some measurements.

    Args:
        measurements: all of the circuit, or its first ones.
        num_bits: how many classical bits there are.
        found: a row for each shot, and a column for each measurement: 0, 1 or :data:`NOTHING`.
        shots: which ones they are.
        draws: the random numbers of the experiment.

    Returns:
        A row for each shot and a column for each classical bit.
    """
    bits = np.zeros((len(shots), num_bits), np.uint8)
    for number, (_, bit, readout, _) in enumerate(measurements):
        value, happened = found[:, number], found[:, number] != NOTHING
        if readout is not None:
            drawn = draws.uniform(f"readout {number}", shots)
            value = drawn < readout[np.where(happened, value, 0), 1]
        bits[happened, bit] = value[happened]
    return bits
