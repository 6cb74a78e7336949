"""One node of the `host` cluster: namespaces, addresses, a containerd, a kubelet, a kube-proxy.

A node is to the host what a container is: processes in namespaces of their own. Two nodes do not
see each other's bridges, ports, iptables rules or mounts, the host sees none of them, and ending
the first process of a node ends and undoes everything in it.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from dataclasses import dataclass
from pathlib import Path

from . import cgroups, pki
from .common import STATE, run, succeeds, wait_for, write_json

SERVICES = "10.96.0.0/16"
DNS_SERVICE = "10.96.0.10"
PODS = "10.244.0.0/16"
CONTAINERD = """
version = 2
root = "{home}/containerd"
state = "/run/containerd"
[grpc]
  address = "{home}/containerd.sock"
[plugins."io.containerd.internal.v1.opt"]
  path = "{home}/opt"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{image}"
  restrict_oom_score_adj = true
  disable_hugetlb_controller = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = "{home}/cni"
  [plugins."io.containerd.grpc.v1.cri".registry]
    config_path = "{home}/registries"
"""


@dataclass(frozen=True)
class Node:
    """A node, by its number from 1."""

    number: int

    @property
    def name(self) -> str:
        """Its name in the cluster."""
        return f"node{self.number}"

    @property
    def address(self) -> str:
        """Its address on the wire between the nodes."""
        return f"10.97.0.{self.number}"

    @property
    def pods(self) -> str:
        """The network of its pods."""
        return f"10.244.{self.number}.0/24"

    @property
    def home(self) -> Path:
        """The folder of its files."""
        return STATE / self.name

    @property
    def cgroup(self) -> str:
        """The cgroup that holds its pods."""
        return f"aer-dask-{self.name}"

    @property
    def socket(self) -> Path:
        """Where its containerd listens."""
        return self.home / "containerd.sock"

    def pid(self) -> int | None:
        """The PID of the node's first process, if it runs."""
        try:
            pid = int((STATE / f"{self.name}.pid").read_text())
            command = Path(f"/proc/{pid}/cmdline").read_bytes()
        except (OSError, ValueError):
            return None
        return pid if command.startswith(bytes(STATE / "bin" / "pause")) else None

    def create(self) -> None:
        """Make the namespaces and cgroups."""
        if self.pid():
            return
        self.home.mkdir(exist_ok=True)
        spawn(STATE / "log" / f"{self.name}.log", "unshare", "--net", "--mount", "--pid", "--fork",
              Path(__file__).with_name("node.sh"), STATE, self.name)  # fmt: skip
        wait_for(f"the namespaces of {self.name}", lambda: self.pid() is not None)
        cgroups.create(self.cgroup)

    def destroy(self) -> None:
        """End every process of the node, and with them its namespaces."""
        if pid := self.pid():
            os.kill(pid, signal.SIGKILL)
            # a disk that others use may hold up what is just being unmounted
            wait_for(f"the end of {self.name}", lambda: not Path(f"/proc/{pid}").exists(), 300)
        cgroups.remove(self.cgroup)

    def inside(self, *command: object) -> tuple[object, ...]:
        """The command as it must be called to run in the node."""
        return "nsenter", "--target", self.pid(), "--net", "--mount", "--pid", "--", *command

    def start(self, name: str, *command: object) -> None:
        """Run a daemon in the node, unless it runs already."""
        if not processes(*command):
            spawn(STATE / "log" / f"{self.name}-{name}.log", *self.inside(*command))

    def start_containerd(self, image: str) -> None:
        """Start the container runtime; a kubelet that does not find it gives up at once."""
        self.write_pod_network()
        config = self.home / "containerd.toml"
        config.write_text(CONTAINERD.format(home=self.home, image=image))
        self.start("containerd", "/usr/bin/containerd", "--config", config)
        wait_for(f"containerd on {self.name}", lambda: succeeds(*self.ctr("version")))

    def ctr(self, *arguments: object) -> tuple[object, ...]:
        """A command of containerd's client."""
        return "ctr", "--address", self.socket, "--namespace", "k8s.io", *arguments

    def import_images(self, archive: Path) -> None:
        """Load an image archive; tags in it move to the images it holds."""
        run(*self.ctr("images", "import", archive), stdout=subprocess.DEVNULL)

    def trust(self, registry: str, certificate: Path) -> None:
        """Have a registry, by host and port, be trusted that shows a certificate."""
        folder = self.home / "registries" / registry
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copy(certificate, folder / "ca.crt")
        (folder / "hosts.toml").write_text(
            f'server = "https://{registry}"\n[host."https://{registry}"]\nca = "{folder}/ca.crt"\n'
        )

    def write_pod_network(self) -> None:
        """Tell the container runtime to give each pod an address on the node's own bridge."""
        addresses = {
            "type": "host-local",
            "dataDir": "/run/cni",
            "ranges": [[{"subnet": self.pods}]],
            "routes": [{"dst": "0.0.0.0/0"}],
        }
        # no masquerading: policies and logs should see the address that sent the packet
        bridge = {
            "type": "bridge",
            "bridge": "pods",
            "isGateway": True,
            "ipMasq": False,
            "hairpinMode": True,
            "ipam": addresses,
        }
        config = {"cniVersion": "0.4.0", "name": "pods", "plugins": [bridge]}
        write_json(self.home / "cni" / "pods.conflist", config)

    def start_kubelet(self, server: str) -> None:
        """Start the agent that runs the node's pods."""
        subject = f"/O=system:nodes/CN=system:node:{self.name}"
        signed, key = pki.certificate(self.name, subject, f"IP:{self.address}")
        login = pki.kubeconfig(self.home / "kubelet.kubeconfig", server, self.name, subject)
        resolv = self.home / "resolv.conf"
        resolv.write_text("nameserver 127.0.0.1\n")  # the host's is of no use in these namespaces
        config = {
            "apiVersion": "kubelet.config.k8s.io/v1beta1",
            "kind": "KubeletConfiguration",
            "address": self.address,
            "authentication": {
                "anonymous": {"enabled": False},
                "webhook": {"enabled": True},
                "x509": {"clientCAFile": str(pki.authority())},
            },
            "authorization": {"mode": "Webhook"},
            "tlsCertFile": str(signed),
            "tlsPrivateKeyFile": str(key),
            "clusterDNS": [DNS_SERVICE],
            "clusterDomain": "cluster.local",
            "containerRuntimeEndpoint": f"unix://{self.socket}",
            "volumePluginDir": str(self.home / "volume-plugins"),
            "resolvConf": str(resolv),
            "cgroupDriver": "cgroupfs",
            "cgroupRoot": f"/{self.cgroup}",
            "failCgroupV1": False,
            "failSwapOn": False,
            # root in a sandbox may lack the right to lower OOM scores and to tune the kernel
            "featureGates": {"KubeletInUserNamespace": True},
            "oomScoreAdj": 0,
            "evictionHard": {
                "nodefs.available": "1%",
                "imagefs.available": "1%",
                "memory.available": "100Mi",
            },
            # nobody can pull the images again that were loaded by hand
            "imageGCHighThresholdPercent": 100,
        }
        write_json(self.home / "kubelet.json", config)
        self.start("kubelet", STATE / "bin" / "kubelet", f"--config={self.home / 'kubelet.json'}",
                   f"--kubeconfig={login}", f"--hostname-override={self.name}",
                   f"--node-ip={self.address}", f"--root-dir={self.home / 'kubelet'}")  # fmt: skip

    def start_proxy(self, server: str) -> None:
        """Start the daemon that turns Services into iptables rules."""
        subject = "/CN=system:kube-proxy"
        login = pki.kubeconfig(self.home / "proxy.kubeconfig", server, "kube-proxy", subject)
        config = {
            "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
            "kind": "KubeProxyConfiguration",
            "clientConnection": {"kubeconfig": str(login)},
            "hostnameOverride": self.name,
            "mode": "iptables",
            "clusterCIDR": PODS,
            # the size of the connection table is the host's to choose
            "conntrack": {
                "maxPerCore": 0,
                "tcpEstablishedTimeout": "0s",
                "tcpCloseWaitTimeout": "0s",
            },
            "oomScoreAdj": 0,
        }
        write_json(self.home / "proxy.json", config)
        self.start("proxy", STATE / "bin" / "kube-proxy", f"--config={self.home / 'proxy.json'}")

    def start_policies(self, server: str) -> None:
        """Start the daemon that turns network policies into iptables rules."""
        pki.kubeconfig(self.policy_login, server, "kube-router", "/CN=kube-router")
        self.start("policies", *self.policy_agent)

    def stop_policies(self) -> None:
        """Stop that daemon, and wait for its end: it removes its rules before."""
        for pid in processes(*self.policy_agent):
            os.kill(pid, signal.SIGTERM)
        wait_for(f"the end of kube-router on {self.name}",
                 lambda: not processes(*self.policy_agent))  # fmt: skip

    @property
    def policy_login(self) -> Path:
        """With what the daemon of network policies reaches the API server."""
        return self.home / "kube-router.kubeconfig"

    @property
    def policy_agent(self) -> tuple[object, ...]:
        """The command of that daemon."""
        return (STATE / "bin" / "kube-router", f"--kubeconfig={self.policy_login}",
                f"--hostname-override={self.name}",
                f"--service-cluster-ip-range={SERVICES}")  # fmt: skip


def processes(*command: object) -> list[int]:
    """The PIDs of the processes with exactly this command line."""
    wanted = b"".join(os.fsencode(str(word)) + b"\0" for word in command)
    files = Path("/proc").glob("[0-9]*/cmdline")
    found = {int(path.parent.name) for path in files if read_bytes(path) == wanted}
    # a child that is about to become another program has its parent's command line still
    return [pid for pid in found if (now := stat(pid)) and int(now[1]) not in found]


def stat(pid: int) -> list[str]:
    """State, parent and so on of a process, as the kernel has them; nothing once it is gone."""
    return os.fsdecode(read_bytes(Path(f"/proc/{pid}/stat"))).rpartition(") ")[2].split()


def spawn(log: Path, *command: object) -> None:
    """Run a command in the background, apart from this terminal."""
    with log.open("ab") as file:
        subprocess.Popen([str(word) for word in command], stdin=subprocess.DEVNULL, stdout=file,
                         stderr=file, start_new_session=True, cwd="/")  # fmt: skip


def read_bytes(path: Path) -> bytes:
    """What a file in /proc holds; nothing once its process is gone."""
    try:
        return path.read_bytes()
    except OSError:
        return b""
