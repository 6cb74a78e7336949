"""A laptop with other versions of what does not matter is left in peace, and of what does, told."""

import json
import os
import subprocess
import sys

#: Counts Dask's warnings of versions, in a process that believes to have others, client by client;
#: of Python itself another patch.
#: The release is the cluster's scheduler, as a notebook inside it finds it.
PROGRAM = """
import importlib.metadata, json, os, pickle, sys, types, warnings
real, others = importlib.metadata.version, json.loads(sys.argv[1])
importlib.metadata.version = lambda name: others.get(name) or real(name)

import distributed.versions
patch = (*sys.version_info[:2], 99, "final", 0)
distributed.versions.sys = types.SimpleNamespace(version_info=patch, byteorder=sys.byteorder)

from distributed import Client
from distributed.versions import VersionMismatchWarning
from qiskit import QuantumCircuit
from aer_dask import AerSimulator, HelmCluster

circuit = QuantumCircuit(1, 1)
circuit.measure(0, 0)
counts = {}

with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")

    def warned(name, work):
        before, result = len(caught), work()
        new = caught[before:]
        counts[name] = sum(issubclass(w.category, VersionMismatchWarning) for w in new)
        return result

    cluster = warned("HelmCluster", HelmCluster)
    client = warned("Client(cluster)", lambda: Client(cluster))
    assert client.submit(sum, [1, 2]).result(60) == 3
    backend = AerSimulator(executor=cluster)
    warned("run", lambda: backend.run(circuit).result(60))
    warned("unpickled", lambda: pickle.loads(pickle.dumps(backend)).run(circuit).result(60))
    theirs = warned("Client(address)", lambda: Client(os.environ["DASK_SCHEDULER_ADDRESS"]))
    for each in (theirs, client, cluster):
        each.close()
print(json.dumps(counts))
"""


def laptop(cluster, **others):
    """The program's end, of a process with other versions of packages."""
    address = cluster.scheduler_address
    inside = {"AER_DASK_RELEASE": "aer", "DASK_SCHEDULER_ADDRESS": address}
    return subprocess.run(
        [sys.executable, "-c", PROGRAM, json.dumps(others)], env=os.environ | inside,
        text=True, capture_output=True, check=False, timeout=120,
    )  # fmt: skip


def test_only_a_client_of_the_users_own_is_warned_of_another_numpy_or_patch_of_python(cluster):
    done = laptop(cluster, numpy="9.9.9")
    assert done.returncode == 0, done.stderr
    quiet = ["HelmCluster", "Client(cluster)", "run", "unpickled"]
    assert json.loads(done.stdout) == {**dict.fromkeys(quiet, 0), "Client(address)": 1}


def test_another_version_of_aer_is_refused(cluster):
    done = laptop(cluster, **{"qiskit-aer": "9.9.9"})
    assert "VersionMismatchError: Versions differ between this process and" in done.stderr
    assert "qiskit-aer is 9.9.9 here and" in done.stderr
