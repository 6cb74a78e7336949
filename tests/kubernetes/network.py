"""The wires between the nodes of the `host` cluster and the host.

A bridge inside the first node joins all. The host has one interface, by which the API server is
reached; it dies with the first node. No pod can reach beyond the cluster.
"""

from __future__ import annotations

from .common import run, succeeds
from .node import SERVICES, Node

HOST_INTERFACE = "aer-dask"
HOST_ADDRESS = "10.97.0.254"
BRIDGE = "nodes"


def connect(nodes: list[Node]) -> None:
    """Join the nodes and the host, unless they are."""
    if succeeds("ip", "link", "show", HOST_INTERFACE):
        return
    first, *others = nodes
    ip(first, "link", "add", BRIDGE, "type", "bridge")
    ip(first, "addr", "add", f"{first.address}/24", "dev", BRIDGE)
    ip(first, "link", "set", BRIDGE, "up")
    for node in others:
        plug_in(node, first)
    for node in nodes:
        forward(node, nodes)
    run("ip", "link", "add", HOST_INTERFACE, "type", "veth",
        "peer", "name", "host", "netns", first.pid())  # fmt: skip
    ip(first, "link", "set", "host", "master", BRIDGE, "up")
    run("ip", "addr", "add", f"{HOST_ADDRESS}/24", "dev", HOST_INTERFACE)
    run("ip", "link", "set", HOST_INTERFACE, "up")


def plug_in(node: Node, first: Node) -> None:
    """Lay a cable from a node to the bridge in the first one."""
    run("ip", "link", "add", BRIDGE, "netns", node.pid(), "type", "veth",
        "peer", "name", node.name, "netns", first.pid())  # fmt: skip
    ip(first, "link", "set", node.name, "master", BRIDGE, "up")
    ip(node, "addr", "add", f"{node.address}/24", "dev", BRIDGE)
    ip(node, "link", "set", BRIDGE, "up")


def forward(node: Node, nodes: list[Node]) -> None:
    """Make a node the router of its pods: routes to the other nodes' pods and to Services."""
    for other in nodes:
        if other != node:
            ip(node, "route", "add", other.pods, "via", other.address)
    # kube-proxy rewrites these addresses, but only after the kernel has found a route for them
    ip(node, "route", "add", SERVICES, "dev", BRIDGE)
    settings = ("net.ipv4.ip_forward=1", "net.bridge.bridge-nf-call-iptables=1")
    run(*node.inside("sysctl", "--quiet", "--write", *settings))


def ip(node: Node, *arguments: object) -> None:
    """Run `ip` in a node."""
    run(*node.inside("ip", *arguments))


def disconnect() -> None:
    """Remove the host's interface, unless it has gone with the first node.

    The kernel keeps it until the node's last connection has ended, and one to a pod that has gone
    may last two minutes.
    """
    succeeds("ip", "link", "delete", HOST_INTERFACE)
