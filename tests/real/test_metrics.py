"""What scheduler and workers tell Prometheus over HTTP."""

import json
import os
import re
import signal
import urllib.request
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.waiting import wait_until

from .processes import occupied, simulations
from .runs import OPTIONS, start_run

DASHBOARD = Path(__file__).parents[2] / "charts" / "aer-dask" / "dashboards" / "aer-dask.json"
OURS = "aer_dask_worker_"


def metrics(port):
    """What is served there: numbers by name, with the value of a label of ours."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=30) as answer:
        families = text_string_to_metric_families(answer.read().decode())
    return {
        " ".join([sample.name, *sample.labels.values()]): sample.value
        for family in families
        for sample in family.samples
    }


def ours(client):
    """What the only worker has counted so far, zeros left out, under short names."""
    (worker,) = client.scheduler_info(n_workers=-1)["workers"].values()
    found = metrics(worker["services"]["dashboard"]).items()
    counts = {name.removeprefix(OURS): n for name, n in found if name.startswith(OURS) and n}
    return {name.replace("_total", ""): n for name, n in counts.items()}


def held_up(client):
    """A job whose first task has come to a child that has been stopped, and that child."""
    (worker,) = client.run(os.getpid).values()
    (child,) = simulations(worker)
    child.send_signal(signal.SIGSTOP)
    job = start_run(client)

    wait_until(lambda: any(occupied(client).values()), "the child has been given a task")
    return job, child


def test_counts_are_exact_whatever_becomes_of_simulations(own_cluster):
    client = own_cluster(1)
    assert ours(client) == {}

    job, child = held_up(client)
    child.kill()
    job.result(timeout=120)
    expected = {"tasks done": 8, "tasks lost": 1, "tasks_repeated": 1, "children_died killed": 1,
                "circuits": 8, "shots": OPTIONS["shots"]}  # fmt: skip
    found = ours(client)
    seconds = found.pop("simulation_seconds")
    assert found == expected

    job, _ = held_up(client)
    job.cancel()
    wait_until(lambda: "tasks cancelled" in ours(client), "the worker has given it up")
    expected["tasks cancelled"] = 1
    assert ours(client) == {**expected, "simulation_seconds": seconds}

    result = start_run(client, max_shot_size=OPTIONS["shots"]).result(timeout=120)
    found = ours(client)
    taken = found.pop("simulation_seconds") - seconds
    assert taken == pytest.approx(result.metadata["time_taken_execute"])
    expected |= {"tasks done": 9, "circuits": 9, "shots": 2 * OPTIONS["shots"]}
    assert found == expected


def test_every_metric_of_the_dashboard_is_served(cluster, client):
    start_run(client).result(timeout=120)
    info = client.scheduler_info(n_workers=-1)
    servers = [info, *info["workers"].values()]
    served = {
        name.split()[0] for server in servers for name in metrics(server["services"]["dashboard"])
    }
    expressions = [
        target["expr"]
        for panel in json.loads(DASHBOARD.read_text())["panels"]
        for target in panel["targets"]
    ]
    shown = set(re.findall(r"\w+(?={)", " ".join(expressions)))
    # that one the kubelet serves, of the pods' containers
    assert shown - served == {"container_cpu_usage_seconds_total"}
    # and all of ours are shown
    assert {name for name in served if name.startswith(OURS)} <= shown
