"""How the shots of each circuit of a noisy batch are simulated: by Aer, or sharing trajectories.

The choice depends on circuit, noise, shots and options alone, never on what was measured: with a
seed it decides which bits come out.
"""

from __future__ import annotations

from functools import cached_property
from typing import Any

from qiskit_aer import AerError

from ..compile import codec
from ..compile.assemble import Batch, Compiled
from ..compile.columns import Columns
from ..compile.operations import operations_of
from ..compile.program import Program
from ..trajectories.circuit import NoisyCircuit
from ..trajectories.prediction import READ, Forecast, forecast
from ..trajectories.refusal import refusal
from ..trajectories.rules import Rules

#: How plans and costs call shared trajectories.
METHOD = "shared trajectories"
#: Seconds that Aer takes for each element of a density matrix to apply a channel of two qubits.
_DENSITY_MATRIX = 2e-8
#: States that take more, alive at once, are not chosen where Aer would do with one of them.
_MOST_BYTES = 2**30
#: Options under which the result would be another one, and the values that change nothing.
_ALLOWED: dict[str, tuple[Any, ...]] = {
    "method": (None, "automatic", "statevector"),
    "device": (None, "CPU"),
    "precision": (None, "double", "single"),
}


class NoiseSampling:
    """Decides about the circuits of a batch.

    Args:
        batch: whose options, noise and shots apply.
        kind: ``"shared"`` for all circuits, ``"auto"`` for those for which it is faster.
    """

    def __init__(self, batch: Batch, kind: str) -> None:
        self._batch, self._kind = batch, kind
        self._known: dict[Columns, Forecast | None] = {}

    def choose(self, circuit: Compiled) -> Forecast | None:
        """What shots will take that share trajectories; None if Aer is to simulate the circuit.

        Raises:
            AerError: where all circuits are to share, and this one cannot, naming what is in the
                way.
        """
        program = codec.decode(circuit.data)
        if circuit.bindings:  # the numbers of other rows change nothing that matters here
            program = program.bound(circuit.bindings)
        if not isinstance(program, Columns):
            return self._chosen(circuit, program)
        # angles may be anything: faults that come to the same are few
        alike = program._replace(global_phase_angle=0.0, params=b"")
        if alike not in self._known:
            self._known[alike] = self._chosen(circuit, program)
        return self._known[alike]

    def _chosen(self, circuit: Compiled, program: Program | Columns) -> Forecast | None:
        if self._kind == "shared":
            return self._forecast(program)
        operations, method = len(operations_of(program)), circuit.prediction.method
        seconds = circuit.prediction.duration.seconds(self._batch.shots)
        channel = _DENSITY_MATRIX * 4.0**circuit.prediction.qubits
        if method == "density_matrix":
            seconds = operations * channel  # at the most: Aer fuses them
        if seconds < operations * READ:
            return None
        try:
            found = self._forecast(program)
        except AerError:
            return None
        if method == "density_matrix":
            seconds = found.blocks * channel  # Aer fuses gates and their errors as the blocks are
        is_better = found.seconds < seconds and found.state_bytes <= _MOST_BYTES
        return found if is_better else None

    def _forecast(self, program: Program | Columns) -> Forecast:
        for name, allowed in _ALLOWED.items():
            if (value := self._batch.config.get(name)) not in allowed:
                raise refusal(f"{name}={value!r}")
        if self._batch.shots < 1:
            raise refusal(f"shots={self._batch.shots}")
        precision = self._batch.config.get("precision") or "double"
        return forecast(NoisyCircuit.of(program, self._rules), self._batch.shots, precision)

    @cached_property
    def _rules(self) -> Rules:
        return Rules(self._batch.noise)
