"""Random numbers that each shot has of its own, whoever asks for them and in whatever order.

A number is a hash of the seed, the experiment, what is drawn, and the shot. So the shots of a
circuit can be simulated in any groups, anywhere, and come out the same.
"""

from __future__ import annotations

import hashlib
from typing import NamedTuple

import numpy as np

_WORD = np.uint64
_GOLDEN, _FIRST, _SECOND = map(_WORD, (0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB))


class Draws(NamedTuple):
    """The random numbers of one experiment of a run."""

    seed: int
    experiment: int

    def uniform(self, stream: str, shots: np.ndarray) -> np.ndarray:
        """A uniform number in [0, 1) for each shot: 53 bits.

        Two rounds of the output function of SplitMix64 (Steele, Lea, Flood, OOPSLA 2014), begun at
        a place of the sequence that SHA-256 chooses.

        Args:
            stream: what is drawn; numbers of different streams are independent.
            shots: which shots, counted from 0.
        """
        words = f"{self.seed} {self.experiment} {stream}".encode()
        offset = np.frombuffer(hashlib.sha256(words).digest()[:8], "<u8")
        mixed = shots.astype(_WORD) * _GOLDEN + offset
        for _ in range(2):
            mixed = (mixed ^ (mixed >> _WORD(30))) * _FIRST
            mixed = (mixed ^ (mixed >> _WORD(27))) * _SECOND
            mixed ^= mixed >> _WORD(31)
        return (mixed >> _WORD(11)) * 2.0**-53
