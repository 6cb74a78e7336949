"""Network policies of the `host` cluster: enforced, as by most network plugins, or ignored.

In each node kube-router's controller turns the policies of the node's pods into iptables rules. It
removes these when it is told to stop, so a test can have one cluster both ways.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from . import control_plane
from .common import output, wait_for
from .node import Node


def enforce(nodes: list[Node]) -> None:
    """Start the agents, unless they run, and wait until each has written its rules."""
    for node in nodes:
        node.start_policies(control_plane.server(nodes[0]))
    for node in nodes:
        wait_for(f"the rules of policies on {node.name}", lambda node=node: has_rules(node))


def ignore(nodes: list[Node]) -> None:
    """Stop the agents, and wait until their rules are gone."""
    for node in nodes:
        node.stop_policies()
        wait_for(f"the end of the rules on {node.name}", lambda node=node: not has_rules(node))


@contextmanager
def ignored(nodes: list[Node]) -> Iterator[None]:
    """A cluster that enforces no policies, for a while."""
    ignore(nodes)
    try:
        yield
    finally:
        enforce(nodes)


def has_rules(node: Node) -> bool:
    """Whether a node's agent has written all rules once: the last one accepts what they allow."""
    rules = output(*node.inside("iptables", "--wait", "--list-rules"))
    return "-A KUBE-ROUTER-FORWARD -m comment" in rules and "0x20000/0x20000 -j ACCEPT" in rules
