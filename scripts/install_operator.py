"""Install dask-kubernetes' operator on the cluster at hand, from the chart inside its wheel.

python scripts/install_operator.py [--registry registry.example.org/team] [--remove]

The image that this chart names may have another Dask than the clusters it makes: the controller
runs from the Jupyter image instead, whose packages are those of these clusters.
"""

from __future__ import annotations

import argparse
import subprocess
from importlib.metadata import version
from importlib.resources import files
from typing import Any

import yaml

from _cluster import output

NAME = NAMESPACE = "dask-operator"
CHART = files("dask_kubernetes") / "operator/deployment/helm/dask-kubernetes-operator"
#: How long kubectl waits for what it deletes to be gone.
PATIENCE = "--timeout=3m"
CONTROLLER = ["kopf", "run", "-m", "dask_kubernetes.operator.controller"]


def main() -> None:
    """Install or remove it, and wait until that is done."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--registry", help="where the images were pushed; default: on the nodes")
    parser.add_argument("--remove", action="store_true", help="take it off, and all DaskClusters")
    words = parser.parse_args()
    try:
        if words.remove:
            remove(manifests(words.registry))
            return
        kubectl("apply", "--server-side", text=manifests(words.registry))
        output("kubectl", f"--namespace={NAMESPACE}", "rollout", "status", "--timeout=5m",
               f"deployment/{NAME}")  # fmt: skip
    except subprocess.CalledProcessError as error:
        raise SystemExit(f"{' '.join(error.cmd)} says: {error.stderr}") from error
    print(f"The operator runs in namespace {NAMESPACE}: KubeCluster() makes clusters.")


def remove(text: str) -> None:
    """Take away what it made, which only it can do, and then itself."""
    known = output("kubectl", "get", "crd", "--output=name").split()
    kinds = [name.rpartition("/")[2] for name in known if name.endswith(".kubernetes.dask.org")]
    if kinds:
        output("kubectl", "delete", ",".join(kinds), "--all", "--all-namespaces", PATIENCE)
    kubectl("delete", "--ignore-not-found", PATIENCE, text=text)


def kubectl(*words: str, text: str) -> None:
    """Give objects to kubectl."""
    print(output("kubectl", f"--namespace={NAMESPACE}", *words, "--filename=-", text=text))


def manifests(registry: str | None) -> str:
    """All objects of the operator, namespace first."""
    options = [f"--namespace={NAMESPACE}", "--include-crds", "--values=-"]
    said = yaml.safe_dump(values(registry))
    rendered = output("helm", "template", NAME, str(CHART), *options, text=said)
    objects = [each for each in yaml.safe_load_all(rendered) if each]
    for each in objects:
        if each["kind"] == "Deployment":
            # upstream's image has this as its entry point
            (container,) = each["spec"]["template"]["spec"]["containers"]
            container["command"] = CONTROLLER
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}}
    return yaml.safe_dump_all([namespace, *objects])


def values(registry: str | None) -> dict[str, Any]:
    """What the operator's chart is told: our image, and the `restricted` Pod Security Standard."""
    image = "aer-dask-jupyter"
    return {
        "fullnameOverride": NAME,
        "image": {"name": f"{registry}/{image}" if registry else image, "tag": version("aer-dask")},
        "podSecurityContext": {"seccompProfile": {"type": "RuntimeDefault"}},
        "volumes": [{"name": "tmp", "emptyDir": {}}],
        "volumeMounts": [{"name": "tmp", "mountPath": "/tmp"}],  # noqa: S108
        "resources": {
            "requests": {"cpu": "100m", "memory": "192Mi"},
            "limits": {"cpu": 1, "memory": "512Mi"},
        },
    }


if __name__ == "__main__":
    main()
