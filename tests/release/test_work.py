"""What a release is for: circuits run on its workers, and its workers follow the load."""

from __future__ import annotations

import os
import re
import subprocess
import sys

import pytest

from ..chart.rendering import CHART, ROOT
from ..kubernetes.manifests import documents, pod
from .release import MINIKUBE, Release, options, until

pytestmark = pytest.mark.timeout(900)

#: A program in a pod that is not the release's: it has the certificate, and may get in.
LOAD = """
import sys
from distributed import Client, Security
from qiskit import transpile
from qiskit.circuit.library import quantum_volume
from aer_dask import AerSimulator

files = {"tls_ca_file": "ca.crt", "tls_client_cert": "tls.crt", "tls_client_key": "tls.key"}
security = Security(**{use: f"/tls/{name}" for use, name in files.items()})
backend = AerSimulator(executor=Client(sys.argv[1], security=security), max_job_size=1)
circuit = transpile(quantum_volume(20, depth=20, seed=1), backend, optimization_level=0)
circuit.measure_all()
while True:
    backend.run([circuit] * 12, shots=100).result()
"""
#: Prints the name of a busy worker's pod, and at the end how its run went.
LONG_RUN = """
import time
from distributed import Client
import qiskit_aer
from qiskit import transpile
from qiskit.circuit.library import quantum_volume
from aer_dask import AerSimulator
from aer_dask.testing import differences

client = Client("localhost:8786")
options = {"shots": 100, "seed_simulator": 7}
circuit = transpile(quantum_volume(20, seed=1), qiskit_aer.AerSimulator(), optimization_level=0)
circuit.measure_all()
job = AerSimulator(executor=client).run([circuit] * 8, max_job_size=1, **options)
busy = set()
while not (job.progress().done and busy):
    counts = client.run(lambda dask_worker: (dask_worker.name, dask_worker.state.executing_count))
    busy = {name for name, count in counts.values() if count}
print(busy.pop(), flush=True)
result = job.result()
plain = qiskit_aer.AerSimulator().run([circuit] * 8, **options).result()
print("differences:", differences(result, plain), "attempts:", set(job.attempts()))
"""
#: A busy worker should take far more CPU than it requests, and an idle one far less.
SCALED = {
    "worker.resources": {
        "requests": {"cpu": "250m", "memory": "512Mi"},
        "limits": {"cpu": 1, "memory": "1Gi"},
    },
    "worker.autoscaling": {
        "enabled": True,
        "minReplicas": 1,
        "maxReplicas": 3,
        "behavior": {
            "scaleDown": {
                "stabilizationWindowSeconds": 15,
                "policies": [{"type": "Percent", "value": 100, "periodSeconds": 15}],
            }
        },
    },
    "jupyter.enabled": False,
    "networkPolicy.allowFrom": [{"podSelector": {"matchLabels": {"app": "load"}}}],
}


def test_make_smoke_test_runs_on_two_worker_pods_of_two_nodes_with_equal_bits(
    release: Release,
) -> None:
    release.install(MINIKUBE)
    assert len({worker["spec"]["nodeName"] for worker in release.pods()}) == 2
    done = subprocess.run(
        [sys.executable, "scripts/smoke.py", f"--release={release.namespace}/{release.name}"],
        cwd=ROOT, text=True, capture_output=True, check=False,
        env=os.environ | {"KUBECONFIG": str(release.cluster.kube_config_path), "SCHEDULER": ""},
    )  # fmt: skip
    print(done.stdout)
    assert done.returncode == 0, done.stdout + done.stderr
    for check in ("noisy", "ideal"):
        # check, workers used, tasks on each of the two, and at the end of the line the bits
        assert re.search(rf"^{check} +2 +\d+ \d+ .* equal$", done.stdout, re.MULTILINE)
    assert not release.get("jobs"), "the Jobs should be gone"


def test_a_busy_worker_that_is_deleted_finishes_its_task_first(release: Release) -> None:
    # with this, a task whose worker goes in the middle of it is lost
    strict = {"daskSettings.DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES": 0}
    release.install(MINIKUBE, values={"jupyter.enabled": False, **strict})
    with release.popen("scheduler", "python", "-c", LONG_RUN) as run:
        release.kubectl("delete", "pod", run.stdout.readline().strip())
        said, _ = run.communicate(timeout=300)
    assert said == "differences: [] attempts: {1}\n"


def test_the_autoscaler_adds_workers_under_load_and_removes_them_after_it(
    release: Release,
) -> None:
    # helm by itself waits for the first worker
    release.helm("install", release.name, CHART, *options((MINIKUBE,)), values=SCALED)
    assert release.ready("worker") == 1
    image = release.pods()[0]["spec"]["containers"][0]["image"]
    command = ["python", "-c", LOAD, f"tls://{release.name}-aer-dask-scheduler:8786"]
    certificate = {"secret": {"secretName": f"{release.name}-aer-dask-tls"}}
    load = pod("load", image, command, volumes={"/tmp": {"emptyDir": {}}, "/tls": certificate})
    release.kubectl("apply", "--filename=-", text=documents(load))
    until(lambda: release.ready("worker") == 3, "three workers are ready", 240)
    release.kubectl("delete", "pod", "load")
    until(lambda: release.ready("worker") == 1, "one worker is left", 240)
