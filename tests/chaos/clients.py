"""The two clients that keep a release under load: one on this machine, one in a pod.

Each is started again whenever it ends, and what all their processes have said is kept.
"""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterable
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

from ..kubernetes.faults import Laptop
from ..release.release import Release
from . import load

PROGRAM = Path(load.__file__)
#: Seconds between two starts, and of one look at a pod's log.
_PAUSE, _LOOK = 1.0, 20.0

#: What a client says: see `load.Reporter`.
Line = dict[str, Any]


class Client:
    """One of the clients, and what it has said.

    Args:
        name: of it.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self._said: dict[tuple[str, int], Line] = {}
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        """Start it, and keep it running."""
        self._thread.start()

    def close(self) -> None:
        """End it for good."""
        raise NotImplementedError

    def lines(self) -> list[Line]:
        """All that it has said, in the order of time."""
        with self._lock:
            return sorted(self._said.values(), key=lambda line: (line["at"], line["number"]))

    def kill(self) -> None:
        """End its process, without a word to it."""
        raise NotImplementedError

    def _run(self) -> None:
        while not self._ended.is_set():
            self._listen()
            self._ended.wait(_PAUSE)

    def _listen(self) -> None:
        """Take in what it says until that ends."""
        raise NotImplementedError

    def _take_in(self, text: Iterable[str]) -> None:
        for word in text:
            with suppress(json.JSONDecodeError):
                line = json.loads(word)
                with self._lock:
                    self._said[line["process"], line["number"]] = line


class Outside(Client):
    """A process here, for which the release is a HelmCluster.

    Args:
        release: what it works on.
        bits: plain Aer's, as `load.plain_bits` gives them.
        folder: for files.
        laptop: the machine whose network it has; None for this one's.
    """

    def __init__(
        self, release: Release, bits: bytes, folder: Path, laptop: Laptop | None = None
    ) -> None:
        super().__init__("outside")
        self._bits, self._errors = folder / "bits", folder / "outside.log"
        self._bits.write_bytes(bits)
        state = folder / "outside"
        shutil.rmtree(state, ignore_errors=True)
        where = f"{release.namespace}/{release.name}"
        command = [sys.executable, "-W", "ignore", PROGRAM, self._bits, self.name,
                   state, f"--release={where}"]  # fmt: skip
        self._command = [str(word) for word in (laptop.inside(*command) if laptop else command)]
        self._environment = os.environ | {"KUBECONFIG": str(release.cluster.kube_config_path)}
        self._process: subprocess.Popen[str] | None = None

    def close(self) -> None:
        """End it for good."""
        self._ended.set()
        self.kill()
        self._thread.join(_LOOK)

    def kill(self) -> None:
        """End its process, without a word to it."""
        if self._process:
            self._process.kill()

    def _listen(self) -> None:
        with (
            self._errors.open("a") as errors,
            subprocess.Popen(
                self._command,
                env=self._environment,
                text=True,
                stdout=subprocess.PIPE,
                stderr=errors,
            ) as self._process,
        ):
            if self._ended.is_set():
                self._process.kill()
            assert self._process.stdout
            self._take_in(self._process.stdout)


class Inside(Client):
    """A pod of the release, with all that its workers have to connect to the scheduler.

    Args:
        release: what it works on.
        bits: plain Aer's, as `load.plain_bits` gives them.
    """

    def __init__(self, release: Release, bits: bytes) -> None:
        super().__init__("inside")
        self._release = release
        self._deployment = f"{release.name}-chaos"
        made = [self._files(bits), self._manifest()]
        text = json.dumps({"apiVersion": "v1", "kind": "List", "items": made})
        release.kubectl("apply", "--server-side", "--force-conflicts", "--filename=-", text=text)

    def close(self) -> None:
        """End it for good."""
        self._ended.set()
        names = (f"deployment/{self._deployment}", f"configmap/{self._deployment}")
        self._release.kubectl("delete", *names, "--ignore-not-found", "--wait=false")
        self._thread.join(2 * _LOOK)

    def pod(self) -> str:
        """The name of its pod that runs, "" if none does."""
        pods = (p for p in self._release.pods("chaos") if p["status"]["phase"] == "Running")
        return next((pod["metadata"]["name"] for pod in pods), "")

    def address(self) -> str:
        """The IP address of its pod."""
        (pod,) = (p for p in self._release.pods("chaos") if p["metadata"]["name"] == self.pod())
        return pod["status"]["podIP"]

    def kill(self) -> None:
        """End its process, without a word to it; the pod stays, and starts it again."""
        shell = ["sh", "-c", "kill -9 $(cat /tmp/pid)"]
        self._release.kubectl("exec", self.pod(), "--", *shell)

    def _listen(self) -> None:
        """A look at the log; a longer one could hang with the node that the pod is on."""
        started = time.monotonic()
        try:
            pod = self.pod()
        except AssertionError:  # the API server does not answer
            return
        if not pod:
            return
        words = self._release.command("kubectl", "logs", "--follow", f"--since={2 * _LOOK:.0f}s",
                                      pod)  # fmt: skip
        with ExitStack() as stack:
            follower = subprocess.Popen(words, text=True, stdout=subprocess.PIPE,
                                        stderr=subprocess.DEVNULL)  # fmt: skip
            stack.enter_context(follower)
            timer = threading.Timer(_LOOK, follower.kill)
            timer.start()
            stack.callback(timer.cancel)
            assert follower.stdout
            self._take_in(follower.stdout)
        # a pod that has just begun has no log to follow yet
        self._ended.wait(max(0.0, _PAUSE - (time.monotonic() - started)))

    def _files(self, bits: bytes) -> dict[str, Any]:
        files = {"load.py": PROGRAM.read_bytes(), "bits": bits}
        data = {name: base64.b64encode(content).decode() for name, content in files.items()}
        return {"apiVersion": "v1", "kind": "ConfigMap", "binaryData": data,
                "metadata": {"name": self._deployment}}  # fmt: skip

    def _manifest(self) -> dict[str, Any]:
        """A Deployment like that of workers, but for what its container does."""
        worker, *_ = (
            each
            for each in self._release.get("deployments")
            if each["metadata"]["labels"]["app.kubernetes.io/component"] == "worker"
        )
        template = worker["spec"]["template"]
        labels = {**template["metadata"]["labels"], "app.kubernetes.io/component": "chaos"}
        labels.pop("aer-dask/worker-group", None)
        container = template["spec"]["containers"][0]
        address = container["command"][2]  # dask worker ADDRESS
        again = "while :; do python -W ignore -u /chaos/load.py /chaos/bits inside /tmp/chaos & "
        again += "echo $! > /tmp/pid; wait $!; sleep 1; done"
        mounts = [*container["volumeMounts"], {"name": "chaos", "mountPath": "/chaos"}]
        env = [*container["env"], {"name": "DASK_SCHEDULER_ADDRESS", "value": address}]
        kept = {key: container[key] for key in ("image", "imagePullPolicy", "securityContext")}
        resources = {"requests": {"cpu": "100m", "memory": "512Mi"}, "limits": {"memory": "1Gi"}}
        container = {**kept, "name": "chaos", "command": ["sh", "-c", again], "env": env,
                     "volumeMounts": mounts, "resources": resources}  # fmt: skip
        files = {"name": "chaos", "configMap": {"name": self._deployment}}
        spec = {
            **template["spec"],
            "containers": [container],
            "volumes": [*template["spec"]["volumes"], files],
            "terminationGracePeriodSeconds": 1,
        }
        spec.pop("topologySpreadConstraints", None)
        return {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": self._deployment, "labels": labels},
            "spec": {
                "replicas": 1,
                "selector": {"matchLabels": labels},
                "template": {"metadata": {"labels": labels}, "spec": spec},
            },
        }
