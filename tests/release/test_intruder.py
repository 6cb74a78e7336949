"""Who is in another namespace and has no credentials gets into no release, and can harm none.

The table of docs/security.md says what these tests show. They try on one release all that
intruder.py knows, from a pod, with the cluster's network policies enforced and ignored.
"""

from __future__ import annotations

import base64
import json
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pytest
import yaml
from pytest_helm_charts.clusters import Cluster

from ..certificates import Certificate
from ..chart.rendering import CHART
from ..kubernetes import choice, policies
from ..kubernetes.conftest import new_namespace
from ..kubernetes.host import NODES
from ..kubernetes.manifests import documents, pod
from .asking import JUPYTER, ask, logged_in
from .release import MINIKUBE, Release, until

pytestmark = [
    pytest.mark.timeout(900),
    pytest.mark.skipif(
        choice.chosen() != "host", reason="needs a cluster that can be told to ignore policies"
    ),
]

PROGRAM = Path(__file__).with_name("intruder.py").read_text()
COMPONENTS = ("scheduler", "worker", "jupyter")
#: What everybody may ask: whether it lives; of JupyterLab its version, as probes do, and the login
#: page, to which / leads.
OPEN = {
    ("scheduler", "GET /health"),
    ("worker", "GET /health"),
    *(("jupyter", f"GET {path}") for path in ("/", "/api", "/login", "/logout")),
}


@dataclass
class Intruder:
    """A pod in another namespace than the release that it looks at."""

    release: Release
    namespace: str

    def runs(self, program: str, *arguments: str, text: str = "") -> str:
        """What a program in Python prints there."""
        here = Release(self.release.cluster, self.namespace)
        inside = ("exec", "--stdin", "intruder", "--", "python", "-W", "ignore", "-c")
        return here.kubectl(*inside, program, *arguments, text=text)

    def does(self, task: str, **words: object) -> Any:
        """What a task of intruder.py finds."""
        return json.loads(self.runs(PROGRAM, task, text=json.dumps(words)))

    def address(self) -> str:
        """Its own address."""
        path = "--output=jsonpath={.status.podIP}"
        return Release(self.release.cluster, self.namespace).kubectl("get", "pod", "intruder", path)

    def addresses(self) -> dict[str, str]:
        """The components by the addresses of their pods."""
        return {
            each["status"]["podIP"]: component
            for component in COMPONENTS
            for each in self.release.pods(component)
        }

    def scheduler(self) -> str:
        """The address of the scheduler's pod."""
        (pod,) = self.release.pods("scheduler")
        return pod["status"]["podIP"]

    @cached_property
    def ports(self) -> dict[str, list[int]]:
        """The open ports of each address, as they were when they were asked for first."""
        return self.scan()

    def scan(self) -> dict[str, list[int]]:
        """The open ports of each address, found by trying all of them."""
        with policies.ignored(NODES):
            return self.does("scan", ports=dict.fromkeys(self.addresses()))

    def ways_in(
        self, ports: dict[str, list[int]], certificates: dict[str, str], tokens: list[str]
    ) -> set[tuple[str, str]]:
        """The ways that lead in at these ports, each with the component that they lead into.

        They are tried while no policies are enforced.
        """
        addresses = self.addresses()
        with policies.ignored(NODES):
            tries = self.does("tries", ports=ports, certificates=certificates, tokens=tokens)
        print(table(addresses, tries))
        unclear = [each for each in tries if " /" in each[2] and "Timeout" in each[3]]
        assert not unclear, "no answer is no refusal"
        return {(addresses[address], way) for address, _, way, _, led_in in tries if led_in}


def table(addresses: dict[str, str], tries: list[list]) -> str:
    """What came of how many tries, for the report of a failed test."""
    rows: dict[str, int] = {}
    for address, port, way, said, led_in in tries:
        kind = way if led_in else way.partition(" /")[0]
        row = f"{addresses[address]} {port}: {kind}: {'IN: ' if led_in else ''}{said}"
        rows[row] = rows.get(row, 0) + 1
    return "\n".join(f"{count:4} {row}" for row, count in sorted(rows.items()))


@pytest.fixture(scope="module")
def release(shared_release: Release) -> Release:
    """A release that is as closed as the default one."""
    shared_release.install(MINIKUBE)
    return shared_release


@pytest.fixture(scope="module")
def intruder(kube_cluster: Cluster, release: Release) -> Iterator[Intruder]:
    """The intruder's pod, which serves something itself, too."""
    image = f"aer-dask:{yaml.safe_load((CHART / 'Chart.yaml').read_text())['appVersion']}"
    serve = ["python", "-m", "http.server", "8000", "--directory", "/tmp"]
    share = {"cpu": "250m", "memory": "128Mi"}  # or it has no turn beside busy workers
    manifest = pod("intruder", image, serve, volumes={"/tmp": {"emptyDir": {}}}, requests=share)
    with new_namespace(kube_cluster) as name:
        kube_cluster.kubectl(f"--namespace={name} apply", documents(manifest))
        ready = f"--namespace={name} wait --for=condition=Ready pod/intruder --timeout=60s"
        kube_cluster.kubectl(ready, output_format="")
        yield Intruder(release, name)


def test_nobody_gets_in_without_credentials_where_no_policies_are_enforced(
    intruder: Intruder,
) -> None:
    release = intruder.release
    assert all(intruder.ports.values()), "an address has no open port"
    own, authority = certificate(release)
    certificates = {
        "TLS without a certificate": "",
        "a foreign certificate": forged("aer-aer-dask-scheduler"),
        # of an authority that is called as the release's is, whose certificate it shows as well
        "a forged certificate": forged("aer-aer-dask-tls") + authority,
        "the release's certificate": own,
    }
    ways = intruder.ways_in(intruder.ports, certificates, tokens=[release.token()[:-1]])
    # the only one that should get in does, so that the others could
    control = {(who, "Dask with the release's certificate") for who in ("scheduler", "worker")}
    assert ways == OPEN | control


def test_enforced_policies_let_nobody_of_another_namespace_connect(intruder: Intruder) -> None:
    addresses, found = intruder.addresses(), intruder.does("scan", ports=intruder.ports)
    reached = {(addresses[a], port) for a, ports in found.items() for port in ports}
    assert reached == {("jupyter", 8888)}, "JupyterLab asks for its token, and is for everybody"


def certificate(release: Release) -> tuple[str, str]:
    """The release's key and certificate, and its authority's certificate."""
    (secret,) = release.get("secret", "--field-selector=type=kubernetes.io/tls")
    data = {name: base64.b64decode(text).decode() for name, text in secret["data"].items()}
    return data["tls.key"] + data["tls.crt"], data["ca.crt"]


def forged(name: str) -> str:
    """A key and a certificate that signs itself."""
    certificate = Certificate(name)
    return certificate.key_pem + certificate.pem


#: What a worker reaches of what is named on standard input as host:port, by TCP.
REACH = """
import json, socket, sys
def reaches(place):
    host, port = place.rsplit(":", 1)
    try:
        socket.create_connection((host, int(port)), timeout=5).close()
    except OSError:
        return False
    return True
print(json.dumps([place for place in json.loads(sys.argv[1]) if reaches(place)]))
"""


def test_a_worker_reaches_names_its_release_and_what_the_values_name_but_nothing_else(
    intruder: Intruder,
) -> None:
    release = intruder.release
    scheduler, outside = "aer-aer-dask-scheduler:8786", f"{intruder.address()}:8000"
    node = f"{NODES[0].address}:10250"  # a kubelet
    places = [scheduler, outside, node, "kubernetes.default.svc:443"]

    def reached() -> list[str]:
        inside = ("exec", "deployment/aer-aer-dask-worker-default", "--", "python", "-c", REACH)
        return json.loads(release.kubectl(*inside, json.dumps(places)))

    until(lambda: reached() == [scheduler], "only the scheduler is reached")
    label = {"kubernetes.io/metadata.name": intruder.namespace}
    peer = {"namespaceSelector": {"matchLabels": label}}
    release.upgrade(MINIKUBE, values={"networkPolicy.egress": [{"to": [peer]}]})
    until(lambda: reached() == [scheduler, outside], "what the values name is reached, too")


#: Runs until it is told to stop; says of each run how it differs from plain Aer's, and its repeats.
RUNS = """
import sys, threading
import qiskit_aer
from distributed import Client
from qiskit import transpile
from qiskit.circuit.library import quantum_volume
from aer_dask import AerSimulator
from aer_dask.testing import differences

client = Client()
client.wait_for_workers(1)
circuit = transpile(quantum_volume(16, seed=1), qiskit_aer.AerSimulator(), optimization_level=0)
circuit.measure_all()
options = {"shots": 100, "seed_simulator": 7}
plain = qiskit_aer.AerSimulator().run([circuit] * 8, **options).result()
told = threading.Event()
threading.Thread(target=lambda: (sys.stdin.read(), told.set()), daemon=True).start()
while not told.is_set():
    job = AerSimulator(executor=client).run([circuit] * 8, max_job_size=1, **options)
    differ = differences(job.result(timeout=300), plain)
    report = job.report()
    print(differ, len(report.repeats), len(report.resent), flush=True)
"""
#: Prints the open files and the KiB of memory of the scheduler's process.
BURDEN = """
import os, pathlib
for process in pathlib.Path("/proc").glob("[0-9]*"):
    words = (process / "cmdline").read_bytes().split(b"\\0")
    if b"scheduler" in words:
        status = (process / "status").read_text()
        print(len(os.listdir(process / "fd")), status.split("VmRSS:")[1].split()[0])
"""


FLOOD = {"frames": 10_000, "half_open": 1000}


def test_malformed_frames_and_half_open_connections_harm_no_running_job(intruder: Intruder) -> None:
    release = intruder.release
    inside = release.command("kubectl", "exec", "--stdin", "deployment/aer-aer-dask-jupyter")
    with subprocess.Popen(
        [*inside, "--container=jupyter", "--", "python", "-W", "ignore", "-c", RUNS],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    ) as runs:  # fmt: skip
        assert runs.stdout
        assert runs.stdout.readline() == "[] 0 0\n"
        before, first, second = [burden(release), *(flooded(intruder) for _ in range(2))]
        assert second[0] <= before[0] + 5
        # what Python keeps of the first flood serves for the second
        assert first[1] < before[1] + 150_000
        assert second[1] < first[1] + 30_000
        said, _ = runs.communicate()
    assert set(said.splitlines()) == {"[] 0 0"}


def flooded(intruder: Intruder) -> tuple[int, int]:
    """The scheduler's burden, once it has let go of the connections of a flood."""
    before, _ = burden(intruder.release)
    with policies.ignored(NODES):
        sent = intruder.does("flood", address=intruder.scheduler(), ports=[8786, 8787], **FLOOD)
    assert sent == {"frames": 10_000, "arrived": 10_000, "half open": 1000}
    until(lambda: burden(intruder.release)[0] <= before + 5, "the connections are closed")
    return burden(intruder.release)


def burden(release: Release) -> tuple[int, int]:
    """The open files of the scheduler, and its memory in KiB."""
    files, memory = map(int, release.execute("scheduler", "python", "-c", BURDEN).split())
    return files, memory


def test_who_has_kept_what_was_changed_gets_in_no_more(intruder: Intruder) -> None:
    release = intruder.release
    own, _ = certificate(release)
    tokens = [http_token(release), release.token()]
    here = {"Host": "localhost"}  # a cookie is called as host and port are
    with release.forwarded(JUPYTER, 80) as address:
        browser = here | logged_in(address, f"/lab?token={release.token()}", **here)
        assert ask(address, "/api/contents", **browser)[0] == 200

    def ways_in(ports: dict[str, list[int]]) -> set[tuple[str, str]]:
        """Of a former user of the release."""
        return intruder.ways_in(ports, {"an old certificate": own}, tokens)

    assert ways_in(intruder.ports) > {
        ("scheduler", "Dask with an old certificate"),
        ("worker", "Dask with an old certificate"),
        ("scheduler", "GET /json/identity.json with a token"),
        ("jupyter", "GET /api/contents with a token"),
    }
    secrets = [f"aer-aer-dask-{name}" for name in ("tls", "http", "jupyter")]
    release.kubectl("delete", "secret", *secrets)
    release.upgrade(MINIKUBE)
    assert release.tests_passed("connection") == 1
    assert ways_in(intruder.scan()) == OPEN
    with release.forwarded(JUPYTER, 80) as address:
        assert ask(address, "/api/contents", **browser)[0] == 403


#: Prints the name of the machine on which it ran code, if it may.
PLAIN_CLIENT = """
import socket, sys
from distributed import Client
try:
    with Client(f"tcp://{sys.argv[1]}:8786", timeout=10) as client:
        print(client.run_on_scheduler(socket.gethostname))
except OSError:
    print("refused")
"""


def test_without_tls_only_policies_shut_out_who_would_run_code(intruder: Intruder) -> None:
    release = intruder.release
    release.upgrade(MINIKUBE, values={"tls.mode": "disabled", "jupyter.enabled": False})
    (scheduler,) = release.pods("scheduler")
    address, name = scheduler["status"]["podIP"], scheduler["metadata"]["name"]
    assert intruder.runs(PLAIN_CLIENT, address) == "refused\n"
    with policies.ignored(NODES):
        assert intruder.runs(PLAIN_CLIENT, address) == f"{name}\n"


def http_token(release: Release) -> str:
    """The token of the HTTP ports of scheduler and workers."""
    path = "--output=jsonpath={.data.token}"
    return base64.b64decode(release.kubectl("get", "secret", "aer-aer-dask-http", path)).decode()
