"""What shared trajectories of a circuit will take: patterns, share of the work, seconds, memory."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import accumulate

import numpy as np

from .blocks import Block
from .circuit import NoisyCircuit
from .control import Control
from .engine import AMPLITUDES

#: Seconds of a block: fixed part, and part per amplitude, fitted to 60 runs of 4 to 16 qubits on
#: one core of 2026.
_BLOCK = {"double": (5e-6, 3.1e-9), "single": (5e-6, 2.1e-9)}
#: The same of a final state, with what was drawn to come to it, and of a choice by the state.
_LEAF, _CHOICE = (6e-5, 4e-9), (9e-5, 2e-8)
#: Seconds to read an operation, and to draw a fault.
READ, _DRAW = 4.5e-5, 1e-6


@dataclass(frozen=True)
class Forecast:
    """What the shots of a circuit are expected to take.

    A shot alone applies ``blocks`` matrices and has ``faults`` faults, on the average. ``patterns``
    is how many different ones there are, and ``share`` the blocks that are applied in parts of
    those of all shots one by one, both from above; ``choice`` is the probability that something in
    a shot is chosen from the state. ``bits`` are classical ones, of which counts are made if
    something ``is_measured``.
    ``seconds`` are of one thread, ``state_bytes`` of the states that are alive at once.
    """

    qubits: int
    blocks: int
    faults: float
    patterns: float
    share: float
    choice: float
    bits: int
    is_measured: bool
    seconds: float
    state_bytes: int


def forecast(circuit: NoisyCircuit, shots: int, precision: str = "double") -> Forecast:
    """Predict what the shots of a circuit take.

    Patterns of a single fault are counted exactly; all others are taken for different ones.
    """
    total = len(circuit.blocks)
    ends = np.searchsorted(circuit.site_blocks, np.arange(total), side="right")
    rates = np.concatenate([[0.0], np.cumsum(circuit.rates)])
    clean = np.exp(-rates[ends])  # the probability of no fault up to the end of each block
    first = np.concatenate([[1.0], clean[:-1]]) - clean
    single, kinds = _of_single_faults(circuit, shots)
    parted = 1 + np.cumsum(kinds + shots * np.maximum(first - single, 0.0))
    ways = branches(circuit, shots)
    states = np.minimum(parted * ways, shots)  # evolved in each block
    work, leaves = float(states.sum()), float(states[-1])
    choices = float(states @ [len(_choices(block)) for block in circuit.blocks])
    choices += shots * _rare_choices(circuit)
    faults, amplitudes = float(rates[-1]), 2.0**circuit.num_qubits
    fixed, per_amplitude = _BLOCK[precision]
    return Forecast(
        qubits=circuit.num_qubits,
        blocks=total,
        faults=faults,
        patterns=min(float(parted[-1]), shots),
        share=work / (total * shots),
        choice=choice_probability(circuit),
        bits=circuit.num_bits,
        is_measured=bool(circuit.measurements),
        seconds=work * (fixed + per_amplitude * amplitudes)
        + leaves * (_LEAF[0] + _LEAF[1] * amplitudes) * (1 + len(circuit.averages))
        + choices * (_CHOICE[0] + _CHOICE[1] * amplitudes)
        + circuit.operations * READ + shots * (1 + faults) * _DRAW,
        state_bytes=math.ceil(
            AMPLITUDES[precision].itemsize * amplitudes
            * (7 + faults + 3 * math.sqrt(faults) + math.log2(ways[-1]))
        ),
    )  # fmt: skip


def choice_probability(circuit: NoisyCircuit) -> float:
    """The probability that the state decides about something in a shot."""
    left = 1.0
    for site in circuit.sites:
        left *= sum(outcome.probability for outcome in site.mixture if not outcome.has_choice)
    return min(max(1.0 - left, 0.0), 1.0)


def branches(circuit: NoisyCircuit, shots: int) -> np.ndarray:
    """For each block, into how many states those of a pattern may have parted by its end."""
    operators = [math.prod(_choices(block)) for block in circuit.blocks]
    return np.array(list(accumulate(operators, lambda a, b: min(a * b, float(shots)))))


def _choices(block: Block | Control) -> list[int]:
    """How many operators there are of each choice that a block has in every shot."""
    steps = (step for site in block.sites for step in site.mixture[0].steps)
    return [len(step.operators) for step in steps if step.is_choice]


def _rare_choices(circuit: NoisyCircuit) -> float:
    """How many choices a shot has in faults, on the average."""
    return sum(
        outcome.probability
        for site in circuit.sites
        for outcome in site.mixture[1:]
        if outcome.has_choice
    )


def _of_single_faults(circuit: NoisyCircuit, shots: int) -> tuple[np.ndarray, np.ndarray]:
    """For each block, the probability of one fault in it and none elsewhere, and how many kinds."""
    clean = math.exp(-circuit.rates.sum())
    single, kinds = np.zeros((2, len(circuit.blocks)))
    for site, block in zip(circuit.sites, circuit.site_blocks.tolist(), strict=True):
        odds = np.array([outcome.probability for outcome in site.mixture[1:]])
        alone = np.minimum(odds / site.mixture[0].probability * clean, 1 - 1e-12)
        single[block] += alone.sum()
        kinds[block] -= np.expm1(shots * np.log1p(-alone)).sum()
    return single, kinds
