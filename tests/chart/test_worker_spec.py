"""The cluster that dask-kubernetes' operator makes has the chart's pods."""

from __future__ import annotations

from typing import Any

import pytest

from aer_dask import __version__
from aer_dask.clusters.kube import default_manifest

from .rendering import PLAIN, ROOT, pods, render

MINIKUBE = ROOT / "values" / "minikube.yaml"
#: What belongs to a release, or that the operator has a way of its own for.
OTHER = {"serviceAccountName", "topologySpreadConstraints", "containers"}
OTHER_OF_CONTAINER = {"command", "args", "env", "ports", "imagePullPolicy"}


@pytest.mark.parametrize("role", ["scheduler", "worker"])
def test_a_pod_of_the_operator_is_as_the_charts(role: str) -> None:
    name = {"scheduler": "scheduler", "worker": "worker-default"}[role]
    # the operator knows no Secrets; minikube's time to go is for nodes that go soon
    values = {**PLAIN, "worker.terminationGracePeriodSeconds": 600}
    theirs = pods(render(values, MINIKUBE))[f"Deployment/{name}"]
    ours = default_manifest()["spec"][role]["spec"]
    assert without(ours, OTHER) == without(theirs, OTHER)
    (their, our) = (theirs["containers"][0], ours["containers"][0])
    assert texts(without(our, OTHER_OF_CONTAINER)) == texts(without(their, OTHER_OF_CONTAINER))
    assert words(our["args"]) == words(their["command"])
    missing = environment(their).items() - environment(our).items()
    assert environment(our).items() <= environment(their).items()
    expected = {"worker": "POD_NAME", "scheduler": "DASK_DISTRIBUTED__WORKER__"}[role]
    assert all(key.startswith(expected) for key, _ in missing)


def without(mapping: dict[str, Any], keys: set[str]) -> dict[str, Any]:
    return {key: value for key, value in mapping.items() if key not in keys}


def texts(value: Any) -> Any:
    """Numbers as text, which is all that a DaskCluster takes for amounts."""
    if isinstance(value, dict):
        return {key: texts(each) for key, each in value.items()}
    return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else value


def words(command: list[str]) -> set[str]:
    """Without the scheduler's address and the worker's name, which are the operator's."""
    return {w for w in command if not w.startswith(("tcp://", "$(DASK_WORKER", "$(POD_NAME"))}


def environment(container: dict[str, Any]) -> dict[str, str]:
    return {
        each["name"]: str(each.get("value", each.get("valueFrom"))) for each in container["env"]
    }


def test_its_image_is_of_this_version() -> None:
    made = default_manifest()["spec"]
    images = {made[role]["spec"]["containers"][0]["image"] for role in ("scheduler", "worker")}
    assert images == {f"aer-dask:{__version__}"}


def test_the_file_beside_the_values_is_the_one_that_is_used() -> None:
    assert (ROOT / "values" / "worker-spec.yml").samefile(
        ROOT / "src/aer_dask/clusters/worker-spec.yml"
    )
