"""What a worker has done, counted, and shown by its ``/metrics`` beside Dask's own figures.

Children say what they have simulated, their parent counts it. A worker that dies takes its counts
along, and Prometheus takes it for a counter that begins anew.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from prometheus_client.metrics_core import CounterMetricFamily


class _Family(NamedTuple):
    """A counter: its unit, what it counts, and the label that it has, with all values of that."""

    unit: str
    help: str
    label: str = ""
    values: tuple[str, ...] = ()


#: By their names, of which Prometheus makes ``aer_dask_worker_<name>[_<unit>]_total``.
_FAMILIES = {
    "tasks": _Family(
        "",
        "Tasks that have ended here: done, failed (they raised), lost (their process died) or "
        "cancelled",
        "outcome",
        ("done", "failed", "lost", "cancelled"),
    ),
    "tasks_repeated": _Family("", "Tasks begun here that the client had sent before"),
    "circuits": _Family(
        "", "Circuits simulated, one for each row of values; slices of shots count one by one"
    ),
    "shots": _Family("", "Shots simulated"),
    "simulation": _Family(
        "seconds", "Time that Aer, or the engine of shared trajectories, says it took"
    ),
    "children_died": _Family(
        "",
        "Simulating processes that died unasked: of lack of memory, killed or crashed",
        "cause",
        ("memory", "killed", "crashed"),
    ),
}


@dataclass
class Work:
    """What outputs of Aer's controller say that was simulated."""

    circuits: int = 0
    shots: int = 0
    seconds: float = 0.0

    def add(self, output: dict[str, Any]) -> None:
        """Add what one of them says; what Aer has refused was not simulated."""
        results = [result for result in output.get("results", ()) if result["success"]]
        self.circuits += len(results)
        self.shots += sum(result["shots"] for result in results)
        self.seconds += output.get("metadata", {}).get("time_taken_execute", 0.0)


class Tally:
    """Counts since this process began. Any thread may add to them."""

    def __init__(self) -> None:
        self._counts: Counter[tuple[str, str]] = Counter()
        self._lock = threading.Lock()

    def add(self, name: str, value: str = "", amount: float = 1) -> None:
        """Add to one of the counters, or to that of one value of its label."""
        with self._lock:
            self._counts[name, value] += amount  # type: ignore[assignment]  # seconds

    def add_work(self, work: Work) -> None:
        """Add what a task has simulated."""
        self.add("circuits", amount=work.circuits)
        self.add("shots", amount=work.shots)
        self.add("simulation", amount=work.seconds)

    def collect(self) -> Iterator[CounterMetricFamily]:
        """Called by prometheus_client for each scrape: all counters, zeros too."""
        from prometheus_client.metrics_core import CounterMetricFamily

        with self._lock:
            counts = dict(self._counts)
        for name, (unit, documentation, label, values) in _FAMILIES.items():
            family = CounterMetricFamily(
                f"aer_dask_worker_{name}", documentation, labels=[label] * bool(label), unit=unit
            )
            for value in values or ("",):
                family.add_metric([value] * bool(label), counts.get((name, value), 0))
            yield family


@cache
def show(tally: Tally) -> None:
    """Have this process's ``/metrics`` show these counts, where prometheus_client is installed."""
    try:
        from prometheus_client import REGISTRY
    except ModuleNotFoundError:  # without it, Dask has no metrics either
        return
    REGISTRY.register(tally)
