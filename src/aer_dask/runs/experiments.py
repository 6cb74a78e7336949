"""What a run counts, and how.

An *experiment* is one result to come: a circuit of a batch with one row of its parameter values. It
has four numbers: ``batch`` (the ``run`` call it belongs to), ``circuit`` (its place in that call's
list), ``row`` (of the circuit's parameter values) and ``ordinal``, which counts the experiments of
its batch and so decides the seed. Its *index*, by which tasks and results name it, is its place in
the list of all experiments of the run: batch after batch, circuit after circuit, row after row.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from typing import Any

from qiskit_aer import AerError

from ..compile.assemble import Batch, Compiled
from ..compile.duration import Duration
from ..compile.memory import Memory
from ..compile.method import can_depend_on_order, depends_on_order
from ..compile.prediction import Prediction
from ..trajectories.prediction import Forecast
from .noise_sampling import METHOD, NoiseSampling

#: Bytes of a state (44 qubits) from which on no worker will do. Aer fails such a circuit by itself,
#: and runs the others of its batch, so that is left to Aer.
BEYOND_ANY_WORKER = 2**48
NO_MEMORY = Memory()
#: How many experiments one call of the controller takes best. Aer copies the values of all of them
#: for each, so 64,000 at once take four times as long; but each call reads its noise model anew.
TOGETHER, TOGETHER_NOISY = 64, 512
#: The same of rows that share what they have in common, each of which becomes a call of its own.
TOGETHER_SHARING = 512
_NO_LIMIT = 2**63
#: Bytes that a shot takes that shares trajectories, its pattern and result, and each of its bits.
_SHOT, _SHOT_BIT = 500, 3


@dataclass(frozen=True, slots=True)
class Experiment:
    """One result to come.

    ``seed`` is the base seed of its batch. ``memory`` is nothing where the decision is Aer's.
    ``inseparable`` says that the experiment cannot be separated from the one before it, and
    ``together`` how many are best given to Aer at once. ``shared`` is the memory of states that
    rows keep for each other; 0 where they share nothing. ``trajectories`` says what shots will take
    that share trajectories; None where Aer simulates them.
    """

    batch: int
    circuit: int
    row: int
    ordinal: int
    shots: int
    prediction: Prediction
    seed: int = 0
    memory: Memory = NO_MEMORY
    inseparable: bool = False
    together: int = _NO_LIMIT
    shared: int = 0
    trajectories: Forecast | None = None


def expand(
    batches: Sequence[Batch], *, prefix_sharing: bool = True, noise_sampling: str = "aer"
) -> Iterator[list[Experiment]]:
    """The experiments of a run in the order of their indices.

    Those of a circuit come together, and all of a batch whose circuits cannot be separated. A
    circuit is compiled when its experiments are asked for.

    Args:
        batches: of the run.
        prefix_sharing: whether rows may share what they have in common.
        noise_sampling: whether shots share trajectories, as the option says.

    Raises:
        AerError: if a batch has none, for shots or seeds out of range, or for what shots cannot
            share.
    """
    for number, batch in enumerate(batches):
        if batch.shots < 0:
            raise AerError(f"shots must not be negative, and {batch.shots} is.")
        counting = _Counting(number, batch, prefix_sharing)
        if noise_sampling == "aer":
            found = counting.aers()
        else:
            found = counting.sampled(NoiseSampling(batch, noise_sampling))
        is_empty = True
        for experiments in filter(None, found):
            is_empty = False
            yield experiments
        if is_empty:
            raise AerError("parameter_binds has no values for any circuit: nothing to run.")


class _Counting:
    """Counts the experiments of a batch, circuit by circuit."""

    def __init__(self, number: int, batch: Batch, prefix_sharing: bool) -> None:
        self._number, self._batch, self._prefix_sharing = number, batch, prefix_sharing
        self._seed, self._limit, self._first = _base_seed(batch), _together(batch), 0

    def aers(self) -> Iterator[list[Experiment]]:
        """All of them simulated by Aer."""
        influenced, circuits = _influenced(self._batch)
        by_circuit = (
            self._aers(index, circuit, influenced) for index, circuit in enumerate(circuits)
        )
        # what cannot be separated comes at once
        yield from [list(chain.from_iterable(by_circuit))] if influenced else by_circuit

    def sampled(self, sampling: NoiseSampling) -> Iterator[list[Experiment]]:
        """Those of some circuits with shots that share trajectories."""
        if can_depend_on_order(self._batch.config, self._batch.noise_facts):
            self._limit = 1  # whoever simulates the others: none influences another one
        for index, circuit in enumerate(self._batch.compile()):
            found = sampling.choose(circuit)
            yield (
                self._aers(index, circuit)
                if found is None
                else self._sharing(index, circuit, found)
            )

    def _aers(self, index: int, circuit: Compiled, influenced: bool = False) -> list[Experiment]:
        batch, first = self._batch, self._first
        memory = _memory(circuit.prediction, batch.config)
        at_run_time = batch.config.get("runtime_parameter_bind_enable")
        # with noise, readout errors included, rows have nothing in common
        shared = _shared(circuit) if self._prefix_sharing and not batch.noise else 0
        together = max(self._limit, TOGETHER_SHARING) if shared else self._limit
        self._first += circuit.rows
        return [
            Experiment(
                self._number, index, row, first + row, batch.shots, circuit.prediction, self._seed,
                memory,
                # rows that Aer binds at run time share one execution, and their metadata says so
                first + row > 0 if influenced else bool(at_run_time and row),
                together, shared,
            )
            for row in range(circuit.rows)
        ]  # fmt: skip

    def _sharing(self, index: int, circuit: Compiled, found: Forecast) -> list[Experiment]:
        batch, first = self._batch, self._first
        prediction = replace(
            circuit.prediction,
            qubits=found.qubits,
            method=METHOD,
            memory=Memory(
                found.state_bytes, found.state_bytes, shot=_SHOT + _SHOT_BIT * found.bits
            ),
            duration=Duration(found.seconds, 0.0),
            divisible=False,
            samplable=False,
        )
        self._first += circuit.rows
        return [
            Experiment(
                self._number, index, row, first + row, batch.shots, prediction, self._seed,
                prediction.memory, trajectories=found,
            )
            for row in range(circuit.rows)
        ]  # fmt: skip


def _influenced(batch: Batch) -> tuple[bool, Iterable[Compiled]]:
    """Whether circuits of the batch influence each other, which only all of them can tell."""
    if not can_depend_on_order(batch.config, batch.noise_facts):
        return False, batch.compile()
    circuits = list(batch.compile())
    return depends_on_order([circuit.prediction.method for circuit in circuits]), circuits


def _shared(circuit: Compiled) -> int:
    # a bound global phase is part of the state that a circuit begins with
    return 0 if circuit.binds_phase else circuit.prediction.shared


def _together(batch: Batch) -> int:
    if batch.config.get("max_parallel_experiments", 1) != 1:
        return _NO_LIMIT  # they run side by side
    return TOGETHER_NOISY if batch.noise else TOGETHER


def _base_seed(batch: Batch) -> int:
    seed = batch.config.get("seed_simulator")
    if seed is None:
        return secrets.randbits(32)
    if not -(2**63) <= seed < 2**63:
        raise AerError(f"seed_simulator must fit in 64 bits, and {seed} does not.")
    return int(seed)


def _memory(prediction: Prediction, config: dict[str, Any]) -> Memory:
    """What a worker must have; nothing where the user has left that to Aer, by max_memory_mb."""
    if "max_memory_mb" in config or prediction.memory.required > BEYOND_ANY_WORKER:
        return NO_MEMORY
    return prediction.memory
