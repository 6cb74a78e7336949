"""The smallest pods that the `restricted` standard admits, for the tests."""

from __future__ import annotations

import json

Manifest = dict[str, object]


def pod(name: str, image: str, command: list[str], **spec: object) -> Manifest:
    """A pod of one container; `volumes` maps a path in it to what is mounted there.

    It is ready when it listens on its `port`, if it has one.
    """
    volumes, requests = spec.pop("volumes", {}), spec.pop("requests", {})
    port = spec.pop("port", None)
    probe = {"readinessProbe": {"tcpSocket": {"port": port}, "periodSeconds": 1}} if port else {}
    sources = [{"name": f"v{i}", **source} for i, source in enumerate(volumes.values())]
    container = {
        "name": "main",
        "image": image,
        "imagePullPolicy": "IfNotPresent",
        "command": command,
        **probe,
        "resources": {"requests": requests},
        "volumeMounts": [{"name": f"v{i}", "mountPath": path} for i, path in enumerate(volumes)],
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
    }
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "labels": {"app": name}},
        "spec": {
            "automountServiceAccountToken": False,
            "enableServiceLinks": False,
            "restartPolicy": "Never",
            "terminationGracePeriodSeconds": 1,
            "securityContext": {
                "runAsNonRoot": True,
                "runAsUser": 1000,
                "seccompProfile": {"type": "RuntimeDefault"},
            },
            "containers": [container],
            "volumes": sources,
            **spec,
        },
    }


def service(name: str, port: int) -> Manifest:
    """A Service for the pods whose app label is its name."""
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name},
        "spec": {"selector": {"app": name}, "ports": [{"port": port}]},
    }


def claim(name: str) -> Manifest:
    """A claim for a volume of the default class."""
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": name},
        "spec": {
            "accessModes": ["ReadWriteOnce"],
            "resources": {"requests": {"storage": "10Mi"}},
        },
    }


def documents(*manifests: Manifest) -> str:
    """All of them as kubectl reads them from standard input."""
    return json.dumps({"apiVersion": "v1", "kind": "List", "items": manifests})
