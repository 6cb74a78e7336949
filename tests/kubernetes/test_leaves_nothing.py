"""`make cluster-down` leaves the host as it was before `make cluster-up`."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from . import packages
from .common import ROOT, STATE
from .node import stat

DAEMONS = {
    "containerd",
    "containerd-shim",
    "etcd",
    "kube",
    "kube-apiserver",
    "kube-controller",
    "kube-proxy",
    "kube-router",
    "kube-scheduler",
    "kubelet",
    "nsenter",
    "pause",
}


def output(*command: str) -> list[str]:
    done = subprocess.run(command, check=True, text=True, capture_output=True)
    return done.stdout.splitlines()


def daemons() -> list[str]:
    """The command lines of processes that carry the name of a part of a cluster."""
    found = {}
    for process in Path("/proc").glob("[0-9]*"):
        try:
            name, line = (process / "comm").read_text(), (process / "cmdline").read_text()
        except OSError:
            continue
        if name.strip() in DAEMONS and line:  # a zombie has no line: it has ended
            found[int(process.name)] = line
    # a child that is about to become another program has its parent's line still
    return sorted(
        line for pid, line in found.items()
        if (now := stat(pid)) and found.get(int(now[1])) != line
    )  # fmt: skip


def rules(command: str) -> list[str]:
    """Firewall rules and chains, without counters and without the built-in chains."""
    return [line for line in output(command) if re.match(r"-A|:\S+ -", line)]


def settings() -> list[str]:
    """The kernel settings that Kubernetes is known to change."""
    paths = [
        "kernel/keys/root_maxbytes",
        "kernel/keys/root_maxkeys",
        "kernel/panic",
        "kernel/panic_on_oops",
        "net/bridge/bridge-nf-call-iptables",
        "net/ipv4/conf/all/route_localnet",
        "net/ipv4/ip_forward",
        "net/netfilter/nf_conntrack_max",
        "vm/overcommit_memory",
        "vm/panic_on_oom",
    ]
    files = [Path("/proc/sys") / path for path in paths]
    return [f"{file}={file.read_text().strip()}" for file in files if file.exists()]


def folders() -> list[str]:
    """What is in the folders where Kubernetes and containerd keep things by default."""
    parents = map(Path, ("/etc", "/etc/cni", "/run", "/run/netns", "/run/containerd", "/var/lib",
                         "/var/lib/cni", "/var/log", "/opt"))  # fmt: skip
    return sorted(str(path) for parent in parents if parent.is_dir() for path in parent.iterdir())


def mounts() -> list[str]:
    """The mount points, without those of an image builder that may be at work beside us."""
    paths = [line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines()]
    return sorted(path for path in paths if not path.startswith("/var/lib/containers/"))


def cgroups() -> list[str]:
    """The cgroups at the top, and those of pods; deeper ones come and go with a host's own work."""
    tree = Path("/sys/fs/cgroup")
    paths = {*tree.glob("*"), *tree.glob("*/*"), *tree.rglob("*kubepods*")}
    return sorted(str(path) for path in paths if path.is_dir())


def state_of_host() -> dict[str, list[str]]:
    """All that the cluster changes while it is up."""
    return {
        "processes": daemons(),
        "mounts": mounts(),
        "interfaces": [line.split(":")[1] for line in output("ip", "-oneline", "link")],
        "addresses": [line.split("\\")[0] for line in output("ip", "-oneline", "address")],
        "routes": output("ip", "route", "show", "table", "all"),
        "IPv4 rules": rules("iptables-save"),
        "IPv6 rules": rules("ip6tables-save"),
        "cgroups": cgroups(),
        "kernel settings": settings(),
        "folders": folders(),
    }


@pytest.mark.skipif(os.geteuid() != 0, reason="the `host` cluster needs root")
@pytest.mark.skipif(STATE.exists(), reason="a `host` cluster is up: `make cluster-down` first")
@pytest.mark.timeout(3600)  # when nothing is cached, most of it is spent on compiling Kubernetes
def test_a_cluster_that_was_up_leaves_no_trace_on_the_host() -> None:
    packages.install_for_cluster()
    before = state_of_host()
    cluster = [sys.executable, "-m", "tests.kubernetes"]
    try:
        subprocess.run([*cluster, "--cluster=host", "up"], cwd=ROOT, check=True)
        during = state_of_host()
        subprocess.run([*cluster, "up"], cwd=ROOT, check=True)
        assert daemons() == during["processes"], "a second `up` should change nothing"
    finally:
        subprocess.run([*cluster, "down"], cwd=ROOT, check=True)
    after = state_of_host()
    seen = {kind for kind in before if before[kind] != during[kind]}
    assert seen >= {"processes", "interfaces", "cgroups", "folders"}, "up would go unnoticed"
    left = {kind: set(after[kind]) ^ set(before[kind]) for kind in before}
    assert not any(left.values()), {kind: sorted(diff) for kind, diff in left.items() if diff}
