"""Certificates and kubeconfig files of the `host` cluster."""

from __future__ import annotations

import base64
from pathlib import Path

from .common import STATE, run, write_json

PKI = STATE / "pki"
NEW_KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")


def authority() -> Path:
    """The certificate that signs all others."""
    certificate = PKI / "ca.crt"
    if not certificate.exists():
        PKI.mkdir(parents=True, mode=0o700)
        openssl("req", "-x509", *NEW_KEY, "-days", 365, "-subj", "/CN=aer-dask-cluster",
                "-addext", "keyUsage=critical,keyCertSign", "-keyout", PKI / "ca.key",
                "-out", certificate)  # fmt: skip
    return certificate


def certificate(name: str, subject: str, *addresses: str) -> tuple[Path, Path]:
    """The certificate and key of one component, for servers with the addresses they answer at."""
    signed, key, request = (PKI / f"{name}.{ending}" for ending in ("crt", "key", "csr"))
    if not signed.exists():
        issuer = authority()
        openssl("req", *NEW_KEY, "-subj", subject, "-keyout", key, "-out", request)
        extensions = PKI / f"{name}.ext"
        names = ",".join((f"DNS:{name}", *addresses))
        extensions.write_text(f"extendedKeyUsage=serverAuth,clientAuth\nsubjectAltName={names}\n")
        openssl("x509", "-req", "-in", request, "-CA", issuer, "-CAkey", PKI / "ca.key",
                "-CAcreateserial", "-days", 365, "-extfile", extensions,
                "-out", signed)  # fmt: skip
    return signed, key


def signing_key() -> tuple[Path, Path]:
    """The key pair of service-account tokens, private and public."""
    private, public = PKI / "service-accounts.key", PKI / "service-accounts.pub"
    if not public.exists():
        openssl("genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:prime256v1",
                "-out", private)  # fmt: skip
        openssl("pkey", "-in", private, "-pubout", "-out", public)
    return private, public


def kubeconfig(path: Path, server: str, name: str, subject: str) -> Path:
    """Write a kubeconfig that holds its own certificates, and so can be copied anywhere."""
    signed, key = certificate(name, subject)
    cluster = {"server": server, "certificate-authority-data": embedded(authority())}
    user = {"client-certificate-data": embedded(signed), "client-key-data": embedded(key)}
    context = {"cluster": "aer-dask", "user": name}
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "aer-dask", "cluster": cluster}],
        "users": [{"name": name, "user": user}],
        "contexts": [{"name": "aer-dask", "context": context}],
        "current-context": "aer-dask",
    }
    write_json(path, config)
    return path


def embedded(path: Path) -> str:
    """A file as kubeconfig embeds it."""
    return base64.b64encode(path.read_bytes()).decode()


def openssl(*arguments: object) -> None:
    """Run openssl; it is chatty on success, so its words appear only in an error."""
    run("openssl", *arguments, capture_output=True)
