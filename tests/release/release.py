"""A release of the chart on the cluster at hand: what `helm` and `kubectl` do to it."""

from __future__ import annotations

import base64
import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import yaml
from pytest_helm_charts.clusters import Cluster

from ..chart.rendering import CHART, ROOT, Values, helm, nested
from ..waiting import wait_until

MINIKUBE = ROOT / "values" / "minikube.yaml"
#: At longer intervals, because a look by kubectl takes CPU that the pods want.
until = partial(wait_until, interval=1)
#: Prints the names of a scheduler's workers.
WORKERS = """
from distributed import Client
with Client("localhost:8786") as client:
    for worker in client.scheduler_info(n_workers=-1)["workers"].values():
        print(worker["name"])
"""


@dataclass(frozen=True)
class Release:
    """A release by name, in a namespace of the test's own."""

    cluster: Cluster
    namespace: str
    name: str = "aer"

    # --- helm ---

    def helm(self, *words: object, values: Values | None = None) -> str:
        """Standard output of a helm command, with dotted values on its standard input."""
        options = ["--values=-"] if values else []
        return self._output(
            helm(), *words, *options, text=yaml.safe_dump(nested(values)) if values else ""
        )

    def install(self, *files: Path, values: Values | None = None) -> None:
        """Install, and wait until all of it is ready."""
        self.helm("install", self.name, CHART, *options(files), values=values)
        self.rolled_out()

    def upgrade(self, *files: Path, values: Values | None = None) -> None:
        """Upgrade to these values and no others, or install, and wait until all of it is ready."""
        self.helm("upgrade", "--install", self.name, CHART, *options(files), values=values)
        self.rolled_out()

    def rolled_out(self) -> None:
        """Wait until all pods are new and ready: helm is content with half of the workers."""
        self.kubectl("rollout", "status", "deployment", f"--selector={self.label}", "--timeout=5m")

    def uninstall(self) -> None:
        """Uninstall, and wait until what helm made is gone."""
        self.helm("uninstall", self.name, "--wait", "--timeout=5m")

    def tests_passed(self, *names: str) -> int:
        """How many of the tests of `helm test` succeed, of all or of those named."""
        filters = [f"--filter=name={self.name}-aer-dask-test-{name}" for name in names]
        said = self.helm("test", self.name, "--timeout=10m", *filters)
        print(said)
        return said.count("Phase:          Succeeded")

    # --- kubectl ---

    def kubectl(self, *words: object, text: str = "") -> str:
        """Standard output of a kubectl command."""
        return self._output("kubectl", *words, text=text)

    def get(self, kind: str, *words: str) -> list[dict[str, Any]]:
        """All of the release's objects of a kind, or of several with commas between."""
        command = ["get", kind, f"--selector={self.label}", "--output=json", *words]
        return json.loads(self.kubectl(*command))["items"]

    def names(self, kind: str) -> list[str]:
        """The names of all of the release's objects of a kind."""
        return [each["metadata"]["name"] for each in self.get(kind)]

    def pods(self, component: str = "worker") -> list[dict[str, Any]]:
        """The pods of a component that are not on their way out."""
        label = f"{self.label},app.kubernetes.io/component={component}"
        found = json.loads(self.kubectl("get", "pods", f"--selector={label}", "--output=json"))
        return [pod for pod in found["items"] if "deletionTimestamp" not in pod["metadata"]]

    def ready(self, component: str) -> int:
        """How many pods of a component are ready; 0 if another is not."""
        conditions = [
            {c["type"]: c["status"] for c in pod["status"].get("conditions", [])}
            for pod in self.pods(component)
        ]
        count = sum(c.get("Ready") == "True" for c in conditions)
        return count if count == len(conditions) else 0

    def execute(self, component: str, *command: str) -> str:
        """Standard output of a command in the pod of the scheduler or of Jupyter."""
        return self.kubectl(*self._inside(component), *command)

    def popen(self, component: str, *command: str) -> subprocess.Popen[str]:
        """The same while it runs."""
        words = self.command("kubectl", *self._inside(component), *command)
        return subprocess.Popen(words, text=True, stdout=subprocess.PIPE)

    @contextmanager
    def forwarded(self, name: str, port: int) -> Iterator[str]:
        """The address on this machine of a port of a Service, or of another kind/name."""
        where = name if "/" in name else f"service/{name}"
        words = self.command("kubectl", "port-forward", where, f":{port}")
        with subprocess.Popen(words, text=True, stdout=subprocess.PIPE) as process:
            try:
                assert process.stdout
                said = process.stdout.readline()
                yield "localhost:" + said.split(" -> ")[0].rpartition(":")[2]
            finally:
                process.terminate()

    def workers(self) -> set[str]:
        """The names of the workers that the scheduler knows."""
        return set(self.execute("scheduler", "python", "-c", WORKERS).split())

    def token(self) -> str:
        """Jupyter's token."""
        secret = f"{self.name}-aer-dask-jupyter"
        return base64.b64decode(
            self.kubectl("get", "secret", secret, "--output=jsonpath={.data.token}")
        ).decode()

    def left(self) -> set[str]:
        """The names of all objects that carry the release's label, and of helm's own records."""
        command = ["api-resources", "--namespaced", "--verbs=list,delete", "--output=name"]
        # which fails if one API, as that of metrics at times, cannot be asked now
        kinds = subprocess.run(self.command("kubectl", *command), text=True, check=False,
                               stdout=subprocess.PIPE).stdout.split()  # fmt: skip
        assert {"pods", "secrets", "deployments.apps"} < set(kinds)
        listed = ["get", ",".join(kinds), "--ignore-not-found", "--output=name"]
        labels = (self.label, f"owner=helm,name={self.name}")
        return {
            name
            for label in labels
            for name in self.kubectl(*listed, f"--selector={label}").split()
        }

    def kubeconfig(self, folder: Path, token: str = "") -> Path:
        """A kubeconfig for this namespace, of whoever has the token, else of the administrator."""
        config = yaml.safe_load(Path(self.cluster.kube_config_path).read_text())
        config["contexts"][0]["context"]["namespace"] = self.namespace
        if token:
            config["users"][0]["user"] = {"token": token}
        file = folder / "kubeconfig"
        file.write_text(yaml.safe_dump(config))
        return file

    @property
    def label(self) -> str:
        """What all objects of the release carry."""
        return f"app.kubernetes.io/instance={self.name}"

    def command(self, program: str, *words: object) -> list[str]:
        """A command of helm or kubectl as it must be called for this cluster and namespace."""
        where = ["--kubeconfig", str(self.cluster.kube_config_path)]
        return [program, *where, f"--namespace={self.namespace}", *map(str, words)]

    def _inside(self, component: str) -> list[str]:
        deployment = f"deployment/{self.name}-aer-dask-{component}"
        return ["exec", deployment, f"--container={component}", "--"]

    def _output(self, program: str, *words: object, text: str = "") -> str:
        command = self.command(program, *words)
        done = subprocess.run(command, input=text, text=True, capture_output=True, check=False)
        assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout}\n{done.stderr}"
        return done.stdout


def options(files: tuple[Path, ...]) -> list[str]:
    """What helm is told at every install and upgrade."""
    return ["--wait", "--timeout=5m", *(f"--values={file}" for file in files)]
