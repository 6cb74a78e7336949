"""The values that are bound to the parameters of a circuit, row by row."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np
from qiskit_aer import AerError
from qiskit_aer.backends.controller_wrappers import AerConfig

#: Values as Aer takes them: the place of each parameter, and its value in each row.
Table = list[tuple[tuple[int, int], list[float]]]
GLOBAL_PHASE: int = AerConfig.GLOBAL_PHASE_POS


class Bindings(NamedTuple):
    """Values for the places of a circuit that have parameters.

    A place is a parameter (``positions``) of an instruction (``instructions``, or
    :data:`GLOBAL_PHASE`). Its values are a column (``columns``) of ``values``, which has a row for
    each result: an ansatz has a few hundred expressions in ten thousand places.
    """

    instructions: np.ndarray
    positions: np.ndarray
    columns: np.ndarray
    values: np.ndarray

    @classmethod
    def of(cls, places: Iterable[tuple[int, int, int]], values: list[np.ndarray]) -> Bindings:
        """Bindings of places: instruction, position, and which of the values.

        Raises:
            AerError: if there are not as many values for each.
        """
        if not values:
            return NOTHING_BOUND
        lengths = {len(column) for column in values}
        if len(lengths) > 1:
            raise AerError(
                "Parameters are bound to different numbers of values: "
                f"{', '.join(map(str, sorted(lengths)))}. Give each the same number."
            )
        instructions, positions, columns = np.array(list(places), dtype=int).reshape(-1, 3).T
        # Aer's own order may be another; of values for one place the last one counts
        order = np.argsort(instructions, kind="stable")
        matrix = np.stack(values, axis=1)
        return cls(instructions[order], positions[order], columns[order], matrix)

    def __bool__(self) -> bool:
        return len(self.instructions) > 0

    @property
    def rows(self) -> int:
        """How many results there are: one where nothing is bound."""
        return len(self.values)

    def part(self, start: int, stop: int) -> Bindings:
        """Some of the rows."""
        if (start, stop) == (0, self.rows):
            return self  # an object that travels once, however many circuits have it
        return self._replace(values=self.values[start:stop])

    def phases(self) -> np.ndarray | None:
        """The global phase of each row in radians, if it is bound."""
        if not self:
            return None
        bound = self.columns[self.instructions == GLOBAL_PHASE]
        return self.values[:, bound[0]] if len(bound) else None

    def table(self) -> Table:
        """The values as Aer takes them."""
        lists = self.values.T.tolist()
        places = zip(self.instructions.tolist(), self.positions.tolist(), strict=True)
        return [
            (place, lists[column])
            for place, column in zip(places, self.columns.tolist(), strict=True)
        ]


_NO_PLACES = np.empty(0, dtype=int)
#: What a circuit has that is given no values: one result.
NOTHING_BOUND = Bindings(_NO_PLACES, _NO_PLACES, _NO_PLACES, np.empty((1, 0)))


def row(values: Any) -> np.ndarray:
    """Parameter values as Aer binds them: a vector of doubles, one for each row."""
    return np.asarray(values, dtype=float).ravel()
