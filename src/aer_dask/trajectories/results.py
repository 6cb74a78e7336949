"""Simulated shots in the form of Aer's results: of a part while they travel, and of the whole.

A part has the shots themselves, and says of each thing in it how it adds up, in the words of Aer
(``result_subtypes``), so parts are put together like any saved data. Counts are made at the end.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .prediction import Forecast
from .saves import mean
from .simulation import SCHEME, Shots

_SUBTYPES = {"shots": "list", "bits": "list", "patterns": "accum", "blocks": "accum"}
#: What is averaged travels as two things, which are called so and by its label.
_SCALE, _DIGITS = "scale of ", "digits of "


def of_part(shots: Shots, seconds: float) -> dict[str, Any]:
    """What a worker gives for some of the shots of a circuit.

    Args:
        shots: that were simulated.
        seconds: that it took.
    """
    scales = {_SCALE + label: each.scale for label, each in shots.sums.items()}
    digits = {_DIGITS + label: each.digits for label, each in shots.sums.items()}
    return {
        "success": True,
        "status": "DONE",
        "shots": len(shots.indices),
        "meas_level": 2,
        "header": {},
        "time_taken": seconds,
        "data": {
            "shots": shots.indices,
            "bits": np.packbits(shots.bits, axis=1, bitorder="little"),
            "patterns": shots.patterns,
            "blocks": shots.statistics.blocks,
            **scales,
            **digits,
        },
        "metadata": {
            "method": "statevector",
            "device": "CPU",
            "noise_sampling": "shared",
            "measure_sampling": False,
            "time_taken": seconds,
            "result_subtypes": {
                **_SUBTYPES,
                **dict.fromkeys(scales, "single"),
                **dict.fromkeys(digits, "accum"),
            },
        },
    }


def finished(result: dict[str, Any], forecast: Forecast, *, memory: bool) -> dict[str, Any]:
    """The result of a circuit, or of some of its shots, as Aer would give it.

    Args:
        result: parts, put together.
        forecast: of the circuit.
        memory: whether the user wants each shot.
    """
    data, shots = result["data"], result["shots"]
    found = _counted(data, memory=memory) if forecast.is_measured else {}
    for key, digits in data.items():
        if key.startswith(_DIGITS):
            label = key.removeprefix(_DIGITS)
            found[label] = mean(data[_SCALE + label], digits, shots)
    metadata = {k: v for k, v in result["metadata"].items() if k != "result_subtypes"}
    metadata |= {
        "scheme": SCHEME,
        "num_qubits": forecast.qubits,
        "patterns": data["patterns"],
        "expected_patterns": forecast.patterns,
        "work": data["blocks"] / max(forecast.blocks * shots, 1),
        "expected_work": forecast.share,
        "choice_probability": forecast.choice,
    }
    return {**result, "data": found, "metadata": metadata}


def _counted(data: dict[str, Any], *, memory: bool) -> dict[str, Any]:
    """How often each outcome was measured, and if wanted each shot's."""
    outcomes, which = np.unique(data["bits"], axis=0, return_inverse=True)
    names = [hex(int.from_bytes(row.tobytes(), "little")) for row in outcomes]
    counts = np.bincount(which, minlength=len(names)).tolist()
    found: dict[str, Any] = {"counts": dict(zip(names, counts, strict=True))}
    if memory:
        found["memory"] = [names[i] for i in which[np.argsort(data["shots"])].tolist()]
    return found
