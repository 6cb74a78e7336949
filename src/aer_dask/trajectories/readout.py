"""What measurements find, written to classical bits."""

from __future__ import annotations

import numpy as np

from .circuit import Measurement
from .draws import Draws


def write(
    bits: np.ndarray,
    shots: np.ndarray,
    values: np.ndarray,
    number: int,
    measured: Measurement,
    draws: Draws,
) -> None:
    """Write what some shots have measured, with readout errors.

    Args:
        bits: a row for each shot of the circuit, and a column for each classical bit.
        shots: which ones have measured.
        values: what each of them has found.
        number: of the measurement, among those of the circuit.
        measured: the measurement.
        draws: the random numbers of the experiment.
    """
    if measured.readout is not None:
        values = draws.uniform(f"readout {number}", shots) < measured.readout[values, 1]
    bits[shots, measured.bit] = values
