"""Outputs of tasks to one Result, equal to that of an unsplit run. Pure.

How saved data adds up follows the subtype that Aer reports for it in the metadata
(``result_subtypes``; framework/results/data/): lists are joined in the order of the shots, sums are
added, averages weighted by shots, and of single values the last shot's stays. Integers and lists
come out exact; an average of floating-point numbers can differ in its last digits, as it does in
Aer itself between numbers of threads.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import reduce
from operator import add
from typing import Any

import numpy as np
from qiskit_aer import AerError

#: What the metadata of slices, and of outputs, has of which there is one for all of them.
TYPES = "result_types", "result_subtypes"
TIMES = "time_taken_execute", "time_taken_parameter_binding"

RawOutput = dict[str, Any]  # what one call of the controller gives
RawResult = dict[str, Any]  # one entry of its "results"


def were_divisible(parts: Sequence[RawResult]) -> bool:
    """Whether slices of shots were simulated shot by shot, and all by the same method.

    What :mod:`aer_dask.compile.prediction` predicted, read from Aer's own metadata.
    """
    methods = {part.get("metadata", {}).get("method") for part in parts}
    return len(methods) == 1 and all(
        part["success"] and part["metadata"].get("measure_sampling") is False for part in parts
    )


def merge_shots(parts: Sequence[RawResult]) -> RawResult:
    """Slices of the shots of one circuit, in the order of the shots, to the whole.

    Raises:
        AerError: if Aer saved data of a subtype that has no rule here.
    """
    weights = [part["shots"] for part in parts]
    merged = dict(parts[0])
    merged["metadata"] = _merge_metadata([part["metadata"] for part in parts])
    subtypes = merged["metadata"].get("result_subtypes", {})
    keys = dict.fromkeys(key for part in parts for key in part["data"])
    merged["data"] = {}
    for key in keys:
        present = [(part["data"][key], w) for part, w in zip(parts, weights, strict=True)
                   if key in part["data"]]  # fmt: skip
        rule = _RULES.get({"counts": "accum", "memory": "list"}.get(key, subtypes.get(key, "")))
        if rule is None:
            raise AerError(
                f"Saved data {key!r} of subtype {subtypes.get(key)!r} cannot be put together from "
                "slices of the shots; run this circuit with max_shot_size=None."
            )
        merged["data"][key] = rule([value for value, _ in present], [w for _, w in present])
    merged["shots"] = sum(weights)
    merged["time_taken"] = sum(part["time_taken"] for part in parts)
    return merged


def _merge_metadata(parts: Sequence[dict[str, Any]]) -> dict[str, Any]:
    merged = dict(parts[0])
    for key in TYPES:
        if any(key in part for part in parts):
            merged[key] = {k: v for part in parts for k, v in part.get(key, {}).items()}
    merged["time_taken"] = sum(part.get("time_taken", 0.0) for part in parts)
    return merged


def _sum(values: Sequence[Any]) -> Any:
    if isinstance(values[0], dict):
        keys = dict.fromkeys(key for value in values for key in value)
        return {key: _sum([value[key] for value in values if key in value]) for key in keys}
    return reduce(add, values)


def _scale(value: Any, factor: float) -> Any:
    if isinstance(value, dict):
        return {key: _scale(item, factor) for key, item in value.items()}
    return value * factor


def _average(values: Sequence[Any], weights: Sequence[int]) -> Any:
    total = sum(weights)
    return _sum([_scale(v, w / total) for v, w in zip(values, weights, strict=True)])


def _by_condition(rule: Callable[[Sequence[Any]], Any]) -> Callable[..., dict[str, Any]]:
    """The rule, applied to each value of the classical register on its own."""

    def merge(values: Sequence[dict[str, Any]], _: Sequence[int]) -> dict[str, Any]:
        keys = dict.fromkeys(key for value in values for key in value)
        return {key: rule([value[key] for value in values if key in value]) for key in keys}

    return merge


def _join(values: Sequence[Any]) -> Any:
    if isinstance(values[0], np.ndarray):
        return np.concatenate(values)
    return [item for value in values for item in value]


def _last(values: Sequence[Any]) -> Any:
    return values[-1]


_RULES: dict[str, Callable[[Sequence[Any], Sequence[int]], Any]] = {
    "accum": lambda values, _: _sum(values),
    "c_accum": _by_condition(_sum),
    "average": _average,
    "list": lambda values, _: _join(values),
    "c_list": _by_condition(_join),
    "single": lambda values, _: _last(values),
    "c_single": _by_condition(_last),
}


def status_of(experiments: Sequence[RawResult]) -> tuple[bool, str]:
    """Success and status of a run, in the words of ``Controller::execute``."""
    failed = [
        (index, experiment["status"].removeprefix("ERROR: "))
        for index, experiment in enumerate(experiments)
        if not experiment["success"]
    ]
    if not failed:
        return True, "COMPLETED"
    if len(failed) < len(experiments):
        return False, "PARTIAL COMPLETED"
    return False, "ERROR: " + "".join(f" [Experiment {index}] {text}" for index, text in failed)


def merge_outputs(outputs: Sequence[RawOutput], experiments: Sequence[RawResult]) -> RawOutput:
    """The output of a whole run.

    Args:
        outputs: of the controller's calls, in the order of the circuits.
        experiments: the results of all circuits, in order, shots merged.
    """
    merged = dict(outputs[0])
    merged["results"] = list(experiments)
    merged["success"], merged["status"] = status_of(experiments)
    merged["metadata"] = dict(outputs[0].get("metadata", {}))
    for key in TIMES:
        merged["metadata"][key] = sum(o.get("metadata", {}).get(key, 0.0) for o in outputs)
    return merged
