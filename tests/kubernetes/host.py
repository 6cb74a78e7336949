"""CLUSTER=host: upstream Kubernetes on this very machine, without Docker or a virtual machine."""

from __future__ import annotations

import os
import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from . import cgroups, claim, control_plane, image, network, packages, pki, policies
from .build import compile_all, program
from .common import KUBECONFIG, STATE, output, run, wait_for
from .node import Node

NODES = [Node(1), Node(2)]
COMPONENTS = (
    "etcd",
    "kube-apiserver",
    "kube-controller-manager",
    "kube-proxy",
    "kube-router",
    "kube-scheduler",
    "kubectl",
    "kubelet",
)


def up() -> None:
    """Bring the cluster up, or what of it is not up."""
    if os.geteuid() != 0:
        raise SystemExit("CLUSTER=host needs root: it makes namespaces, cgroups and mounts.")
    remove_abandoned()
    claim.refuse_others()
    claim.take()
    packages.install_for_cluster()
    install_programs()
    for node in NODES:
        node.create()
    network.connect(NODES)
    control_plane.start(NODES[0])
    server = control_plane.server(NODES[0])
    for node in NODES:
        node.start_containerd(image.NAME)
        node.start_kubelet(server)
        node.start_proxy(server)
    pki.kubeconfig(KUBECONFIG, server, "admin", "/O=system:masters/CN=admin")
    load(STATE / "cluster.tar")
    kubectl("apply", "--server-side", "--filename", Path(__file__).with_name("addons"))
    wait_until_ready()
    policies.enforce(NODES)


def install_programs() -> None:
    """Copy the programs to the state folder, where the nodes see them."""
    binaries = STATE / "bin"
    if (binaries / "pause").exists():
        return
    for folder in (binaries, STATE / "log"):
        folder.mkdir(parents=True, exist_ok=True)
    compile_all(["kube", *image.COMPILED])
    shutil.copy2(program("kube"), binaries)
    for name in COMPONENTS:
        (binaries / name).unlink(missing_ok=True)
        (binaries / name).symlink_to("kube")
    image.write_archive(STATE / "cluster.tar")
    shutil.copy2(program("pause"), binaries)  # last: it says that all are there


def wait_until_ready() -> None:
    """Wait for the nodes, the add-ons and the metrics that the autoscaler reads."""
    names = [node.name for node in NODES]
    wait_for("the nodes to register", lambda: all(name in node_names() for name in names))
    kubectl("wait", "--for=condition=Ready", "node", *names, "--timeout=60s", quiet=True)
    kubectl("--namespace=kube-system", "wait", "--for=condition=Available", "deployment", "--all",
            "--timeout=120s", quiet=True)  # fmt: skip
    kubectl("wait", "--for=condition=Available", "apiservice/v1beta1.metrics.k8s.io",
            "--timeout=60s", quiet=True)  # fmt: skip
    kubectl("get", "nodes", "--output=wide", quiet=False)


def node_names() -> str:
    """The names of the nodes that have registered."""
    return output(
        STATE / "bin" / "kubectl", "--kubeconfig", KUBECONFIG, "get", "nodes", "--output=name"
    )


def load(archive: Path) -> None:
    """Load an image archive on all nodes at once."""
    with ThreadPoolExecutor() as pool:  # each unpacks it by itself, on one CPU
        list(pool.map(lambda node: node.import_images(archive), NODES))


def down() -> None:
    """Remove the cluster: processes, namespaces, cgroups and files. Compiled programs stay."""
    for node in NODES:
        node.destroy()
    cgroups.restore_controllers()
    network.disconnect()
    if STATE.exists():
        shutil.rmtree(STATE)
    KUBECONFIG.unlink(missing_ok=True)


def remove_abandoned() -> None:
    """Take down what a run that was killed has left: with it, its releases and their pods."""
    if claim.is_abandoned():
        print("A host cluster is up that nobody looks after any more: it is taken down first.")
        down()


def kubectl(*arguments: object, quiet: bool = True) -> None:
    """Run the cluster's own kubectl."""
    options = {"stdout": subprocess.DEVNULL} if quiet else {}
    run(STATE / "bin" / "kubectl", "--kubeconfig", KUBECONFIG, *arguments, **options)
