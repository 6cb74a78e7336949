"""Values that cannot work are refused, each in a sentence that says what to do."""

from __future__ import annotations

from typing import Any

import pytest

from .rendering import refusal

NULL_LIMITS = {"resources": {"limits": {"cpu": None}, "requests": {"cpu": None}}}

REFUSED: list[tuple[dict[str, Any], str]] = [
    (
        {"commonLabels": {"app.kubernetes.io/name": "x"}},
        "commonLabels sets app.kubernetes.io/name, by which the chart tells pods apart",
    ),
    (
        {"worker.podLabels": {"app.kubernetes.io/component": "x"}},
        "worker.podLabels sets app.kubernetes.io/component",
    ),
    (
        {"workerGroups.gpu.podLabels": {"aer-dask/worker-group": "x"}},
        "workerGroups.gpu.podLabels sets aer-dask/worker-group",
    ),
    ({"image.digest": "latest"}, "image.digest latest is no digest"),
    (
        {"scheduler.service.loadBalancerClass": "own"},
        "scheduler.service.loadBalancerClass is given, but scheduler.service.type is ClusterIP",
    ),
    (
        {"jupyter.service.loadBalancerClass": "own", "jupyter.service.type": "NodePort"},
        "jupyter.service.loadBalancerClass is given, but jupyter.service.type is NodePort",
    ),
    ({"scheduler.service.type": "LoadBalancer"}, "set scheduler.service.loadBalancerSourceRanges"),
    ({"jupyter.auth.token": "secret"}, "jupyter.auth.token has fewer than 16 characters"),
    ({"jupyter.baseUrl": "/lab"}, "jupyter.baseUrl /lab must begin and end with a slash"),
    ({"jupyter.baseUrl": "lab/"}, "jupyter.baseUrl lab/ must begin and end with a slash"),
    (
        {"jupyter.enabled": False, "jupyter.ingress.enabled": True, "jupyter.ingress.host": "h"},
        "publish JupyterLab, but jupyter.enabled is false",
    ),
    ({"jupyter.ingress.enabled": True}, "needs jupyter.ingress.host"),
    ({"jupyter.httpRoute.enabled": True}, "needs jupyter.httpRoute.parentRefs"),
    ({"tls.mode": "existingSecret"}, "needs tls.existingSecret, the name of a Secret"),
    ({"tls.existingSecret": "mine"}, "tls.existingSecret is given, but tls.mode is empty"),
    ({"tls.mode": "certManager"}, "needs tls.issuerRef.name"),
    ({"tls.renewBefore": "9000h"}, "tls.renewBefore 9000h is not shorter than tls.duration 8760h"),
    (
        {"scheduler.service.type": "NodePort"},
        "scheduler.service.type NodePort publishes the scheduler, but networkPolicy keeps",
    ),
    ({"metrics.podMonitor.enabled": True}, "it out; add it to networkPolicy.metricsFrom"),
    (
        {"store.url": "s3://bucket", "jupyter.enabled": False},
        "store is where notebooks keep results, but jupyter.enabled is false",
    ),
    ({"store.url": "/data"}, "store.url /data is no URL; give one such as s3://bucket/prefix"),
    ({"store.existingSecret": "mine"}, "store.existingSecret is given, but no store"),
    (
        {"store.url": "s3://bucket", "store.persistence.enabled": True},
        "mounts a volume at /data/aer, which store.url s3://bucket does not use",
    ),
    (
        {"store.url": "file:///data/aerospace", "store.persistence.enabled": True},
        "mounts a volume at /data/aer, which store.url file:///data/aerospace does not use",
    ),
    # as Helm gives them after --reuse-values
    ({"httpAuth": None}, "httpAuth is missing, as it is after --reuse-values from an older chart"),
    (
        {"httpAuth": None, "metrics.podMonitor.enabled": True},
        "take --reset-then-reuse-values, which keeps what you have set",
    ),
    ({"workerGroups": {"default": None}}, "workerGroups is empty, so no worker would run"),
    ({"workerGroups.Big_One": {}}, "workerGroups.Big_One names pods"),
    ({"workerGroups.a-name-of-more-than-twenty": {}}, "at most 20 lower-case letters"),
    ({"worker.resources.limits.memory": None}, "group default has no resources.limits.memory"),
    ({"worker.resources.limits.cpu": None}, "set it, or set threads"),
    (
        {"worker.autoscaling.minReplicas": 11},
        "worker group default has autoscaling.minReplicas 11 above autoscaling.maxReplicas 10",
    ),
    (
        {"worker.threads": 2, "workerGroups.x": NULL_LIMITS},
        "worker group x scales on CPU in percent of resources.requests.cpu",
    ),
    # said by the schema
    ({"worker.replicas": "two"}, "'/worker/replicas': got string, want"),
    ({"worker.autoscaling.minReplicas": 0}, "'/worker/autoscaling/minReplicas': minimum"),
    ({"tls.mode": "on"}, "'/tls/mode': value must be one of '', 'disabled', 'generated'"),
    ({"tls.duration": "a year"}, "'/tls/duration': 'a year' does not match pattern"),
    ({"image.pullPolicy": "Sometimes"}, "'/image/pullPolicy': value must be one of 'Always'"),
    ({"daskSettings.distributed": "x"}, "invalid propertyName 'distributed'"),
    ({"metrics.podMonitor.interval": "often"}, "'/metrics/podMonitor/interval'"),
]


@pytest.mark.parametrize(
    ("values", "sentence"), REFUSED, ids=lambda x: x if isinstance(x, str) else ""
)
def test_refused(values: dict[str, Any], sentence: str) -> None:
    assert sentence in refusal(values)


def test_all_that_is_wrong_is_said_at_once() -> None:
    said = refusal({"image.digest": "latest", "jupyter.auth.token": "secret"})
    assert "image.digest" in said
    assert "jupyter.auth.token" in said
