"""Whether two Results are the same, bit for bit, but for times and the host's threads.

What the smoke test and the project's own tests mean by "bits equal to plain Aer".
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from qiskit.result import Result

#: Metadata that tells of the host and of time, not of the simulation.
VOLATILE = frozenset({
    "time_taken", "time_taken_execute", "time_taken_parameter_binding", "sample_measure_time",
    "parallel_experiments", "parallel_shots", "parallel_state_update", "omp_nested",
    "max_memory_mb", "max_gpu_memory_mb",
})  # fmt: skip
#: By so much averages may differ, because Aer adds them up in an order that depends on its threads.
AVERAGE_TOLERANCE = 1e-12


def differences(result: Result, expected: Result) -> list[str]:
    """Where two results differ, in words; an empty list where they are the same.

    Compared are status, shots, seeds, headers, metadata and all data of every circuit: exactly,
    but for averages of floating-point numbers (:data:`AVERAGE_TOLERANCE`).
    """
    found = []
    if (result.success, result.status) != (expected.success, expected.status):
        found.append(f"status: {result.status!r} is not {expected.status!r}")
    if len(result.results) != len(expected.results):
        return [*found, f"{len(result.results)} circuits are not {len(expected.results)}"]
    for index, (mine, theirs) in enumerate(zip(result.results, expected.results, strict=True)):
        found += [f"circuit {index}: {text}" for text in _compare(mine, theirs)]
    return found


def _compare(mine: Any, theirs: Any) -> Iterator[str]:
    for name in ("success", "status", "shots", "seed_simulator", "header"):
        if (a := getattr(mine, name, None)) != (b := getattr(theirs, name, None)):
            yield f"{name} {a!r} is not {b!r}"
    mine_about = _steady(getattr(mine, "metadata", {}))
    theirs_about = _steady(getattr(theirs, "metadata", {}))
    for key in mine_about | theirs_about:
        if not _same(mine_about.get(key), theirs_about.get(key), 0):
            yield f"metadata {key}: {mine_about.get(key)!r} is not {theirs_about.get(key)!r}"
    subtypes = theirs_about.get("result_subtypes", {})
    ours, others = vars(mine.data), vars(theirs.data)
    for key in ours | others:
        tolerance = AVERAGE_TOLERANCE if "average" in subtypes.get(key, "") else 0
        if not _same(ours.get(key), others.get(key), tolerance):
            yield f"{key} {_short(ours.get(key))} is not {_short(others.get(key))}"


def _steady(metadata: dict[str, Any]) -> dict[str, Any]:
    return {
        key: _steady(value) if isinstance(value, dict) else value
        for key, value in metadata.items()
        if key not in VOLATILE
    }


def _same(a: Any, b: Any, tolerance: float) -> bool:
    if type(a) is not type(b):
        return False
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(_same(a[key], b[key], tolerance) for key in a)
    if isinstance(a, (list, tuple)):
        return len(a) == len(b) and all(_same(x, y, tolerance) for x, y in zip(a, b, strict=True))
    if hasattr(a, "data") and isinstance(a.data, np.ndarray) and not isinstance(a, np.ndarray):
        return _same(a.data, b.data, tolerance)
    if isinstance(a, (np.ndarray, float, complex)):
        return np.shape(a) == np.shape(b) and np.allclose(a, b, rtol=0, atol=tolerance)
    return bool(a == b)


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) < 80 else text[:77] + "..."
