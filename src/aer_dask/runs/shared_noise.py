"""Circuits whose shots share trajectories: what they will take, and which are refused."""

from __future__ import annotations

from typing import Any

from ..compile import codec
from ..compile.assemble import Batch, Compiled
from ..trajectories.circuit import NoisyCircuit
from ..trajectories.prediction import Forecast, forecast
from ..trajectories.refusal import refusal
from ..trajectories.rules import Rules

#: How plans and costs call this way of simulating.
METHOD = "shared trajectories"
#: Options under which the result would be another one, and the values that change nothing.
_ALLOWED: dict[str, tuple[Any, ...]] = {
    "method": (None, "automatic", "statevector"),
    "device": (None, "CPU"),
    "precision": (None, "double"),
}


def forecast_of(circuit: Compiled, batch: Batch, rules: Rules) -> Forecast:
    """What the shots of a circuit will take.

    Args:
        circuit: of the batch.
        batch: whose options and shots apply.
        rules: of the batch's noise model.

    Raises:
        AerError: if they cannot share trajectories, naming what is in the way.
    """
    for name, allowed in _ALLOWED.items():
        if (value := batch.config.get(name)) not in allowed:
            raise refusal(f"{name}={value!r}")
    if circuit.bindings:
        raise refusal("parameters that are bound by parameter_binds; assign them to the circuit")
    if batch.shots < 1:
        raise refusal(f"shots={batch.shots}")
    return forecast(NoisyCircuit.of(codec.decode(circuit.data), rules), batch.shots)
