"""Rows of parameter values that share their simulation up to where they differ.

Gradients, parameter shifts and scans change few parameters from row to row. Rows are taken in the
order of their values, by where the circuit uses them, so that neighbours share the longest
prefixes; on its way a row saves the state where later ones part from it, and they begin there. The
gates are applied in the same order to the same numbers, so the bits are those of a whole run under
the conditions of :mod:`aer_dask.compile.sharing`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from ..compile.bindings import Bindings, Table
from ..compile.columns import Columns
from ..compile.duration import MAKE, evolution
from ..compile.sharing import STATES, last_cut
from .templates import Template, circuit_of

#: Seconds to hand over one amplitude of a state.
_AMPLITUDE = 1e-7
#: What sharing must save, at the least, of all the time that the rows take on their own.
_WORTH = 0.05
_CUT = "aer_dask_state_"

Execute = Callable[[Any, Table, int], dict[str, Any]]


class Leg(NamedTuple):
    """A row, from the instruction that it begins at, and the instructions before which it saves."""

    row: int
    start: int
    saves: tuple[int, ...]


@dataclass(frozen=True)
class Rows:
    """Rows of values, one for each result, whose columns stand in the order of their use.

    ``first_uses`` are the instructions that use a column first.
    """

    bindings: Bindings
    values: np.ndarray
    first_uses: np.ndarray

    @classmethod
    def of(cls, bindings: Bindings) -> Rows:
        """The rows that are bound to a circuit."""
        columns, places = np.unique(bindings.columns, return_index=True)
        order = np.argsort(places)
        return cls(
            bindings,
            bindings.values[:, columns[order]],
            bindings.instructions[places[order]],
        )

    def order(self) -> np.ndarray:
        """The rows sorted by their values, those used first before all others."""
        return np.lexsort(self.values.T[::-1])

    def depths(self, order: np.ndarray, end: int) -> list[int]:
        """For each row in that order but the last: the first instruction in which the next differs.

        Values differ where their bits do; -0.0 is not 0.0. At most ``end``.
        """
        bits = np.ascontiguousarray(self.values[order]).view(np.uint64)
        differ = bits[1:] != bits[:-1]
        first = self.first_uses[differ.argmax(axis=1)]
        return np.where(differ.any(axis=1), np.minimum(first, end), end).tolist()  # type: ignore[no-any-return]


def best_route(columns: Columns, rows: Rows) -> list[Leg] | None:
    """The order and beginnings of rows that take the least time; None where none saves enough."""
    order, end = rows.order(), last_cut(columns)
    depths = rows.depths(order, end)
    cost = _Cost(columns)
    routes = []
    for pieces in (4, 8, STATES):
        step = max(1, -(-end // pieces))
        legs = list(_route(order.tolist(), depths, step))
        routes.append((cost.of(legs), legs))
    least, legs = min(routes, key=lambda route: route[0])
    alone = len(legs) * len(columns.codes) * cost.gate
    return legs if least < (1 - _WORTH) * alone else None


def _route(order: list[int], depths: list[int], step: int) -> Iterator[Leg]:
    """Rows in order, cutting at multiples of a step only, so that few circuits have to be made."""
    kept = {0}
    for place, row in enumerate(order):
        if place:
            kept = {cut for cut in kept if cut <= depths[place - 1]}
        start = max(kept)
        saves = sorted(set(_cuts_ahead(depths, place, step)) - kept)
        kept.update(saves)
        yield Leg(row, start, tuple(saves))


def _cuts_ahead(depths: list[int], place: int, step: int) -> Iterator[int]:
    """The cuts on the path of a row where later rows begin, while they are on its path."""
    lowest: int | None = None
    for depth in depths[place:]:
        lowest = depth if lowest is None else min(lowest, depth)
        if lowest < step:
            return
        yield lowest // step * step


class _Cost:
    """Seconds that a route takes, roughly."""

    def __init__(self, columns: Columns) -> None:
        self.gate = evolution("statevector", columns.num_qubits, 1)
        self._state = _AMPLITUDE * 2.0**columns.num_qubits
        self._size = len(columns.codes)
        self._saves = len(columns.paulis)

    def of(self, legs: Sequence[Leg]) -> float:
        """Gates to be simulated, circuits to be made, and states to be handed over."""
        seconds, made = 0.0, {0}
        for leg in legs:
            seconds += (self._size - leg.start) * self.gate + len(leg.saves) * self._state
            if leg.saves or leg.start not in made:
                seconds += (self._size - leg.start + self._saves) * MAKE + self._state
            if not leg.saves:
                made.add(leg.start)
        return seconds


class SharedRun:
    """Simulates rows leg by leg.

    Args:
        template: the circuit, of columns.
        rows: the values bound to it.
        execute: gives the controller's output for one circuit, a table of values, and the row that
            they are of.
    """

    def __init__(self, template: Template, rows: Rows, execute: Execute) -> None:
        assert template.columns is not None
        self._columns, self._rows, self._execute = template.columns, rows, execute
        self._states: dict[int, np.ndarray] = {}
        self._circuits: dict[int, Any] = {0: template.circuit}
        #: by where a leg starts and what it saves
        self._places: dict[tuple[Any, ...], tuple[list[tuple[int, int]], np.ndarray]] = {}

    def output(self, legs: Sequence[Leg]) -> dict[str, Any] | None:
        """What one call of the controller for all rows would give; None where Aer fails."""
        outputs: dict[int, dict[str, Any]] = {}
        for leg in legs:
            output = self._run(leg)
            if not output["success"]:
                return None
            outputs[leg.row] = output
        joined = dict(outputs[0])
        joined["results"] = [outputs[row]["results"][0] for row in range(len(legs))]
        joined["metadata"] = dict(outputs[0]["metadata"])
        for key in ("time_taken_execute", "time_taken_parameter_binding"):
            joined["metadata"][key] = sum(o["metadata"].get(key, 0.0) for o in outputs.values())
        return joined

    def _run(self, leg: Leg) -> dict[str, Any]:
        # a row begins at the deepest state there is, so those beyond are of no use any more
        for cut in [cut for cut in self._states if cut > leg.start]:
            del self._states[cut]
            self._circuits.pop(cut, None)
        output = self._execute(self._circuit(leg), self._table(leg), leg.row)
        if output["success"]:
            self._states.update(_take_states(output["results"][0], leg.saves))
        return output

    def _circuit(self, leg: Leg) -> Any:
        """The circuit from the leg's start on, kept where it saves nothing on its way."""
        if leg.saves or leg.start not in self._circuits:
            part = self._columns.since(leg.start)
            circuit = circuit_of(part, self._calls(leg, part))
            if leg.saves:
                return circuit
            self._circuits[leg.start] = circuit
        return self._circuits[leg.start]

    def _calls(self, leg: Leg, part: Columns) -> Iterator[tuple[str, tuple[Any, ...]]]:
        qubits = list(range(self._columns.num_qubits))
        if leg.start:
            yield "set_statevector", (qubits, [self._states[leg.start]])
        for instruction, call in enumerate(part.calls(), leg.start):
            if instruction in leg.saves:
                label = f"{_CUT}{instruction}"
                yield "save_state", (qubits, "save_statevector", "single", label)
            yield call

    def _table(self, leg: Leg) -> Table:
        """The values of the leg's row, at the places where the leg's circuit has them."""
        if (known := self._places.get(leg[1:])) is None:
            known = self._places[leg[1:]] = self._places_of(leg)
        places, columns = known
        values = self._rows.bindings.values[leg.row, columns].tolist()
        return [(place, [value]) for place, value in zip(places, values, strict=True)]

    def _places_of(self, leg: Leg) -> tuple[list[tuple[int, int]], np.ndarray]:
        """Where a leg's circuit has values, and in which columns those stand."""
        bindings = self._rows.bindings
        first = int(np.searchsorted(bindings.instructions, leg.start))
        instructions = bindings.instructions[first:]
        saved_before = np.searchsorted(leg.saves, instructions, side="right")
        moved = instructions - leg.start + bool(leg.start) + saved_before
        places = zip(moved.tolist(), bindings.positions[first:].tolist(), strict=True)
        return list(places), bindings.columns[first:]


def _take_states(result: dict[str, Any], cuts: Sequence[int]) -> Iterator[tuple[int, np.ndarray]]:
    """The saved states out of a result, which is then as if nothing had been saved."""
    metadata = result["metadata"]
    for cut in cuts:
        label = f"{_CUT}{cut}"
        yield cut, result["data"].pop(label)
        for kind in ("result_types", "result_subtypes"):
            metadata[kind].pop(label)
            if not metadata[kind]:
                del metadata[kind]
