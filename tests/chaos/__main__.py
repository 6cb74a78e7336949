"""`make chaos SEED=1 MINUTES=10`: faults of every kind on a release under load, and a table.

Two clients, one on this machine and one in a pod, run jobs of three kinds without end: a noisy
circuit whose shots are divided, many small circuits, an estimator with many pubs. Each result is
compared with plain Aer's, which was computed before. Meanwhile faults come one after another.

A fault is recovered from once *every* client has had an output of a task that has begun since, and
all pods are ready again. It is an error, and the status 1, if a bit differs, a job fails, a client
ends by itself or no job of it ends, a client that was killed finds less than it had done, or a
recovery takes longer than the bound of its kind.
"""

from __future__ import annotations

import argparse
import json
import random
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager

from pytest_helm_charts.clusters import ExistingCluster

from ..chart.rendering import ROOT
from ..kubernetes import faults
from ..release.release import MINIKUBE, Release
from . import events
from .clients import Client, Inside, Outside
from .recovery import Fault, as_json, count, died, goes_on
from .schedule import KINDS, Planned, schedule
from .table import table

#: Seconds that a release has to be whole again, and for the clients' first outputs.
WHOLE, BEGIN = 600.0, 240.0
BUILD = ROOT / "build" / "chaos"
#: Four workers, two on each node, ruled by an autoscaler.
VALUES = {
    "jupyter.enabled": False,
    "worker.autoscaling": {"enabled": True, "minReplicas": 4, "maxReplicas": 4},
}


def main() -> None:
    """Run what the command line says."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--seed", type=int, default=1, help="of the schedule")
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--release", default="", help="namespace/name; default: one of its own")
    words = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("Told to stop."))
    BUILD.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        release = stack.enter_context(given(words.release) if words.release else installed())
        laptop = stack.enter_context(faults.laptop()) if faults.possible() else None
        bits = plain_bits()
        outside, inside = Outside(release, bits, BUILD, laptop), Inside(release, bits)
        for client in (outside, inside):
            stack.callback(client.close)
            client.start()
        stage = events.Stage(release, outside, inside, laptop, random.Random())
        kinds = [kind for kind in KINDS if laptop or not kind.needs_host]
        done = run(stage, schedule(words.seed, words.minutes, kinds), words.minutes)
    sys.exit(done)


@contextmanager
def given(name: str) -> Iterator[Release]:
    """A release that is there, and stays; what faults have changed of it is undone."""
    namespace, name = name.split("/")
    release = Release(ExistingCluster(str(faults.kubeconfig())), namespace, name)
    history = json.loads(release.helm("history", name, "--max=1", "--output=json"))
    autoscalers = set(release.names("hpa"))
    try:
        yield release
    finally:
        if made := set(release.names("hpa")) - autoscalers:
            release.kubectl("delete", "hpa", *made)
        release.helm("rollback", name, history[-1]["revision"], "--wait", "--timeout=10m")


@contextmanager
def installed() -> Iterator[Release]:
    """A release of our own, in a namespace of its own."""
    namespace = f"chaos-{uuid.uuid4().hex[:8]}"
    release = Release(ExistingCluster(str(faults.kubeconfig())), namespace)
    release.kubectl("create", "namespace", namespace)
    try:
        release.install(MINIKUBE, values=VALUES)
        yield release
    finally:
        release.kubectl("delete", "namespace", namespace, "--wait=false")


def plain_bits() -> bytes:
    """Plain Aer's, computed in a process of its own, so that this one has no threads of Aer's."""
    print("Computing the undisturbed bits, with plain Aer.", flush=True)
    program = "import sys; from tests.chaos import load; sys.stdout.buffer.write(load.plain_bits())"
    command = [sys.executable, "-W", "ignore", "-c", program]
    return subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE).stdout


def run(stage: events.Stage, planned: Sequence[Planned], minutes: float) -> int:
    """Do the faults, and say what came of them; the exit status."""
    clients = [stage.outside, stage.inside]
    begin(clients)
    started = time.time()
    found = []
    for index, each in enumerate(planned):
        time.sleep(max(0.0, started + each.at - time.time()))
        stage.chance.seed(each.seed)
        fault = suffer(stage, each, clients)
        found.append(fault)
        went = f"goes on after {fault.goes_on:.1f} s" if fault.goes_on is not None else "no more"
        print(f"{index + 1}/{len(planned)} {fault.kind}: {fault.hit}; {went}. "
              + " ".join(fault.trouble), flush=True)  # fmt: skip
    time.sleep(max(0.0, started + minutes * 60 - time.time()))
    return conclude(found, clients, started)


def begin(clients: Sequence[Client]) -> None:
    """Wait for the first output of each client."""
    end = time.time() + BEGIN
    while not all(goes_on(client.lines(), 0) for client in clients):
        if time.time() > end:
            said = {client.name: client.lines()[-3:] for client in clients}
            raise SystemExit(f"The clients had no output within {BEGIN:g} s: {said}.")
        time.sleep(1)


def suffer(stage: events.Stage, planned: Planned, clients: Sequence[Client]) -> Fault:
    """Do a fault, and wait until it is recovered from or its bound is over."""
    kind = planned.kind
    fault = Fault(kind, time.time())
    try:
        fault.hit = events.do(kind, stage)
    except Exception as error:  # noqa: BLE001 (the run goes on, and ends with the status 1)
        fault.trouble.append(f"{kind} could not be done: {error}")
    fault.began = stage.began
    while fault.goes_on is None:
        late = time.time() > fault.began + kind.bound  # an event itself may take as long
        when = [goes_on(client.lines(), fault.began) for client in clients]
        if all(when):
            fault.goes_on = max(w for w in when if w) - fault.began
        elif late:
            break
        else:
            time.sleep(0.5)
    if fault.goes_on is None or fault.goes_on > kind.bound:
        fault.trouble.append(f"After {kind} no client went on within {kind.bound:g} s.")
    while fault.whole is None and time.time() < fault.began + WHOLE:
        if events.is_whole(stage.release):
            fault.whole = time.time() - fault.began
        time.sleep(1)
    if fault.whole is None:
        fault.trouble.append(f"After {kind} not all pods were ready within {WHOLE:g} s.")
    fault.ended = time.time()
    return fault


def conclude(found: Sequence[Fault], clients: Sequence[Client], started: float) -> int:
    """Print the table, write it, and name what must not be; the exit status."""
    for client in clients:
        lines = client.lines()
        for fault in found:
            count(fault, lines)
    print(table(found, started))
    lines = [line for client in clients for line in client.lines()]
    ended = [line for line in lines if line["what"] == "ended"]
    trouble = [sentence for fault in found for sentence in fault.trouble]
    trouble += [f"A job of the client {line['client']} failed: {line['why']}"
                for line in lines if line["what"] == "failed"]  # fmt: skip
    trouble += [f"Bits differ: {line['client']}, {line['program']}: {line['differences'][0][:200]}"
                for line in ended if line["differences"]]  # fmt: skip
    trouble += [sentence for client in clients
                for sentence in died(client.name, client.lines(), found)]  # fmt: skip
    trouble += [f"No job of the client {client.name} has ended." for client in clients
                if client.name not in {line["client"] for line in ended}]  # fmt: skip
    trouble += [f"After {fault.kind} {fault.kept} of {fault.done} tasks were in the store."
                for fault in found if fault.kept < fault.done]  # fmt: skip
    record = {"started": started, "faults": list(map(as_json, found)), "jobs": len(ended),
              "trouble": trouble}  # fmt: skip
    (BUILD.parent / "chaos.json").write_text(json.dumps(record, indent=2))
    (BUILD / "lines.json").write_text("\n".join(map(json.dumps, lines)))
    equal = sum(not line["differences"] for line in ended)
    print(f"{len(found)} faults; {len(ended)} jobs ended, {equal} of them with equal bits.")
    for sentence in trouble:
        print(sentence)
    return 1 if trouble else 0


if __name__ == "__main__":
    main()
