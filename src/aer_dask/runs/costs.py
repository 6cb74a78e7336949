"""Estimates of seconds, corrected by what finished tasks really took."""

from __future__ import annotations

import math

from ..compile.prediction import Prediction


class CostModel:
    """One factor for each simulation method, learnt from the tasks that its owner has run.

    A backend owns one and gives it to its runs: where its tasks are cut depends on what it has
    run before. The bits never do.
    """

    def __init__(self) -> None:
        self._factors: dict[str, float] = {}

    def seconds(self, prediction: Prediction, shots: int) -> float:
        """Estimated seconds for so many shots of one circuit on one thread."""
        return prediction.duration.seconds(shots) * self._factors.get(prediction.method, 1.0)

    def learn(self, method: str, uncorrected: float, measured: float) -> None:
        """Move a method's factor half of the way (geometrically) to what was measured.

        Args:
            method: simulation method.
            uncorrected: seconds that :meth:`Duration.seconds` gave.
            measured: seconds that Aer reports as ``time_taken``.
        """
        if uncorrected > 0 and measured > 0:
            factor = self._factors.get(method, 1.0)
            self._factors[method] = math.sqrt(factor * measured / uncorrected)
