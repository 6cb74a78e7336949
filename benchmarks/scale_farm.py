"""Many real Dask workers in one process, whose simulations only wait as long as they would take.

All of a worker is real but Aer: its connections, its heartbeats, its thread, and the function that
a task of aer_dask calls, up to where that would hand the task to a child process.
"""

from __future__ import annotations

import asyncio
import resource
import time
from collections.abc import Iterator
from functools import cache
from multiprocessing.connection import Connection
from typing import Any, NamedTuple

import dask
from distributed import Worker, get_worker

from aer_dask.compile import codec
from aer_dask.compile.codec import ControllerCall
from aer_dask.compile.columns import Columns
from aer_dask.compile.program import Program
from aer_dask.worker import child, tasks
from aer_dask.worker.preload import MEMORY

#: What hundreds of workers in one process cannot afford, and one in its own does not notice.
_SETTINGS = {
    "distributed.worker.profile.enabled": False,
    "distributed.worker.use-file-locking": False,
    "distributed.admin.system-monitor.interval": "30s",
    "distributed.admin.system-monitor.gil.enabled": False,
    "distributed.admin.system-monitor.disk": False,
    "distributed.admin.tick.interval": "10s",
    "distributed.diagnostics.nvml": False,
    "distributed.comm.timeouts.connect": "120s",
}
_MEMORY = 4 * 2**30
#: Workers that start at once.
_TOGETHER = 50
#: What Aer reports of each result besides, so that outputs have the size of Aer's.
_METADATA = {
    "active_input_qubits": [0, 1], "batched_shots_optimization": False, "device": "CPU",
    "fusion": {"applied": False, "enabled": True, "max_fused_qubits": 5, "threshold": 14},
    "input_qubit_map": [[1, 1], [0, 0]], "max_memory_mb": 4096, "method": "statevector",
    "num_bind_params": 1, "parallel_shots": 1, "parallel_state_update": 1,
    "remapped_qubits": False, "required_memory_mb": 1, "runtime_parameter_bind": False,
}  # fmt: skip


class Pace(NamedTuple):
    """Seconds that a simulation takes, for each circuit or row and for each of its shots.

    ``waits`` is whether it really takes them, or only says so.
    """

    experiment: float = 0.0
    shot: float = 0.0
    waits: bool = True

    def seconds(self, call: ControllerCall) -> float:
        """How long one call of the controller takes."""
        return sum(_rows(call)) * (self.experiment + call.shots * self.shot)


class Ran(NamedTuple):
    """One task that was run: when, how long its simulation took, and the bytes of its output."""

    started: float
    ended: float
    seconds: float
    size: int


class Simulation:
    """Takes the place of :data:`aer_dask.worker.child.children`."""

    def __init__(self) -> None:
        self.pace = Pace()
        self.ran: list[Ran] = []

    def run(self, key: str, task: bytes, shared: bytes, memory: int = 0) -> bytearray:
        """Wait for as long as the task takes, and give an output of the form of Aer's."""
        started, pace = time.time(), self.pace
        calls: list[ControllerCall] = codec.decode(task)
        seconds = sum(map(pace.seconds, calls))
        output = bytearray().join(codec.encode(_output(call, pace)) for call in calls)
        if pace.waits:
            time.sleep(max(0.0, started + seconds - time.time()))
        self.ran.append(Ran(started, time.time(), seconds, len(output)))
        return output


def _rows(call: ControllerCall) -> list[int]:
    """Of each circuit of a call, how many results it has."""
    return [bindings.rows for bindings in call.bindings]


def _output(call: ControllerCall, pace: Pace) -> dict[str, Any]:
    results = list(_results(call, pace))
    metadata = {"time_taken_execute": pace.seconds(call), "time_taken_parameter_binding": 0.0}
    return {
        "backend_name": "", "backend_version": "", "date": "", "job_id": "", "qobj_id": "",
        "metadata": metadata, "results": results, "status": "COMPLETED", "success": True,
    }  # fmt: skip


def _results(call: ControllerCall, pace: Pace) -> Iterator[dict[str, Any]]:
    seconds = pace.experiment + call.shots * pace.shot
    for circuit, (data, rows) in enumerate(zip(call.programs, _rows(call), strict=True)):
        program: Program | Columns = codec.decode(data)
        saved = [args[-1] for name, args in program.calls() if name == "save_expval"]
        metadata = {
            **_METADATA,
            "num_qubits": program.num_qubits,
            # shots that were simulated one by one, where that is what takes the time
            "measure_sampling": not pace.shot,
            "time_taken": seconds,
            "result_types": dict.fromkeys(saved, "save_expval"),
            "result_subtypes": dict.fromkeys(saved, "average"),
        }
        for _ in range(rows):
            yield {
                "circ_id": circuit,
                "data": dict.fromkeys(saved, 0.5) if saved else {"counts": _counts(call.shots)},
                "header": {}, "metadata": metadata, "seed_simulator": call.seed,
                "shots": call.shots, "status": "DONE", "success": True, "time_taken": seconds,
            }  # fmt: skip


def _counts(shots: int) -> dict[str, int]:
    return {"0x0": shots - shots // 2, "0x3": shots // 2}


def serve(address: str, prefix: str, count: int, connection: Connection) -> None:
    """Run so many workers until the process is ended.

    Sends their number once they are registered. Then, for each :class:`Pace` that it is given, it
    sends what ran until then, and keeps to that pace.
    """
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    simulation = _replace_simulations()
    with dask.config.set(_SETTINGS):
        asyncio.run(_serve(address, prefix, count, connection, simulation))


def _replace_simulations() -> Simulation:
    """Have tasks call a :class:`Simulation`, and workers share nothing else of this process."""
    simulation = Simulation()
    child.children.threads = 1  # as if configured, or the plugin would start child processes
    fetch = tasks._shared.__wrapped__
    fetch_once = cache(lambda _worker, digest: fetch(digest))
    vars(tasks).update(
        children=simulation, _shared=lambda digest: fetch_once(get_worker().address, digest)
    )
    return simulation


async def _serve(
    address: str, prefix: str, count: int, connection: Connection, simulation: Simulation
) -> None:
    workers: list[Worker] = []
    while len(workers) < count:
        names = range(len(workers), min(len(workers) + _TOGETHER, count))
        workers += await asyncio.gather(*[_worker(address, f"{prefix}-{i}") for i in names])
    connection.send(len(workers))
    while True:
        pace = await asyncio.to_thread(connection.recv)
        connection.send(simulation.ran)
        simulation.pace, simulation.ran = pace, []


async def _worker(address: str, name: str) -> Worker:
    worker = await Worker(
        address, nthreads=1, name=name, memory_limit=_MEMORY, resources={MEMORY: _MEMORY},
        dashboard=False,
    )  # fmt: skip
    worker.periodic_callbacks["find-missing"].stop()
    return worker
