"""All of a release speaks TLS unless told otherwise, and its certificate is renewed in time."""

from __future__ import annotations

import base64
import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from ..certificates import Certificate
from ..chart.rendering import CHART, helm
from .release import MINIKUBE, Release, options, until

pytestmark = pytest.mark.timeout(900)

TEN_YEARS = datetime.now(UTC) + timedelta(days=3650)
SMALL = {"jupyter.enabled": False}
ENDS = "aer-dask/certificate-ends"
#: Prints what becomes of a client without TLS.
OPENLY = """
from dask import config
from distributed import Client

config.set({"distributed.comm.require-encryption": False})
try:
    Client("tcp://localhost:8786", timeout=10)
    print("let in")
except OSError:
    print("refused")
"""
#: And of one without a certificate.
INTRUDE = f"""{OPENLY}
import os, socket, ssl

context = ssl.create_default_context(cafile=os.environ["DASK_DISTRIBUTED__COMM__TLS__CA_FILE"])
connection = socket.create_connection(("localhost", 8786), timeout=10)
try:
    context.wrap_socket(connection, server_hostname="localhost").recv(1)
    print("let in")
except ssl.SSLError:
    print("refused")
"""
#: Prints with which status the dashboard answers to a token.
ASK = """
import http.client, socket, sys

server = http.client.HTTPConnection(socket.gethostbyname(socket.gethostname()), 8787)
server.request("GET", "/status", headers={"Authorization": f"Bearer {sys.argv[1]}"})
print(server.getresponse().status)
"""
#: Prints how many workers a client sees that is told nothing, and how circuits go there and here.
UNTOLD = """
from distributed import Client
from qiskit import QuantumCircuit
import qiskit_aer
from aer_dask import AerSimulator, EmbeddedCluster
from aer_dask.testing import differences

client = Client()
client.wait_for_workers(2, timeout=60)
print(client.scheduler.address.split("-")[0])
circuit = QuantumCircuit(2)
circuit.h(0)
circuit.measure_all()
options = {"shots": 100, "seed_simulator": 7}
plain = qiskit_aer.AerSimulator().run([circuit] * 4, **options).result()
print(differences(AerSimulator(executor="dask").run([circuit] * 4, **options).result(), plain))
with EmbeddedCluster(workers=1) as cluster:
    print(cluster.scheduler_address.split("127")[0])
    print(differences(AerSimulator(executor=cluster).run([circuit] * 4, **options).result(), plain))
"""


def test_a_default_release_speaks_tls_alone_and_its_notebooks_need_not_know(
    release: Release,
) -> None:
    release.install(MINIKUBE)
    assert release.execute("scheduler", "python", "-c", INTRUDE).split() == ["refused"] * 2
    said = release.execute("jupyter", "python", "-c", UNTOLD).splitlines()
    assert said == ["tls://aer", "[]", "tls://", "[]"]

    before = certificate(release)
    release.upgrade(MINIKUBE, values={"worker.podLabels": {"new": "yes"}})
    assert certificate(release) == before
    # the workers of after it and the scheduler of before it understand each other
    assert release.tests_passed("connection") == 1


def test_an_open_release_stays_open_until_a_line_closes_it(release: Release) -> None:
    release.install(MINIKUBE, values={**SMALL, "tls.mode": "disabled", "httpAuth.enabled": False})
    upgrade = ["upgrade", release.name, CHART, *options((MINIKUBE,))]
    notes = release.helm(*upgrade, "--dry-run=server", values=SMALL)
    assert "--set tls.mode=generated closes it" in notes
    assert "--set httpAuth.enabled=false leaves them as they were" in notes
    assert "--set-json 'networkPolicy.egress=[{}]' leaves them all" in notes
    kept = {**SMALL, "httpAuth.enabled": False}
    assert "leaves them" not in release.helm(*upgrade, values=kept)
    assert release.execute("scheduler", "python", "-c", OPENLY) == "let in\n"
    assert release.get("secret", "--field-selector=type=kubernetes.io/tls") == []
    assert release.tests_passed("connection") == 1

    release.upgrade(MINIKUBE, values={**SMALL, "tls.mode": "generated"})
    assert release.execute("scheduler", "python", "-c", INTRUDE).split() == ["refused"] * 2
    assert release.tests_passed("connection") == 1
    before = certificate(release)
    release.upgrade(MINIKUBE, values=SMALL)
    assert certificate(release) == before, "and closed, the line may go"
    assert release.tests_passed("connection") == 1


def test_a_certificate_that_is_about_to_end_is_named_everywhere_and_renewed_by_what_is_said(
    release: Release, tmp_path: Path
) -> None:
    end = datetime.now(UTC) + timedelta(days=20, hours=1)
    release.kubectl("apply", "--filename=-", text=ending(release, end))
    release.install(MINIKUBE, values=SMALL)
    sentence = f"ends in 20 days, on {end:%Y-%m-%d}, and then nobody can connect"
    upgrade = ["upgrade", release.name, CHART, *options((MINIKUBE,))]
    notes = release.helm(*upgrade, values=SMALL)
    release.rolled_out()
    assert f"ENDS IN 20 DAYS, on {end:%Y-%m-%d}" in notes
    assert sentence in said_by_helm_test(release)
    said = status(release, tmp_path)
    assert sentence in said

    (cure,) = [part for part in said.split("`") if "delete secret" in part]
    release.kubectl(*cure.split()[1:])
    notes = release.helm(*upgrade, values=SMALL)
    release.rolled_out()
    assert "ENDS IN" not in notes
    assert release.tests_passed("connection") == 1
    assert "ends in" not in status(release, tmp_path)


def test_a_release_takes_a_certificate_of_ones_own_authority_and_a_token_of_ones_own(
    release: Release, tmp_path: Path
) -> None:
    end = datetime.now(UTC) + timedelta(days=20, hours=1)
    authority = Certificate("an authority", TEN_YEARS)
    tls = pems(Certificate("a release", end, issuer=authority))
    ours = {"ca.crt": authority.pem, **tls, "password": "a token of our own"}
    for key, content in ours.items():
        (tmp_path / key).write_text(content)
    files = [f"--from-file={tmp_path / key}" for key in ours]
    release.kubectl("create", "secret", "generic", "ours", *files)
    tls_values = {"tls.mode": "existingSecret", "tls.existingSecret": "ours"}
    http_values = {"httpAuth.existingSecret": "ours", "httpAuth.existingSecretKey": "password"}
    release.install(MINIKUBE, values=tls_values | http_values)
    (secret,) = release.get("secret", f"--selector={release.label}")
    assert "jupyter" in secret["metadata"]["name"], "the only one that the chart has made"
    assert release.execute("scheduler", "python", "-c", INTRUDE).split() == ["refused"] * 2
    assert release.execute("jupyter", "python", "-c", UNTOLD).startswith("tls://aer\n[]\n")
    assert "ends in 20 days" in status(release, tmp_path), "who connects from outside has it, too"
    assert "ends in 20 days" in said_by_helm_test(release)
    for token, code in {"a token of our own": 200, "a token of theirs": 403}.items():
        assert release.execute("scheduler", "python", "-c", ASK, token) == f"{code}\n"


def said_by_helm_test(release: Release) -> str:
    """What the connection test of `helm test` says, which helm writes to standard error."""
    only = f"--filter=name={release.name}-aer-dask-test-connection"
    command = release.command(helm(), "test", release.name, only)
    return subprocess.run(command, capture_output=True, text=True, check=True).stderr


def status(release: Release, folder: Path) -> str:
    """What `aer-dask status` says from this machine."""
    command = [sys.executable, "-m", "aer_dask", f"--release={release.name}", "status"]
    environment = os.environ | {"KUBECONFIG": str(release.kubeconfig(folder))}

    def said() -> str:
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
        return done.stdout if done.stdout.count("1 thread, idle") == 2 else ""

    return until(said, "both workers are known")


def certificate(release: Release) -> dict[str, str]:
    (secret,) = release.get("secret", "--field-selector=type=kubernetes.io/tls")
    return dict(secret["data"])


def pems(certificate: Certificate) -> dict[str, str]:
    """A key and its certificate, by their names in a Secret."""
    return {"tls.crt": certificate.pem, "tls.key": certificate.key_pem}


def ending(release: Release, end: datetime) -> str:
    """The Secret of a release that was installed long ago, as a manifest."""
    name = f"{release.name}-aer-dask-tls"
    texts = pems(Certificate(name, end))
    data = {key: base64.b64encode(text.encode()).decode() for key, text in texts.items()}
    return f"""
apiVersion: v1
kind: Secret
type: kubernetes.io/tls
metadata:
  name: {name}
  labels: {{app.kubernetes.io/managed-by: Helm, {release.label.replace("=", ": ")}}}
  annotations:
    {ENDS}: {end.isoformat()}
    meta.helm.sh/release-name: {release.name}
    meta.helm.sh/release-namespace: {release.namespace}
data: {{ca.crt: {data["tls.crt"]}, tls.crt: {data["tls.crt"]}, tls.key: {data["tls.key"]}}}
"""
