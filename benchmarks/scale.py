"""A real scheduler and client with up to 1000 workers that wait instead of simulating.

    make bench-scale                                       # to build/scale.json, about 20 minutes
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
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from functools import partial
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess
from pathlib import Path
from tempfile import TemporaryDirectory
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
ROLES = ("client", "scheduler", "workers")
#: What grows with tasks and circuits: the unit of its slopes, and how many of them one has.
_UNITS = {
    "client_growth": ("KiB", 2**10), "scheduler_growth": ("KiB", 2**10),
    "client_cpu": ("µs", 1e6), "scheduler_cpu": ("µs", 1e6),
}  # fmt: skip


class Meter:
    """Processor time and memory of processes, from now on."""

    def __init__(self, pids: Sequence[int]) -> None:
        self._processes = [psutil.Process(pid) for pid in pids]
        for pid in pids:
            # has the kernel forget the peak (proc(5))
            Path(f"/proc/{pid}/clear_refs").write_text("5")
        self._cpu, self._memory = self._cpu_now(), self.memory()

    def cpu(self) -> float:
        """Seconds."""
        return self._cpu_now() - self._cpu

    def growth(self) -> float:
        """MiB by which the resident memory grew, at its peak."""
        return sum(map(_peak, self._processes)) - self._memory

    def memory(self) -> float:
        """MiB that are resident now."""
        return sum(process.memory_info().rss for process in self._processes) / _MIB

    def _cpu_now(self) -> float:
        return sum(sum(process.cpu_times()[:2]) for process in self._processes)


def _peak(process: psutil.Process) -> float:
    lines = Path(f"/proc/{process.pid}/status").read_text().splitlines()
    return int(next(line.split()[1] for line in lines if line.startswith("VmHWM"))) / 2**10


class Farms:
    """The processes with the workers.

    Args:
        address: of the scheduler.
        workers: how many, in all processes together.
    """

    def __init__(self, address: str, workers: int) -> None:
        self._pipes: list[Connection] = []
        self._processes: list[SpawnProcess] = []
        for first in range(0, workers, _PER_FARM):
            mine, theirs = _SPAWN.Pipe()
            process = _SPAWN.Process(
                target=scale_farm.serve,
                args=(address, f"farm{first}", min(_PER_FARM, workers - first), theirs),
                daemon=True,
            )
            process.start()
            self._pipes.append(mine)
            self._processes.append(process)
        self.workers = sum(pipe.recv() for pipe in self._pipes)

    @property
    def pids(self) -> list[int]:
        """Their ids."""
        return [process.pid for process in self._processes if process.pid]

    def keep(self, pace: Pace) -> list[Ran]:
        """Set a pace; what was run at the one before."""
        for pipe in self._pipes:
            pipe.send(pace)
        return [ran for pipe in self._pipes for ran in pipe.recv()]

    def close(self) -> None:
        """End them."""
        for process in self._processes:
            process.kill()
            process.join()


@contextmanager
def scheduler(file: Path) -> Iterator[int]:
    """A process of ``dask scheduler``, which writes its address to a file; its id."""
    command = (
        sys.executable, "-m", "dask", "scheduler", "--host", _HOST, "--port", "0",
        "--dashboard-address", f"{_HOST}:0", "--scheduler-file", str(file),
    )  # fmt: skip
    process = subprocess.Popen(command)  # noqa: S603 (fixed arguments)
    try:
        yield process.pid
    finally:
        process.kill()
        process.wait()


def measure(make: Callable[[], Workload], workers: int, seconds: float) -> dict[str, Any]:
    """Run a workload over workers that have so many seconds to simulate each."""
    with ExitStack() as stack:
        # workers that are killed leave their folders
        folder = stack.enter_context(TemporaryDirectory())
        # of the processes that are started here; what the environment has goes before
        settings = {**DASK_SETTINGS, "DASK_LOGGING__DISTRIBUTED": "error", **os.environ}
        os.environ |= {**settings, "DASK_TEMPORARY_DIRECTORY": folder}
        file = Path(folder, "scheduler.json")
        pid = stack.enter_context(scheduler(file))
        client = stack.enter_context(Client(scheduler_file=str(file), set_as_default=False))
        started = time.monotonic()
        farms = stack.enter_context(closing(Farms(client.scheduler.address, workers)))
        registered = time.monotonic() - started
        roles = {"client": [os.getpid()], "scheduler": [pid], "workers": farms.pids}
        workload = make()
        backend = Backend(executor=client, **workload.options)
        pace = workload.pace(workers, seconds)
        farms.keep(pace._replace(waits=False))
        workload.learn(backend)
        backend.sent = 0
        farms.keep(pace)
        idle = _idle(roles)
        return {"registered_in": registered, **idle, **_run(workload, backend, farms, roles)}


def _idle(roles: dict[str, list[int]]) -> dict[str, float]:
    """How much of a core each role takes while nothing runs: heartbeats, mostly."""
    meters = {role: Meter(pids) for role, pids in roles.items()}
    time.sleep(_IDLE_SECONDS)
    return {f"{role}_idle": meter.cpu() / _IDLE_SECONDS for role, meter in meters.items()}


def _run(
    workload: Workload, backend: Backend, farms: Farms, roles: dict[str, list[int]]
) -> dict[str, Any]:
    """Run a workload and say what it took."""
    meters = {role: Meter(pids) for role, pids in roles.items()}
    started = time.monotonic()
    workload.run(backend)
    report: dict[str, Any] = {"seconds": time.monotonic() - started}
    for role, meter in meters.items():
        report[f"{role}_cpu"], report[f"{role}_growth"] = meter.cpu(), meter.growth()
        report[f"{role}_memory"] = meter.memory()
    report["scheduler_files"] = psutil.Process(*roles["scheduler"]).num_fds()
    report |= {"sent": backend.sent, "shared": backend.shared}
    report |= _work(farms.keep(Pace()), farms.workers)
    if isinstance(workload, Gradients):
        report["gradient"] = float(np.median(workload.took))
    return report


def _work(ran: list[Ran], workers: int) -> dict[str, Any]:
    """What the workers did; ``begun`` is the seconds until as many tasks as workers had begun."""
    starts = sorted(task.started for task in ran)
    span = max(task.ended for task in ran) - starts[0]
    simulated = sum(task.seconds for task in ran)
    return {
        "workers": workers,
        "tasks": len(ran),
        "tasks_per_second": len(ran) / span,
        "begun": starts[min(workers, len(ran)) - 1] - starts[0],
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
        f"{name}: {report['busy']:.1%} busy, all after {report['begun']:.1f} s; "
        f"{report['tasks']} tasks, {report['tasks_per_second']:.1f}/s, in {report['seconds']:.1f} s"
    )
    for role in ROLES:
        idle = report[f"{role}_idle"]
        each = (report[f"{role}_cpu"] - idle * report["seconds"]) / report["tasks"] * 1e3
        print(
            f"  {role}: {report[f'{role}_cpu']:.1f} s of processor, {idle:.1%} of a core at rest, "
            f"{each:.2f} ms a task besides; {report[f'{role}_growth']:.0f} MiB more, "
            f"{report[f'{role}_memory']:.0f} in the end"
        )
    print(
        f"  sent {report['sent'] / _MIB:.1f} MiB, and {report['shared'] / 2**10:.1f} KiB to each "
        f"worker; received {report['received'] / _MIB:.1f} MiB; "
        f"the scheduler has {report['scheduler_files']} files and connections open"
    )
    if "gradient" in report:
        print(f"  a gradient took {report['gradient']:.2f} s (median)")
    sys.stdout.flush()


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
