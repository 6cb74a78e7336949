"""With TLS all of a release works, nobody without its certificate gets in, and upgrades keep it."""

from __future__ import annotations

import pytest

from .release import MINIKUBE, Release

pytestmark = pytest.mark.timeout(900)

#: Prints what becomes of a client without TLS, and of one without a certificate.
INTRUDE = """
import os, socket, ssl
from dask import config
from distributed import Client

config.set({"distributed.comm.require-encryption": False})
try:
    Client("tcp://localhost:8786", timeout=10)
    print("let in")
except OSError:
    print("refused")

context = ssl.create_default_context(cafile=os.environ["DASK_DISTRIBUTED__COMM__TLS__CA_FILE"])
connection = socket.create_connection(("localhost", 8786), timeout=10)
try:
    context.wrap_socket(connection, server_hostname="localhost").recv(1)
    print("let in")
except ssl.SSLError:
    print("refused")
"""


def test_tls_shuts_others_out_and_survives_an_upgrade(release: Release) -> None:
    tls = {"tls.mode": "generated", "jupyter.enabled": False}
    release.install(MINIKUBE, values=tls)
    assert release.tests_passed() == 4
    assert release.execute("scheduler", "python", "-c", INTRUDE).split() == ["refused"] * 2

    before = certificate(release)
    release.upgrade(MINIKUBE, values={**tls, "worker.podLabels": {"new": "yes"}})
    assert certificate(release) == before
    # the workers of after it and the scheduler of before it understand each other
    assert release.tests_passed("connection") == 1


def certificate(release: Release) -> dict[str, str]:
    (secret,) = release.get("secret", "--field-selector=type=kubernetes.io/tls")
    return dict(secret["data"])
