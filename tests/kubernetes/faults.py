"""Faults of the `host` cluster's machines: a node that is lost, packets that are lost.

Who is cut off gets no answer at all, neither a refusal nor a reset, as where a cable is pulled.
"""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from . import cgroups
from .common import KUBECONFIG, run, wait_for
from .host import NODES
from .network import BRIDGE, ip
from .node import Node, stat

#: The machine of a user, on the wire between the nodes.
LAPTOP_ADDRESS = "10.97.0.200"


def kubeconfig() -> Path:
    """Of the cluster at hand."""
    return Path(os.environ.get("KUBECONFIG") or KUBECONFIG)


def possible() -> bool:
    """Whether the cluster at hand is the `host` cluster, whose nodes are ours."""
    return NODES[0].pid() is not None and f"https://{NODES[0].address}:" in text(kubeconfig())


@contextmanager
def lost(node: Node) -> Iterator[None]:
    """A node that nobody reaches, and in which nothing runs meanwhile.

    Args:
        node: not the first one, in which the API server is.
    """
    first = NODES[0]
    assert node != first
    ip(first, "link", "set", node.name, "down")
    try:
        # the daemons first, so that none starts anything; then the pods
        send(signal.SIGSTOP, daemons(node))
        send(signal.SIGSTOP, pods(node))
        yield
    finally:
        for stopped in (pods(node), daemons(node), entrances(daemons(node))):
            send(signal.SIGCONT, stopped)
        ip(first, "link", "set", node.name, "up")


def daemons(node: Node) -> list[int]:
    """The processes in a node's own PID namespace."""
    own = namespace(node.pid())
    found = (int(path.name) for path in Path("/proc").glob("[0-9]*"))
    return [pid for pid in found if own and namespace(pid) == own]


def entrances(daemons: list[int]) -> list[int]:
    """The `nsenter` of each daemon, which stops with it and is not continued with it."""
    parents = {int(stat(pid)[1]) for pid in daemons if stat(pid)}
    return [pid for pid in parents if text(Path(f"/proc/{pid}/comm")) == "nsenter\n"]


def namespace(pid: int | None) -> str:
    """The PID namespace of a process; nothing once it is gone."""
    with suppress(OSError):
        return os.readlink(f"/proc/{pid}/ns/pid")
    return ""


def pods(node: Node) -> list[int]:
    """The processes of a node's pods."""
    folders = (root / node.cgroup for root in cgroups.hierarchies())
    files = (file for folder in folders for file in folder.rglob("cgroup.procs"))
    return sorted({int(pid) for file in files for pid in text(file).split()})


def text(file: Path) -> str:
    """What a file of the kernel holds; nothing once it is gone."""
    try:
        return file.read_text()
    except OSError:
        return ""


def send(number: signal.Signals, pids: list[int]) -> None:
    """Send a signal to processes, of which some may be gone."""
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, number)


@contextmanager
def cut(here: str, there: str) -> Iterator[None]:
    """Two pods, by their addresses, of whose packets none arrives at the other."""
    rules = [
        (node, ["FORWARD", "--source", source, "--destination", destination, "--jump", "DROP"])
        for node in NODES
        for source, destination in ((here, there), (there, here))
    ]
    with dropping(rules):
        yield


@contextmanager
def dropping(rules: list[tuple[Node | Laptop, list[str]]]) -> Iterator[None]:
    """Rules of iptables on machines, in a table that is before those of Services and policies."""
    with ExitStack() as stack:
        for machine, rule in rules:
            iptables = machine.inside("iptables", "--wait", "--table=mangle")
            run(*iptables, "--insert", *rule)
            stack.callback(run, *iptables, "--delete", *rule)
        yield


@dataclass(frozen=True)
class Laptop:
    """A machine beside the nodes, to run clients on that can be cut off.

    Only its network is its own: it has the host's files and processes.
    """

    process: int

    def inside(self, *command: object) -> tuple[object, ...]:
        """The command as it must be called to run there."""
        return "nsenter", "--target", self.process, "--net", "--", *command

    @contextmanager
    def cut_off(self) -> Iterator[None]:
        """Nothing that is sent to it or by it arrives."""
        rules = [
            (self, ["INPUT", "!", "--in-interface", "lo", "--jump", "DROP"]),
            (NODES[0], ["INPUT", "--source", LAPTOP_ADDRESS, "--jump", "DROP"]),
        ]
        with dropping(rules):
            yield


@contextmanager
def laptop() -> Iterator[Laptop]:
    """One, plugged in to the bridge between the nodes."""
    first = NODES[0]
    with subprocess.Popen(["unshare", "--net", "sleep", "infinity"]) as process:
        try:
            own = os.readlink("/proc/self/ns/net")
            wait_for("the laptop's network",
                     lambda: os.readlink(f"/proc/{process.pid}/ns/net") != own)  # fmt: skip
            made = Laptop(process.pid)
            run("ip", "link", "add", "wire", "netns", process.pid, "type", "veth",
                "peer", "name", "laptop", "netns", first.pid())  # fmt: skip
            ip(first, "link", "set", "laptop", "master", BRIDGE, "up")
            run(*made.inside("ip", "addr", "add", f"{LAPTOP_ADDRESS}/24", "dev", "wire"))
            run(*made.inside("ip", "link", "set", "wire", "up"))
            run(*made.inside("ip", "link", "set", "lo", "up"))
            yield made
        finally:
            process.kill()
