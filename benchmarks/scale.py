"""A real scheduler and client with up to 1000 workers that wait instead of simulating.

    make bench-scale                                       # to build/scale.json, about half an hour
    make bench-scale ARGS='--workers 1000 --workloads shots'

What is measured is the client and the scheduler: all that aer_dask and Dask do for a run is real,
but the simulations. Each measurement has a client, a scheduler and workers of its own.
docs/scaling.md has the figures, and what follows from them. Runs on Linux.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from functools import partial
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from distributed import Client

from aer_dask.clusters.settings import DASK_SETTINGS
from benchmarks import scale_farm
from benchmarks.scale_farm import Pace, Ran
from benchmarks.scale_workloads import WORKLOADS, Backend, Circuits, Gradients, Workload

#: For how long each worker simulates. Longer for many, because the first tasks of all of them take
#: seconds to be sent.
SECONDS = {10: 20.0, 100: 40.0, 1000: 100.0}
#: Circuits, and how many in a task, of the runs that show what each of both costs.
SIZES = ((2_000, 1), (6_000, 1), (12_000, 1), (50_000, 50), (100_000, 50))
#: Workers of those runs.
FEW = 10
#: Workers in one process.
_PER_FARM = 500
_IDLE_SECONDS = 5.0
_HOST = "127.0.0.1"
_SPAWN = multiprocessing.get_context("spawn")
_MIB = 2**20
#: What grows with tasks and circuits: the unit of its slopes, and how many of them one has.
_UNITS = {
    "client_growth": ("KiB", 2**10), "scheduler_growth": ("KiB", 2**10),
    "client_cpu": ("µs", 1e6), "scheduler_cpu": ("µs", 1e6),
}  # fmt: skip


class Meter:
    """Processor time and memory of a process, from now on."""

    def __init__(self, pid: int) -> None:
        self._process = psutil.Process(pid)
        # has the kernel forget the peak (proc(5))
        Path(f"/proc/{pid}/clear_refs").write_text("5")
        self._cpu, self._memory = self._cpu_now(), self._process.memory_info().rss

    def cpu(self) -> float:
        """Seconds."""
        return self._cpu_now() - self._cpu

    def growth(self) -> float:
        """MiB by which the resident memory grew, at its peak."""
        status = Path(f"/proc/{self._process.pid}/status").read_text()
        peak = next(line for line in status.splitlines() if line.startswith("VmHWM"))
        return (int(peak.split()[1]) * 2**10 - self._memory) / _MIB

    def memory(self) -> float:
        """MiB that are resident now."""
        return self._process.memory_info().rss / _MIB

    def _cpu_now(self) -> float:
        times = self._process.cpu_times()
        return times.user + times.system


class Farms:
    """The processes with the workers.

    Args:
        address: of the scheduler.
        workers: how many, in all processes together.
    """

    def __init__(self, address: str, workers: int) -> None:
        self._pipes: list[Connection] = []
        self.processes: list[SpawnProcess] = []
        for first in range(0, workers, _PER_FARM):
            mine, theirs = _SPAWN.Pipe()
            process = _SPAWN.Process(
                target=scale_farm.serve,
                args=(address, f"farm{first}", min(_PER_FARM, workers - first), theirs),
                daemon=True,
            )
            process.start()
            self._pipes.append(mine)
            self.processes.append(process)
        self.workers = sum(pipe.recv() for pipe in self._pipes)

    def keep(self, pace: Pace) -> list[Ran]:
        """Set a pace; what was run at the one before."""
        for pipe in self._pipes:
            pipe.send(pace)
        return [ran for pipe in self._pipes for ran in pipe.recv()]

    def close(self) -> None:
        """End them."""
        for process in self.processes:
            process.kill()


@contextmanager
def scheduler() -> Iterator[tuple[int, str]]:
    """A process of ``dask scheduler``; its id, and the file that has its address."""
    with tempfile.TemporaryDirectory() as folder:
        file = str(Path(folder, "scheduler.json"))
        command = (
            sys.executable, "-m", "dask", "scheduler", "--host", _HOST, "--port", "0",
            "--dashboard-address", f"{_HOST}:0", "--scheduler-file", file,
        )  # fmt: skip
        process = subprocess.Popen(command)  # noqa: S603 (fixed arguments)
        try:
            yield process.pid, file
        finally:
            process.kill()
            process.wait()


def measure(make: Callable[[], Workload], workers: int, seconds: float) -> dict[str, Any]:
    """Run a workload over workers that have so many seconds to simulate each."""
    os.environ.update(
        {**DASK_SETTINGS, "DASK_LOGGING__DISTRIBUTED": "error"}
    )  # of what starts here
    with ExitStack() as stack:
        pid, file = stack.enter_context(scheduler())
        client = stack.enter_context(Client(scheduler_file=file, set_as_default=False))
        started = time.monotonic()
        farms = stack.enter_context(closing(Farms(client.scheduler.address, workers)))
        report = {"workers": farms.workers, "registered_in": time.monotonic() - started}
        workload = make()
        backend = Backend(executor=client, **workload.options)
        pace = workload.pace(workers, seconds)
        farms.keep(pace._replace(waits=False))
        workload.learn(backend)
        backend.sent = 0
        farms.keep(pace)
        idle = Meter(pid)
        time.sleep(_IDLE_SECONDS)
        report["idle"] = idle.cpu() / _IDLE_SECONDS
        return report | _run(workload, backend, farms, pid)


def _run(workload: Workload, backend: Backend, farms: Farms, scheduler_pid: int) -> dict[str, Any]:
    """Run a workload and say what it took."""
    client, server = Meter(os.getpid()), Meter(scheduler_pid)
    crowd = [Meter(process.pid or 0) for process in farms.processes]
    started = time.monotonic()
    workload.run(backend)
    wall = time.monotonic() - started
    report = {
        "seconds": wall,
        "client_cpu": client.cpu(), "client_growth": client.growth(),
        "scheduler_cpu": server.cpu(), "scheduler_growth": server.growth(),
        "scheduler_memory": server.memory(),
        "farm_cpu": sum(meter.cpu() for meter in crowd),
    }  # fmt: skip
    report |= {"sent": backend.sent, "shared": backend.shared}
    report |= _work(farms.keep(Pace()), farms.workers)
    if isinstance(workload, Gradients):
        report["gradient"] = float(np.median(workload.took))
    return report


def _work(ran: list[Ran], workers: int) -> dict[str, Any]:
    """What the workers did."""
    span = max(task.ended for task in ran) - min(task.started for task in ran)
    simulated = sum(task.seconds for task in ran)
    return {
        "tasks": len(ran),
        "tasks_per_second": len(ran) / span,
        "simulated": simulated,
        "busy": simulated / (workers * span),
        "received": sum(task.size for task in ran),
    }


def apart(make: Callable[[], Workload], workers: int, seconds: float) -> dict[str, Any]:
    """:func:`measure` in a new process, whose memory nothing has used before."""
    with ProcessPoolExecutor(1, mp_context=_SPAWN) as pool:
        return pool.submit(measure, make, workers, seconds).result()


def slopes(measured: Sequence[dict[str, Any]]) -> dict[str, list[float]]:
    """KiB and microseconds that a task costs, and a circuit, besides what a run costs."""
    counts = [(1.0, report["tasks"], report["circuits"]) for report in measured]
    fitted = {}
    for name, (_, factor) in _UNITS.items():
        values = [report[name] * factor for report in measured]
        solution, *_ = np.linalg.lstsq(np.array(counts), np.array(values))
        fitted[name] = [float(value) for value in solution[1:]]
    return fitted


def show(name: str, report: dict[str, Any]) -> None:
    """Print a measurement."""
    print(
        f"{name}: {report['busy']:.1%} busy, {report['tasks']} tasks, "
        f"{report['tasks_per_second']:.1f}/s, {report['seconds']:.1f} s in all; "
        f"client {report['client_cpu']:.1f} s and {report['client_growth']:.0f} MiB, "
        f"scheduler {report['scheduler_cpu']:.1f} s and {report['scheduler_growth']:.0f} MiB "
        f"(to {report['scheduler_memory']:.0f}, idle {report['idle']:.1%} of a core), "
        f"workers {report['farm_cpu']:.1f} s; "
        f"{report['sent'] / _MIB:.1f} MiB sent and {report['shared'] / 2**10:.1f} KiB "
        f"to each worker, {report['received'] / _MIB:.1f} received"
        + (f"; a gradient {report['gradient']:.2f} s" if "gradient" in report else ""),
        flush=True,
    )


def main() -> None:
    """Measure and print; write build/scale.json."""
    parser = argparse.ArgumentParser(description="busy workers, and what client and scheduler take")
    parser.add_argument("--workers", type=int, nargs="*", default=list(SECONDS))
    parser.add_argument("--workloads", nargs="*", default=[*WORKLOADS, "sizes"])
    arguments = parser.parse_args()
    path = Path("build/scale.json")
    path.parent.mkdir(exist_ok=True)
    report = json.loads(path.read_text()) if path.exists() else {}
    for workload in arguments.workloads:
        if workload == "sizes":
            report |= measure_sizes()
        else:
            for workers in arguments.workers:
                name = f"{workload} on {workers}"
                report[name] = apart(WORKLOADS[workload], workers, SECONDS[workers])
                show(name, report[name])
        path.write_text(json.dumps(report, indent=2))


def measure_sizes() -> dict[str, Any]:
    """What a task costs, and what a circuit."""
    report = {}
    for circuits, per_task in SIZES:
        name = f"{circuits} circuits, {per_task} a task"
        made = apart(partial(Circuits, circuits, per_task), FEW, 0.0)
        report[name] = made | {"circuits": circuits}
        show(name, report[name])
    fitted = slopes(list(report.values()))
    for name, (task, circuit) in fitted.items():
        print(f"{name}: {task:.1f} a task and {circuit:.2f} a circuit, {_UNITS[name][0]}")
    return report | {"slopes": fitted}


if __name__ == "__main__":
    main()
