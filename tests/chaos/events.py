"""The faults: one function a kind, which does it, undoes what does not pass by itself, and tells.

A function that ends has nothing left to undo. What comes back later by itself, a pod that is made
again say, it does not wait for.
"""

from __future__ import annotations

import math
import os
import random
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

from ..chart.rendering import CHART, quantity
from ..kubernetes import faults
from ..kubernetes.faults import Laptop
from ..kubernetes.host import NODES
from ..release.release import Release, until
from .clients import Inside, Outside
from .schedule import Kind

#: The label that names a worker's group.
GROUP = "aer-dask/worker-group"
#: Ends a process that simulates in the worker of this pod, if one does within 20 seconds.
KILL_A_CHILD = """
import os, pathlib, time
for _ in range(200):
    for process in pathlib.Path("/proc").glob("[0-9]*"):
        try:
            words = (process / "cmdline").read_bytes().split(b"\\0")
            state = (process / "stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            continue
        if b"aer_dask.worker.serve" in words and state == "R":
            os.kill(int(process.name), 9)
            raise SystemExit(print("killed", end=""))
    time.sleep(0.1)
print("idle", end="")
"""
#: A job whose state vector, of so many qubits, is larger than a worker, which Aer is not told.
TOO_LARGE = """
import os, sys
from distributed import Client
from qiskit import QuantumCircuit
from aer_dask import AerSimulator, InsufficientMemoryError

qubits = int(sys.argv[1])
circuit = QuantumCircuit(qubits, 1)
circuit.rx(0.3, 0)
for qubit in range(1, qubits):  # Aer leaves out what has nothing to do with what is measured
    circuit.cx(qubit - 1, qubit)
circuit.measure(qubits - 1, 0)
client = Client(os.environ["DASK_SCHEDULER_ADDRESS"])
backend = AerSimulator(executor=client, method="statevector")
job = backend.run(circuit, shots=1, max_memory_mb=10**9)
try:
    job.result(timeout=80)
except InsufficientMemoryError as error:
    print(error)
"""


@dataclass
class Stage:
    """Where faults are done.

    ``chance`` decides whom one hits; each fault has a seed of its own.
    """

    release: Release
    outside: Outside
    inside: Inside
    laptop: Laptop | None
    chance: random.Random
    #: when the last fault was there, in seconds since 1970
    began: float = 0.0
    rolled: int = 0

    def pod(self, component: str) -> dict[str, Any]:
        """One of the pods of a component that are ready; there is one within two minutes."""

        def ready() -> list[dict[str, Any]]:
            return [pod for pod in self.release.pods(component) if is_ready(pod)]

        pods = until(ready, f"a pod of {component} is ready", 120)
        return self.chance.choice(sorted(pods, key=lambda pod: pod["metadata"]["name"]))


def is_whole(release: Release) -> bool:
    """Whether there are as many ready pods of each component as there shall be."""
    component = "app.kubernetes.io/component"
    try:
        wanted: Counter[str] = Counter()
        for each in release.get("deployments"):
            wanted[each["metadata"]["labels"][component]] += each["spec"]["replicas"]
        pods = [pod for pod in release.get("pods") if "deletionTimestamp" not in pod["metadata"]]
    except AssertionError:  # the API server does not answer
        return False
    return wanted == Counter(pod["metadata"]["labels"][component] for pod in pods if is_ready(pod))


def is_ready(pod: dict[str, Any]) -> bool:
    """Whether a pod is ready."""
    conditions = pod["status"].get("conditions", [])
    return any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)


def kill_child(stage: Stage) -> str:
    """End a process that simulates."""
    name = stage.pod("worker")["metadata"]["name"]
    said = stage.release.kubectl(
        "exec", name, "--container=worker", "--", "python", "-c", KILL_A_CHILD
    )
    return f"a child of {name}: {said}"


def exhaust_memory(stage: Stage) -> str:
    """Have a child take more memory than its worker has; its job is to end with the sentence."""
    boxes = (box for pod in stage.release.pods() for box in pod["spec"]["containers"])
    largest = max(quantity(box["resources"]["limits"]["memory"]) for box in boxes)
    qubits = int(math.log2(largest / 16)) + 1  # of 16 bytes an amplitude
    program = ["python", "-c", TOO_LARGE, str(qubits)]
    said = stage.release.kubectl("exec", stage.inside.pod(), "--", *program)
    assert "killed for lack of memory" in said, said
    return f"of another job: {said.strip()}"


def delete_worker(stage: Stage) -> str:
    """Delete the pod of a worker."""
    name = stage.pod("worker")["metadata"]["name"]
    stage.release.kubectl("delete", "pod", name, "--wait=false")
    return name


def force_worker_away(stage: Stage) -> str:
    """Delete the pod of a worker, which is not asked."""
    name = stage.pod("worker")["metadata"]["name"]
    stage.release.kubectl("delete", "pod", name, "--force", "--grace-period=0")
    return name


def roll_workers(stage: Stage) -> str:
    """Replace the pods of all workers, by `helm upgrade`."""
    stage.rolled += 1
    stage.release.helm("upgrade", stage.release.name, CHART, "--reset-then-reuse-values",
                       f"--set-string=worker.podAnnotations.rolled={stage.rolled}")  # fmt: skip
    for deployment in workers(stage.release):
        stage.release.kubectl("rollout", "status", f"deployment/{deployment}", "--timeout=400s")
    return "helm upgrade"


def scale(stage: Stage) -> str:
    """Have the autoscaler of a group keep one worker, and then as many as there were."""
    group = stage.pod("worker")["metadata"]["labels"][GROUP]
    others = [pod for pod in stage.release.pods() if pod["metadata"]["labels"][GROUP] != group]
    before = len(stage.release.pods()) - len(others)
    for number in (1, before):
        adapt(stage.release, group, number)
        until(lambda number=number: stage.release.ready("worker") == len(others) + number,
              f"{number} workers are ready", 100)  # fmt: skip
    return f"{before} to 1 to {before} workers"


def adapt(release: Release, group: str, number: int) -> None:
    """Set both bounds of a group's autoscaler, by our own command."""
    command = [sys.executable, "-m", "aer_dask", f"--release={release.name}",
               f"--namespace={release.namespace}", "adapt", f"--group={group}",
               str(number), str(number)]  # fmt: skip
    environment = os.environ | {"KUBECONFIG": str(release.cluster.kube_config_path)}
    subprocess.run(command, env=environment, check=True, capture_output=True, timeout=60)


def delete_scheduler(stage: Stage) -> str:
    """Delete the pod of the scheduler."""
    name = stage.pod("scheduler")["metadata"]["name"]
    stage.release.kubectl("delete", "pod", name, "--wait=false")
    return name


def kill_client(stage: Stage) -> str:
    """End the process of a client, which is started again."""
    client = stage.chance.choice([stage.outside, stage.inside])
    client.kill()
    stage.began = time.time()
    return client.name


def drain_node(stage: Stage) -> str:
    """Drain a node of the release's pods, and take it in service again."""
    node = stage.pod(stage.chance.choice(["worker", "scheduler"]))["spec"]["nodeName"]
    selected = f"--pod-selector={stage.release.label}"
    try:
        stage.release.kubectl("drain", node, selected, "--delete-emptydir-data",
                              "--ignore-daemonsets", "--timeout=180s")  # fmt: skip
    finally:
        stage.release.kubectl("uncordon", node)
    return node


def lose_node(stage: Stage, seconds: float) -> str:
    """Stop all of a node without a goodbye; it is back later, with all that ran on it."""
    node = NODES[-1]  # the first one has the API server
    gather(stage, node.name)
    here = [pod for component in ("scheduler", "worker", "chaos")
            for pod in stage.release.pods(component)
            if pod["spec"].get("nodeName") == node.name]  # fmt: skip
    components = sorted(p["metadata"]["labels"]["app.kubernetes.io/component"] for p in here)
    last(stage, faults.lost(node), seconds)
    stage.release.kubectl("wait", "--for=condition=Ready", f"node/{node.name}", "--timeout=180s")
    return f"{node.name} with {', '.join(components)}"


def gather(stage: Stage, node: str) -> None:
    """Have two workers on a node, and by chance the scheduler or the client in a pod."""
    others = [each.name for each in NODES if each.name != node]
    elsewhere = [pod for pod in stage.release.pods() if pod["spec"].get("nodeName") != node]
    moved = elsewhere[: max(0, 2 - len(stage.release.pods()) + len(elsewhere))]
    if component := stage.chance.choice(["scheduler", "chaos", ""]):
        moved += [p for p in stage.release.pods(component) if p["spec"].get("nodeName") != node]
    if not moved:
        return
    stage.release.kubectl("cordon", *others)
    try:
        names = [pod["metadata"]["name"] for pod in moved]
        stage.release.kubectl("delete", "pod", *names, "--wait=false")
        until(lambda: is_whole(stage.release), "the pods that were moved are ready", 300)
    finally:
        stage.release.kubectl("uncordon", *others)


def cut_client_off(stage: Stage, seconds: float) -> str:
    """Have no packet pass between a client and the scheduler."""
    assert stage.laptop
    scheduler = stage.pod("scheduler")["status"]["podIP"]
    if stage.chance.random() < 0.5:
        last(stage, stage.laptop.cut_off(), seconds)
        return "the client outside"
    last(stage, faults.cut(stage.inside.address(), scheduler), seconds)
    return "the client in a pod"


def cut_worker_off(stage: Stage, seconds: float) -> str:
    """Have no packet pass between a worker and the scheduler."""
    worker, scheduler = stage.pod("worker"), stage.pod("scheduler")
    last(stage, faults.cut(worker["status"]["podIP"], scheduler["status"]["podIP"]), seconds)
    return worker["metadata"]["name"]


def last(stage: Stage, fault: AbstractContextManager[Any], seconds: float) -> None:
    """Keep a fault up for so many seconds."""
    with fault:
        stage.began = time.time()
        time.sleep(seconds)


def workers(release: Release) -> list[str]:
    """The names of the Deployments of workers."""
    label = "app.kubernetes.io/component"
    found = (each["metadata"] for each in release.get("deployments"))
    return [each["name"] for each in found if each["labels"][label] == "worker"]


#: What does a kind of `schedule.KINDS`.
EVENTS: dict[str, Callable[..., str]] = {
    "child killed": kill_child,
    "child out of memory": exhaust_memory,
    "worker deleted": delete_worker,
    "worker deleted by force": force_worker_away,
    "workers rolled": roll_workers,
    "scaled down and up": scale,
    "scheduler deleted": delete_scheduler,
    "client killed": kill_client,
    "node drained": drain_node,
    "node lost": lose_node,
    "client cut off": cut_client_off,
    "worker cut off": cut_worker_off,
}


def do(kind: Kind, stage: Stage) -> str:
    """Do a fault of a kind, to its end; what it hit."""
    stage.began = time.time()
    event = EVENTS[kind.name]
    return event(stage, kind.lasts) if kind.lasts else event(stage)
