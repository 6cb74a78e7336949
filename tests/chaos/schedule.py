"""Which fault comes when: decided by a seed before anything happens.

A lap has every kind once, in an order of its own, so that a run of one lap has them all. Within a
lap they come at equal distances; one begins later where the one before has not been recovered from.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import NamedTuple

#: Minutes that a lap takes, which are enough for all kinds.
LAP = 10.0


class Kind(NamedTuple):
    """A kind of fault.

    ``bound`` is how many seconds after its beginning all clients must have an output again of a
    task that has begun since; ``lasts``, which is part of it, is how long the fault is there. What
    ``needs_host`` can be done only where the nodes are ours.
    """

    name: str
    bound: float
    lasts: float = 0.0
    needs_host: bool = False

    def __str__(self) -> str:
        return f"{self.name}, {self.lasts:g} s" if self.lasts else self.name


KINDS = (
    Kind("child killed", 60),
    Kind("child out of memory", 90),
    Kind("worker deleted", 60),
    Kind("worker deleted by force", 60),
    Kind("workers rolled", 180),
    Kind("scaled down and up", 120),
    Kind("scheduler deleted", 180),
    Kind("client killed", 180),
    Kind("node drained", 240),
    Kind("node lost", 300, lasts=100, needs_host=True),
    Kind("client cut off", 90, lasts=5, needs_host=True),
    Kind("client cut off", 180, lasts=60, needs_host=True),
    Kind("worker cut off", 90, lasts=5, needs_host=True),
    Kind("worker cut off", 180, lasts=60, needs_host=True),
)


class Planned(NamedTuple):
    """A fault, ``at`` so many seconds after the start; ``seed`` decides whom it hits."""

    at: float
    kind: Kind
    seed: int


def schedule(seed: int, minutes: float, kinds: Sequence[Kind] = KINDS) -> list[Planned]:
    """The faults of a run, in the order in which they come.

    Args:
        seed: the same one gives the same faults.
        minutes: until the last one has begun; the first lap is as short as that, if need be.
        kinds: which there are.
    """
    chance = random.Random(seed)
    laps = max(1, round(minutes / LAP))
    distance = minutes * 60 / laps / len(kinds)
    order = [kind for _ in range(laps) for kind in chance.sample(kinds, len(kinds))]
    return [
        Planned(round(index * distance, 1), kind, chance.randrange(2**32))
        for index, kind in enumerate(order)
    ]
