"""etcd, API server, controller manager and scheduler; they run in the first node."""

from __future__ import annotations

from . import pki
from .common import STATE, succeeds, wait_for
from .node import SERVICES, Node

API_SERVICE = "10.96.0.1"
PORT = 6443


def server(node: Node) -> str:
    """The URL of the API server."""
    return f"https://{node.address}:{PORT}"


def start(node: Node) -> None:
    """Start the control plane and wait until the API server answers."""
    start_etcd(node)
    start_api_server(node)
    start_controllers(node)
    start_scheduler(node)
    admin = pki.kubeconfig(STATE / "admin.kubeconfig", server(node), "admin",
                           "/O=system:masters/CN=admin")  # fmt: skip
    ready = (STATE / "bin" / "kubectl", "--kubeconfig", admin, "get", "--raw", "/readyz")
    wait_for("the API server to be ready", lambda: succeeds(*ready))


def start_etcd(node: Node) -> None:
    """Start the database; a test cluster need not survive a power cut, so it does not sync."""
    signed, key = pki.certificate("etcd", "/CN=etcd", f"IP:{node.address}")
    start_component(
        node,
        "etcd",
        data_dir=STATE / "etcd",
        listen_client_urls=f"https://{node.address}:2379",
        advertise_client_urls=f"https://{node.address}:2379",
        listen_peer_urls="http://127.0.0.1:2380",
        cert_file=signed,
        key_file=key,
        trusted_ca_file=pki.authority(),
        client_cert_auth="true",
        unsafe_no_fsync="true",
    )


def start_api_server(node: Node) -> None:
    """Start the API server."""
    names = ["kubernetes", "kubernetes.default", "kubernetes.default.svc"]
    addresses = [f"DNS:{name}" for name in names] + [f"IP:{node.address}", f"IP:{API_SERVICE}"]
    signed, key = pki.certificate("kube-apiserver", "/CN=kube-apiserver", *addresses)
    to_etcd = pki.certificate("etcd-client", "/CN=kube-apiserver")
    to_kubelet = pki.certificate("kubelet-client", "/O=system:masters/CN=kubelet-client")
    to_extension = pki.certificate("front-proxy", "/CN=front-proxy")
    private, public = pki.signing_key()
    start_component(
        node,
        "kube-apiserver",
        advertise_address=node.address,
        bind_address=node.address,
        secure_port=PORT,
        service_cluster_ip_range=SERVICES,
        allow_privileged="true",
        authorization_mode="Node,RBAC",
        enable_admission_plugins="NodeRestriction",
        client_ca_file=pki.authority(),
        tls_cert_file=signed,
        tls_private_key_file=key,
        etcd_servers=f"https://{node.address}:2379",
        etcd_cafile=pki.authority(),
        etcd_certfile=to_etcd[0],
        etcd_keyfile=to_etcd[1],
        kubelet_certificate_authority=pki.authority(),
        kubelet_client_certificate=to_kubelet[0],
        kubelet_client_key=to_kubelet[1],
        kubelet_preferred_address_types="InternalIP",
        service_account_issuer="https://kubernetes.default.svc",
        service_account_signing_key_file=private,
        service_account_key_file=public,
        # extension API servers, of which metrics-server is one
        enable_aggregator_routing="true",
        proxy_client_cert_file=to_extension[0],
        proxy_client_key_file=to_extension[1],
        requestheader_client_ca_file=pki.authority(),
        requestheader_allowed_names="front-proxy",
        requestheader_extra_headers_prefix="X-Remote-Extra-",
        requestheader_group_headers="X-Remote-Group",
        requestheader_username_headers="X-Remote-User",
    )


def start_controllers(node: Node) -> None:
    """Start the controllers; the autoscaler looks three times as often as it does by default."""
    start_client(
        node,
        "kube-controller-manager",
        root_ca_file=pki.authority(),
        service_account_private_key_file=pki.signing_key()[0],
        use_service_account_credentials="true",
        horizontal_pod_autoscaler_sync_period="5s",
    )


def start_scheduler(node: Node) -> None:
    """Start the scheduler."""
    start_client(node, "kube-scheduler")


def start_client(node: Node, name: str, **flags: object) -> None:
    """Start a client of the API server, which knows its rights by the user's name."""
    path = STATE / "etc" / f"{name}.kubeconfig"
    login = pki.kubeconfig(path, server(node), name, f"/CN=system:{name}")
    common = {"kubeconfig": login, "bind_address": node.address, "leader_elect": "false"}
    start_component(node, name, **common, **flags)


def start_component(node: Node, name: str, **flags: object) -> None:
    """Start a component, with its flags as keywords."""
    options = (f"--{flag.replace('_', '-')}={value}" for flag, value in flags.items())
    node.start(name, STATE / "bin" / name, *options)
