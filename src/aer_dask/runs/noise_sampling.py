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
from ..trajectories.circuit import NoisyCircuit
from ..trajectories.prediction import Forecast, forecast
from ..trajectories.refusal import refusal
from ..trajectories.rules import Rules

#: How plans and costs call shared trajectories.
METHOD = "shared trajectories"
#: Seconds that Aer takes for each element of a density matrix to apply a channel of two qubits.
_DENSITY_MATRIX = 2e-8
#: Options under which the result would be another one, and the values that change nothing.
_ALLOWED: dict[str, tuple[Any, ...]] = {
    "method": (None, "automatic", "statevector"),
    "device": (None, "CPU"),
    "precision": (None, "double"),
}


class NoiseSampling:
    """Decides about the circuits of a batch.

    Args:
        batch: whose options, noise and shots apply.
        kind: ``"shared"`` for all circuits, ``"auto"`` for those for which it is faster.
    """

    def __init__(self, batch: Batch, kind: str) -> None:
        self._batch, self._kind = batch, kind

    def forecast(self, circuit: Compiled) -> Forecast | None:
        """What shots will take that share trajectories; None if Aer is to simulate the circuit.

        Raises:
            AerError: where all circuits are to share, and this one cannot, naming what is in the
                way.
        """
        if self._kind == "shared":
            return self._forecast(circuit)
        try:
            found = self._forecast(circuit)
        except AerError:
            return None
        return found if found.seconds < _aers_seconds(circuit, found, self._batch) else None

    def _forecast(self, circuit: Compiled) -> Forecast:
        for name, allowed in _ALLOWED.items():
            if (value := self._batch.config.get(name)) not in allowed:
                raise refusal(f"{name}={value!r}")
        if self._batch.shots < 1:
            raise refusal(f"shots={self._batch.shots}")
        program = codec.decode(circuit.data)
        if circuit.bindings:  # the numbers of other rows change nothing that matters here
            program = program.bound(circuit.bindings)
        return forecast(NoisyCircuit.of(program, self._rules), self._batch.shots)

    @cached_property
    def _rules(self) -> Rules:
        return Rules(self._batch.noise)


def _aers_seconds(circuit: Compiled, found: Forecast, batch: Batch) -> float:
    """What Aer takes for the same."""
    if circuit.prediction.method == "density_matrix":
        # Aer fuses gates and their errors as the blocks are
        return found.blocks * _DENSITY_MATRIX * 4.0**found.qubits
    return circuit.prediction.duration.seconds(batch.shots)
