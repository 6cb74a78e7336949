"""Simulated shots in the form of Aer's results: of a part while they travel, and of the whole.

A part has the shots themselves, and says of each thing in it how it adds up, in the words of Aer
(``result_subtypes``), so parts are put together like any saved data. Counts are made at the end.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .prediction import Forecast
from .simulation import SCHEME, Shots

_SUBTYPES = {"shots": "list", "bits": "list", "patterns": "accum", "blocks": "accum"}


def of_part(shots: Shots, seconds: float) -> dict[str, Any]:
    """What a worker gives for some of the shots of a circuit.

    Args:
        shots: that were simulated.
        seconds: that it took.
    """
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
        },
        "metadata": {
            "method": "statevector",
            "device": "CPU",
            "noise_sampling": "shared",
            "measure_sampling": False,
            "time_taken": seconds,
            "result_subtypes": dict(_SUBTYPES),
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
    outcomes, which = np.unique(data["bits"], axis=0, return_inverse=True)
    names = [hex(int.from_bytes(row.tobytes(), "little")) for row in outcomes]
    counts = np.bincount(which, minlength=len(names)).tolist()
    found: dict[str, Any] = {"counts": dict(zip(names, counts, strict=True))}
    if memory:
        found["memory"] = [names[i] for i in which[np.argsort(data["shots"])].tolist()]
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
