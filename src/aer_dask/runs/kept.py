"""What is there of a run from before: which results, which slices of shots, and what is missing."""

from __future__ import annotations

from bisect import bisect
from collections import defaultdict
from collections.abc import Iterable
from typing import Any, NamedTuple

from .merge import TIMES, TYPES, RawOutput, RawResult, were_divisible
from .plan import Missing, Piece, Planner


class KeptResult(NamedTuple):
    """A result of all shots of an experiment or of some, and the output that it came in."""

    piece: Piece
    result: RawResult
    output: RawOutput


class Kept:
    """Of all that was found of a run, what fits together.

    Results of different plans overlap, and so do those of two clients. Of each experiment the whole
    is chosen, or slices of its shots that do not overlap. Failed ones count as not there: another
    worker may have the memory that was lacking.

    Args:
        planner: of the run.
        found: pieces and outputs, in any order.
    """

    def __init__(self, planner: Planner, found: Iterable[tuple[Piece, Any]] = ()) -> None:
        self._planner, self._experiments = planner, planner.experiments
        # of the same piece one is enough to hold
        candidates: dict[int, dict[Piece, KeptResult]] = defaultdict(dict)
        for piece, output in found:
            if self._is_output(piece, output):
                covered = range(piece.start, piece.stop)
                for index, result in zip(covered, output["results"], strict=True):
                    if planner.fits(index, piece) and self._is_result(index, piece, result):
                        candidates[index].setdefault(piece, KeptResult(piece, result, output))
        chosen = {i: self._chosen(i, [*each.values()]) for i, each in candidates.items()}
        #: of each experiment, by its index, what is there of it, in order
        self.results = {index: each for index, each in chosen.items() if each}
        self.missing = {index: self._missing(index, each) for index, each in self.results.items()}
        for chain in self._chains():
            if not all(map(self.is_complete, chain)):
                for index in chain:
                    self.results.pop(index, None)
                    self.missing.pop(index, None)

    def is_complete(self, index: int) -> bool:
        """Whether all shots of an experiment are there."""
        return index in self.missing and not self.missing[index].intervals

    @property
    def complete(self) -> list[int]:
        """The experiments of which all shots are there."""
        return sorted(filter(self.is_complete, self.missing))

    @property
    def pieces(self) -> int:
        """How many pieces they were cut into."""
        return len({piece for results in self.results.values() for piece, *_ in results})

    @property
    def shots(self) -> int:
        """How many shots are there, of all experiments together."""
        return round(
            sum(self._experiments[i].shots * (1 - each.share) for i, each in self.missing.items())
        )

    def _is_output(self, piece: Piece, output: Any) -> bool:
        return (
            0 <= piece.start < piece.stop <= len(self._experiments)
            and self._experiments[piece.start].batch == self._experiments[piece.stop - 1].batch
            and isinstance(output, dict)
            and _are_numbers(output.get("metadata", {}), *TIMES)
            and isinstance(output.get("results"), list)
            and len(output["results"]) == piece.stop - piece.start
        )

    def _is_result(self, index: int, piece: Piece, result: Any) -> bool:
        return (
            isinstance(result, dict)
            and result.get("success") is True
            and isinstance(result.get("status"), str)
            and isinstance(result.get("data"), dict)
            and _are_numbers(result.get("metadata"), "time_taken")
            and isinstance(result["metadata"].get("method", ""), str)
            and all(isinstance(result["metadata"].get(key, {}), dict) for key in TYPES)
            and isinstance(result.get("time_taken"), float)
            and type(shots := result.get("shots")) is int
            and (piece.parts > 1 or shots == piece.shots)
        )

    def _chosen(self, index: int, candidates: list[KeptResult]) -> list[KeptResult]:
        """The whole, or what fits together of the rest."""
        for each in candidates:
            if each.piece.is_whole(self._experiments[index].shots):
                return [each]
        if self._experiments[index].trajectories is not None:
            return _of_one_cut(candidates)
        chosen = _apart([each for each in candidates if each.piece.stop == each.piece.start + 1])
        if self._planner.options.independent or were_divisible([r.result for r in chosen]):
            return chosen
        return []

    def _missing(self, index: int, there: list[KeptResult]) -> Missing:
        shots, parts = self._experiments[index].shots, there[0].piece.parts
        total, gaps, end = parts or shots, [], 0
        for piece, *_ in there:
            first = piece.key
            if first > end:
                gaps.append((end, first))
            end = first + (1 if parts else piece.shots)
        if end < total:
            gaps.append((end, total))
        return Missing(tuple(gaps), sum(b - a for a, b in gaps) / max(total, 1), parts)

    def _chains(self) -> list[list[int]]:
        """The experiments that cannot be separated from each other, of which there is something."""
        chains: list[list[int]] = []
        for index, experiment in enumerate(self._experiments):
            if not experiment.inseparable:
                chains.append([])
            chains[-1].append(index)
        return [chain for chain in chains if len(chain) > 1]


def _apart(candidates: list[KeptResult]) -> list[KeptResult]:
    """Slices that do not overlap, the longest first; in their order."""
    chosen: list[KeptResult] = []
    for each in sorted(candidates, key=lambda each: (-each.piece.shots, each.piece.first_shot)):
        place = bisect(chosen, each.piece.first_shot, key=_first)
        before, after = chosen[place - 1 : place], chosen[place : place + 1]
        if all(_end(other) <= _first(each) for other in before) and all(
            _end(each) <= _first(other) for other in after
        ):
            chosen.insert(place, each)
    return chosen


def _first(kept: KeptResult) -> int:
    return kept.piece.first_shot


def _end(kept: KeptResult) -> int:
    return kept.piece.first_shot + kept.piece.shots


def _are_numbers(metadata: Any, *names: str) -> bool:
    """Whether metadata is some, in which these are numbers where they are."""
    return isinstance(metadata, dict) and all(
        isinstance(metadata.get(name, 0.0), (int, float)) for name in names
    )


def _of_one_cut(candidates: list[KeptResult]) -> list[KeptResult]:
    """The parts of shots that were cut into so many of which most of them are there."""
    cuts: dict[int, dict[int, KeptResult]] = defaultdict(dict)
    for each in candidates:
        cuts[each.piece.parts].setdefault(each.piece.part, each)
    best = max(cuts, key=lambda parts: len(cuts[parts]) / parts)
    return [cuts[best][part] for part in sorted(cuts[best])]
