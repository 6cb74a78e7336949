"""One sentence per value: what setting it does. A value without a sentence fails the last test."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import pytest

from .keys import documented_keys
from .rendering import PLAIN, VERSION, Manifests, RefusedError, pods, render

SPEC = "spec.template.spec"
BOX = f"{SPEC}.containers.0"
HPA = "HorizontalPodAutoscaler/worker-default"
PROBE = {"exec": {"command": ["true"]}}
ABSENT = object()
#: Without this, what publishes or scrapes the scheduler needs a peer in networkPolicy, too.
OPEN = {"networkPolicy.enabled": False}
STORED = {"store.persistence.enabled": True}


@dataclass
class Case:
    """Setting the value `path` makes a part of a manifest (`where`) contain `expected`."""

    path: str
    value: object
    sentence: str
    where: str
    expected: object
    # other values without which this one has no effect
    given: dict[str, object]

    @property
    def id(self) -> str:
        return f"{self.path} {self.sentence}".replace(" ", "_")


def case(
    path: str, value: object, sentence: str, where: str, expected: object, **given: object
) -> Case:
    return Case(path, value, sentence, where, expected, given)


# fmt: off
CASES = [
    # names, labels and images
    case("nameOverride", "sim", "is the chart's name in the names of resources",
         "Service/aer-sim-scheduler metadata.name", "aer-sim-scheduler"),
    case("fullnameOverride", "lab", "is the whole prefix of the names of resources",
         "Service/lab-scheduler metadata.name", "lab-scheduler"),
    case("commonLabels", {"team": "q"}, "are on every resource and pod",
         "Deployment/jupyter spec.template.metadata.labels", {"team": "q"}),
    case("commonAnnotations", {"team": "q"}, "are on every resource and pod",
         "Deployment/scheduler metadata.annotations", {"team": "q"}),
    case("revisionHistoryLimit", 1, "is how many old ReplicaSets are kept",
         "Deployment/worker-default spec.revisionHistoryLimit", 1),
    case("image.registry", "r.example.com/q", "stands before the repository",
         f"Deployment/scheduler {BOX}.image", f"r.example.com/q/aer-dask:{VERSION}"),
    case("image.repository", "sim", "names the images",
         f"Deployment/jupyter {BOX}.image", f"sim-jupyter:{VERSION}"),
    case("image.suffix", "-gpu", "ends the image's name",
         f"Deployment/worker-default {BOX}.image", f"aer-dask-gpu:{VERSION}"),
    case("image.tag", "1.2.3", "is the tag of every image",
         f"Deployment/jupyter {BOX}.image", "aer-dask-jupyter:1.2.3"),
    case("image.digest", f"sha256:{'0' * 64}", "wins over the tag",
         f"Deployment/scheduler {BOX}.image", f"aer-dask@sha256:{'0' * 64}",
         **{"image.tag": "1.2.3"}),
    case("image.pullPolicy", "Always", "tells the kubelet when to pull",
         f"Deployment/worker-default {BOX}.imagePullPolicy", "Always"),
    case("imagePullSecrets", [{"name": "registry"}], "are used by test pods too",
         "Pod/test-versions spec.imagePullSecrets", [{"name": "registry"}]),
    case("serviceAccount.create", False, "leaves the pods with the namespace's default account",
         f"Deployment/scheduler {SPEC}.serviceAccountName", "default"),
    case("serviceAccount.name", "sim", "is the account of the pods",
         f"Deployment/scheduler {SPEC}.serviceAccountName", "sim"),
    case("serviceAccount.annotations", {"eks.amazonaws.com/role-arn": "arn"}, "give it an identity",
         "ServiceAccount/release metadata.annotations", {"eks.amazonaws.com/role-arn": "arn"}),
    case("daskSettings", {"DASK_LOGGING__DISTRIBUTED": "debug"}, "are in every pod's environment",
         "Pod/test-connection spec.containers.0.env",
         [{"name": "DASK_LOGGING__DISTRIBUTED", "value": "debug"}]),
    # what every pod has
    case("pod.image", {"tag": "nightly"}, "overrides keys of image",
         f"Deployment/scheduler {BOX}.image", "aer-dask:nightly"),
    case("pod.resources", {"limits": {"ephemeral-storage": "1Gi"}}, "merge into each role's",
         f"Deployment/worker-default {BOX}.resources.limits",
         {"cpu": 1, "ephemeral-storage": "1Gi"}),
    case("pod.extraArgs", ["--verbose"], "end the command",
         f"Deployment/scheduler {BOX}.command", ["scheduler", "--verbose"]),
    case("pod.extraEnv", [{"name": "A", "value": "b"}], "are in the environment",
         f"Deployment/jupyter {BOX}.env", [{"name": "A", "value": "b"}]),
    case("pod.extraEnvFrom", [{"secretRef": {"name": "s"}}], "fill the environment",
         f"Deployment/worker-default {BOX}.envFrom", [{"secretRef": {"name": "s"}}]),
    case("pod.extraVolumes", [{"name": "data", "emptyDir": {}}], "are volumes of the pod",
         f"Deployment/worker-default {SPEC}.volumes", [{"name": "data", "emptyDir": {}}]),
    case("pod.extraVolumeMounts", [{"name": "data", "mountPath": "/data"}], "are mounted",
         f"Deployment/worker-default {BOX}.volumeMounts",
         [{"name": "data", "mountPath": "/data"}, {"name": "home"}]),
    case("pod.initContainers", [{"name": "first"}], "run first",
         f"Deployment/scheduler {SPEC}.initContainers", [{"name": "first"}]),
    case("pod.sidecars", [{"name": "beside"}], "run beside",
         f"Deployment/scheduler {SPEC}.containers", [{"name": "scheduler"}, {"name": "beside"}]),
    case("pod.podLabels", {"a": "b"}, "label the pods",
         "Deployment/scheduler spec.template.metadata.labels", {"a": "b"}),
    case("pod.podAnnotations", {"a": "b"}, "annotate the pods",
         "Deployment/scheduler spec.template.metadata.annotations", {"a": "b"}),
    case("pod.nodeSelector", {"disk": "ssd"}, "picks the nodes, of test pods too",
         "Pod/test-versions spec.nodeSelector", {"disk": "ssd"}),
    case("pod.tolerations", [{"key": "spot"}], "lets pods on tainted nodes",
         f"Deployment/scheduler {SPEC}.tolerations", [{"key": "spot"}]),
    case("pod.lostNodeSeconds", 7, "is how long a lost node is borne",
         f"Deployment/scheduler {SPEC}.tolerations", [{"tolerationSeconds": 7}]),
    case("pod.lifecycle", {"postStart": PROBE}, "merges into each role's",
         f"Deployment/jupyter {BOX}.lifecycle", {"postStart": PROBE, "preStop": {}}),
    case("pod.affinity", {"nodeAffinity": {}}, "is the pods' affinity",
         f"Deployment/scheduler {SPEC}.affinity", {"nodeAffinity": {}}),
    case("pod.topologySpreadConstraints", [{"maxSkew": 2}], "count the role's own pods",
         f"Deployment/scheduler {SPEC}.topologySpreadConstraints",
         [{"maxSkew": 2,
           "labelSelector": {"matchLabels": {"app.kubernetes.io/component": "scheduler"}}}]),
    case("pod.priorityClassName", "high", "sets the priority",
         f"Deployment/scheduler {SPEC}.priorityClassName", "high"),
    case("pod.runtimeClassName", "nvidia", "sets the container runtime",
         f"Deployment/worker-default {SPEC}.runtimeClassName", "nvidia"),
    case("pod.dnsConfig", {"options": [{"name": "ndots", "value": "1"}]},
         "changes how pods look names up", f"Deployment/worker-default {SPEC}.dnsConfig",
         {"options": [{"name": "ndots", "value": "1"}]}),
    case("pod.tmp", {"sizeLimit": "9Gi"}, "is the size of /tmp",
         f"Deployment/worker-default {SPEC}.volumes",
         [{"name": "tmp", "emptyDir": {"sizeLimit": "9Gi"}}]),
    case("pod.home", {"sizeLimit": "9Gi"}, "is the size of the home directory",
         f"Deployment/scheduler {SPEC}.volumes",
         [{"name": "home", "emptyDir": {"sizeLimit": "9Gi"}}]),
    case("pod.terminationGracePeriodSeconds", 5, "is the time to stop",
         f"Deployment/scheduler {SPEC}.terminationGracePeriodSeconds", 5),
    case("pod.podSecurityContext", {"runAsUser": 7}, "changes the pod's security context",
         f"Deployment/scheduler {SPEC}.securityContext", {"runAsUser": 7, "runAsNonRoot": True}),
    case("pod.securityContext", {"readOnlyRootFilesystem": False}, "changes the container's",
         f"Deployment/scheduler {BOX}.securityContext",
         {"readOnlyRootFilesystem": False, "allowPrivilegeEscalation": False}),
    case("pod.startupProbe", {"timeoutSeconds": 9}, "merges into each role's",
         f"Deployment/jupyter {BOX}.startupProbe", {"timeoutSeconds": 9, "periodSeconds": 2}),
    case("pod.readinessProbe", {"successThreshold": 2}, "merges into each role's",
         f"Deployment/worker-default {BOX}.readinessProbe",
         {"successThreshold": 2, "tcpSocket": {"port": "http"}}),
    case("pod.livenessProbe", PROBE, "is each role's unless it has its own",
         f"Deployment/jupyter {BOX}.livenessProbe", PROBE),
    # the scheduler
    case("scheduler.service.type", "NodePort", "is the type of its Service",
         "Service/scheduler spec.type", "NodePort", **OPEN),
    case("scheduler.service.annotations", {"a": "b"}, "annotate its Service",
         "Service/scheduler metadata.annotations", {"a": "b"}),
    case("scheduler.service.loadBalancerSourceRanges", ["10.0.0.0/8"], "limit its load balancer",
         "Service/scheduler spec.loadBalancerSourceRanges", ["10.0.0.0/8"],
         **OPEN, **{"scheduler.service.type": "LoadBalancer"}),
    case("scheduler.service.loadBalancerClass", "own", "picks who makes the load balancer",
         "Service/scheduler spec.loadBalancerClass", "own",
         **OPEN, **{"scheduler.service.type": "LoadBalancer",
                    "scheduler.service.loadBalancerSourceRanges": ["10.0.0.0/8"]}),
    case("scheduler.podDisruptionBudget.enabled", True, "keeps it from being evicted",
         "PodDisruptionBudget/scheduler spec.maxUnavailable", 0),
    case("scheduler.podDisruptionBudget.maxUnavailable", 1, "allows evictions",
         "PodDisruptionBudget/scheduler spec.maxUnavailable", 1,
         **{"scheduler.podDisruptionBudget.enabled": True}),
    # workers
    case("worker.replicas", 5, "is the number of workers without an autoscaler",
         "Deployment/worker-default spec.replicas", 5, **{"worker.autoscaling.enabled": False}),
    case("worker.threads", 3, "is the number of Aer's threads",
         f"Deployment/worker-default {BOX}.env", [{"name": "AER_DASK_THREADS", "value": "3"}]),
    case("worker.autoscaling.enabled", False, "leaves out the autoscaler",
         HPA, ABSENT),
    case("worker.autoscaling.minReplicas", 4, "is the fewest workers",
         f"{HPA} spec.minReplicas", 4),
    case("worker.autoscaling.maxReplicas", 40, "is the most workers",
         f"{HPA} spec.maxReplicas", 40),
    case("worker.autoscaling.targetCPUUtilizationPercentage", 55, "is the CPU use aimed at",
         f"{HPA} spec.metrics.0.resource.target.averageUtilization", 55),
    case("worker.autoscaling.metrics", [{"type": "External"}], "replace CPU",
         f"{HPA} spec.metrics.0", {"type": "External"}),
    case("worker.autoscaling.behavior", {"scaleDown": {"stabilizationWindowSeconds": 9}},
         "changes how fast it scales", f"{HPA} spec.behavior",
         {"scaleDown": {"stabilizationWindowSeconds": 9},
          "scaleUp": {"stabilizationWindowSeconds": 0}}),
    case("worker.podDisruptionBudget.enabled", False, "lets all workers be evicted at once",
         "PodDisruptionBudget/worker-default", ABSENT),
    case("worker.podDisruptionBudget.maxUnavailable", "50%", "is how many may be evicted at once",
         "PodDisruptionBudget/worker-default spec.maxUnavailable", "50%"),
    case("workerGroups", {"gpu": {"nodeSelector": {"gpu": "yes"}}}, "add Deployments",
         f"Deployment/worker-gpu {SPEC}.nodeSelector", {"gpu": "yes"}),
    # Jupyter
    case("jupyter.enabled", False, "leaves out JupyterLab", "Deployment/jupyter", ABSENT),
    case("jupyter.baseUrl", "/lab/", "is the path of JupyterLab and of its probes",
         f"Deployment/jupyter {BOX}.readinessProbe.httpGet.path", "/lab/api"),
    case("jupyter.auth.token", "a-token-of-many-letters", "is the token",
         "Secret/jupyter stringData.token", "a-token-of-many-letters"),
    case("jupyter.auth.existingSecret", "mine", "is where the token comes from",
         f"Deployment/jupyter {BOX}.env",
         [{"name": "JUPYTER_TOKEN", "valueFrom": {"secretKeyRef": {"name": "mine"}}}]),
    case("jupyter.auth.existingSecretKey", "password", "is the token's key in that Secret",
         f"Deployment/jupyter {BOX}.env",
         [{"name": "JUPYTER_TOKEN", "valueFrom": {"secretKeyRef": {"key": "password"}}}],
         **{"jupyter.auth.existingSecret": "mine"}),
    case("jupyter.persistence.enabled", False, "makes the home directory a temporary one",
         f"Deployment/jupyter {SPEC}.volumes", [{"name": "home", "emptyDir": {}}]),
    case("jupyter.persistence.existingClaim", "mine", "is the claim that is mounted",
         f"Deployment/jupyter {SPEC}.volumes",
         [{"name": "home", "persistentVolumeClaim": {"claimName": "mine"}}]),
    case("jupyter.persistence.size", "3Gi", "is the volume's size",
         "PersistentVolumeClaim/jupyter spec.resources.requests.storage", "3Gi"),
    case("jupyter.persistence.storageClass", "gp3", "is the volume's class",
         "PersistentVolumeClaim/jupyter spec.storageClassName", "gp3"),
    case("jupyter.persistence.accessModes", ["ReadWriteMany"], "are the volume's",
         "PersistentVolumeClaim/jupyter spec.accessModes", ["ReadWriteMany"]),
    case("jupyter.persistence.annotations", {"a": "b"}, "annotate the claim",
         "PersistentVolumeClaim/jupyter metadata.annotations", {"a": "b"}),
    case("store.url", "s3://bucket/prefix", "is where notebooks keep results",
         f"Deployment/jupyter {BOX}.env",
         [{"name": "DASK_AER_DASK__STORE", "value": "s3://bucket/prefix"}]),
    case("store.existingSecret", "mine", "gives the notebooks their credentials",
         f"Deployment/jupyter {BOX}.envFrom", [{"secretRef": {"name": "mine"}}],
         **{"store.url": "s3://bucket"}),
    case("store.persistence.enabled", True, "mounts a volume for results",
         f"Deployment/jupyter {BOX}.volumeMounts", [{"name": "store", "mountPath": "/data/aer"}]),
    case("store.persistence.existingClaim", "mine", "is the claim that is mounted",
         f"Deployment/jupyter {SPEC}.volumes",
         [{"name": "store", "persistentVolumeClaim": {"claimName": "mine"}}], **STORED),
    case("store.persistence.size", "3Gi", "is the volume's size",
         "PersistentVolumeClaim/store spec.resources.requests.storage", "3Gi", **STORED),
    case("store.persistence.storageClass", "gp3", "is the volume's class",
         "PersistentVolumeClaim/store spec.storageClassName", "gp3", **STORED),
    case("store.persistence.accessModes", ["ReadWriteMany"], "are the volume's",
         "PersistentVolumeClaim/store spec.accessModes", ["ReadWriteMany"], **STORED),
    case("store.persistence.annotations", {"a": "b"}, "annotate the claim",
         "PersistentVolumeClaim/store metadata.annotations", {"a": "b"}, **STORED),
    case("jupyter.service.type", "LoadBalancer", "is the type of its Service",
         "Service/jupyter spec.type", "LoadBalancer"),
    case("jupyter.service.annotations", {"a": "b"}, "annotate its Service",
         "Service/jupyter metadata.annotations", {"a": "b"}),
    case("jupyter.service.loadBalancerSourceRanges", ["10.0.0.0/8"], "limit its load balancer",
         "Service/jupyter spec.loadBalancerSourceRanges", ["10.0.0.0/8"]),
    case("jupyter.service.loadBalancerClass", "own", "picks who makes its load balancer",
         "Service/jupyter spec.loadBalancerClass", "own",
         **{"jupyter.service.type": "LoadBalancer"}),
    case("jupyter.podDisruptionBudget.enabled", True, "keeps it from being evicted",
         "PodDisruptionBudget/jupyter spec.maxUnavailable", 0),
    case("jupyter.podDisruptionBudget.maxUnavailable", 1, "allows evictions",
         "PodDisruptionBudget/jupyter spec.maxUnavailable", 1,
         **{"jupyter.podDisruptionBudget.enabled": True}),
    case("jupyter.rbac.create", True, "mounts a token of its own account",
         f"Deployment/jupyter {SPEC}",
         {"automountServiceAccountToken": True, "serviceAccountName": "aer-aer-dask-jupyter"}),
    case("jupyter.rbac.scaling", True, "names the workers that it may scale",
         "Role/jupyter rules.1.resourceNames", ["aer-aer-dask-worker-default"]),
    case("jupyter.rbac.rules", [{"resources": ["jobs"]}], "are the rules of its Role",
         "Role/jupyter rules", [{"resources": ["jobs"]}], **{"jupyter.rbac.create": True}),
    case("jupyter.ingress.enabled", True, "publishes it",
         "Ingress/jupyter spec.rules.0.http.paths.0.backend.service.name",
         "aer-aer-dask-jupyter", **{"jupyter.ingress.host": "h"}),
    case("jupyter.ingress.className", "nginx", "is the Ingress's class",
         "Ingress/jupyter spec.ingressClassName", "nginx",
         **{"jupyter.ingress.enabled": True, "jupyter.ingress.host": "h"}),
    case("jupyter.ingress.annotations", {"a": "b"}, "annotate the Ingress",
         "Ingress/jupyter metadata.annotations", {"a": "b"},
         **{"jupyter.ingress.enabled": True, "jupyter.ingress.host": "h"}),
    case("jupyter.ingress.host", "aer.example.com", "is the Ingress's host",
         "Ingress/jupyter spec.rules.0.host", "aer.example.com",
         **{"jupyter.ingress.enabled": True}),
    case("jupyter.ingress.tlsSecret", "tls", "gives the Ingress its certificate",
         "Ingress/jupyter spec.tls.0", {"secretName": "tls", "hosts": ["h"]},
         **{"jupyter.ingress.enabled": True, "jupyter.ingress.host": "h"}),
    case("jupyter.httpRoute.enabled", True, "publishes it",
         "HTTPRoute/jupyter spec.rules.0.backendRefs.0.name", "aer-aer-dask-jupyter",
         **{"jupyter.httpRoute.parentRefs": [{"name": "gw"}]}),
    case("jupyter.httpRoute.annotations", {"a": "b"}, "annotate the HTTPRoute",
         "HTTPRoute/jupyter metadata.annotations", {"a": "b"},
         **{"jupyter.httpRoute.enabled": True, "jupyter.httpRoute.parentRefs": [{"name": "gw"}]}),
    case("jupyter.httpRoute.parentRefs", [{"name": "gw"}], "are its Gateways",
         "HTTPRoute/jupyter spec.parentRefs", [{"name": "gw"}],
         **{"jupyter.httpRoute.enabled": True}),
    case("jupyter.httpRoute.hostnames", ["h"], "are its host names",
         "HTTPRoute/jupyter spec.hostnames", ["h"],
         **{"jupyter.httpRoute.enabled": True, "jupyter.httpRoute.parentRefs": [{"name": "gw"}]}),
    # the rest
    case("tls.mode", "disabled", "has Dask's processes speak TCP",
         f"Deployment/worker-default {BOX}.command", ["tcp://aer-aer-dask-scheduler:8786"]),
    case("tls.existingSecret", "mine", "is where the certificate comes from",
         "Pod/test-versions spec.volumes", [{"name": "tls", "secret": {"secretName": "mine"}}],
         **{"tls.mode": "existingSecret"}),
    case("tls.issuerRef", {"name": "own", "kind": "Issuer"}, "is who signs the certificate",
         "Certificate/tls-certmanager spec.issuerRef", {"name": "own", "kind": "Issuer"},
         **{"tls.mode": "certManager"}),
    case("tls.duration", "10000h", "is how long the certificate is valid",
         "Certificate/tls-certmanager spec.duration", "10000h",
         **{"tls.mode": "certManager", "tls.issuerRef": {"name": "own"}}),
    case("tls.renewBefore", "1000h", "is how long before its end it is renewed",
         "Certificate/tls-certmanager spec.renewBefore", "1000h",
         **{"tls.mode": "certManager", "tls.issuerRef": {"name": "own"}}),
    case("networkPolicy.enabled", False, "opens scheduler and workers to other pods",
         "NetworkPolicy/release", ABSENT),
    case("networkPolicy.allowFrom", [{"namespaceSelector": {}}], "lets more peers in",
         "NetworkPolicy/release spec.ingress.0.from", [{"namespaceSelector": {}}]),
    case("networkPolicy.metricsFrom", [{"namespaceSelector": {}}], "lets more peers read metrics",
         "NetworkPolicy/release spec.ingress",
         [{"from": [{"namespaceSelector": {}}], "ports": [{"port": "http"}]}]),
    case("networkPolicy.egress", [{"ports": [{"port": 443}]}], "lets scheduler and workers out",
         "NetworkPolicy/release spec.egress", [{"ports": [{"port": 443}]}]),
    case("networkPolicy.jupyterEgress", [{"ports": [{"port": 443}]}], "is all that it may reach",
         "NetworkPolicy/jupyter spec.egress", [{"ports": [{"port": 443}]}]),
    case("httpAuth.enabled", False, "has the HTTP ports answer everybody",
         "Secret/http", ABSENT),
    case("httpAuth.existingSecret", "mine", "is where the token comes from",
         f"Deployment/scheduler {SPEC}.volumes", [{"secret": {"secretName": "mine"}}]),
    case("httpAuth.existingSecretKey", "password", "is the token's key in that Secret",
         f"Deployment/scheduler {SPEC}.volumes",
         [{"secret": {"items": [{"key": "password", "path": "token"}]}}],
         **{"httpAuth.existingSecret": "mine"}),
    case("metrics.serviceMonitor.enabled", True, "has the scheduler scraped",
         "ServiceMonitor/scheduler spec.endpoints.0", {"port": "http", "path": "/metrics"},
         **OPEN),
    case("metrics.serviceMonitor.labels", {"release": "p"}, "let Prometheus find it",
         "ServiceMonitor/scheduler metadata.labels", {"release": "p"},
         **OPEN, **{"metrics.serviceMonitor.enabled": True}),
    case("metrics.serviceMonitor.interval", "5s", "is the time between scrapes",
         "ServiceMonitor/scheduler spec.endpoints.0.interval", "5s",
         **OPEN, **{"metrics.serviceMonitor.enabled": True}),
    case("metrics.podMonitor.enabled", True, "has the workers scraped",
         "PodMonitor/worker spec.podMetricsEndpoints.0", {"port": "http", "path": "/metrics"},
         **OPEN),
    case("metrics.podMonitor.labels", {"release": "p"}, "let Prometheus find it",
         "PodMonitor/worker metadata.labels", {"release": "p"},
         **OPEN, **{"metrics.podMonitor.enabled": True}),
    case("metrics.podMonitor.interval", "5s", "is the time between scrapes",
         "PodMonitor/worker spec.podMetricsEndpoints.0.interval", "5s",
         **OPEN, **{"metrics.podMonitor.enabled": True}),
    case("metrics.dashboard.enabled", True, "ships the dashboard",
         "ConfigMap/dashboard metadata.labels", {"grafana_dashboard": "1"}),
    case("metrics.dashboard.labels", {"board": "yes"}, "let Grafana find it",
         "ConfigMap/dashboard metadata.labels", {"board": "yes"},
         **{"metrics.dashboard.enabled": True}),
    case("metrics.dashboard.annotations", {"grafana_folder": "Q"}, "put it in a folder",
         "ConfigMap/dashboard metadata.annotations", {"grafana_folder": "Q"},
         **{"metrics.dashboard.enabled": True}),
    case("tests.enabled", False, "leaves out the test pods", "Pod/test-versions", ABSENT),
    case("tests.timeoutSeconds", 9, "is the most a test may take",
         "Pod/test-versions spec.activeDeadlineSeconds", 9),
    case("tests.resources", {"limits": {"cpu": 3}}, "are a test pod's",
         "Pod/test-versions spec.containers.0.resources.limits", {"cpu": 3}),
    case("extraObjects",
         [{"kind": "ConfigMap", "metadata": {"name": "{{ .Release.Name }}-more"}}],
         "are installed with their templates filled in",
         "ConfigMap/aer-more metadata.name", "aer-more"),
]
# fmt: on


def at(manifests: Manifests, where: str) -> object:
    """The part under `Kind/name dotted.path`, in which numbers index lists."""
    key, _, path = where.partition(" ")
    node: Any = manifests.get(key)
    for step in path.split(".") if path else ():
        if node is not None:
            node = node[int(step)] if isinstance(node, list) else node.get(step)
    return ABSENT if node is None else node


def contains(actual: object, expected: object) -> bool:
    """Whether all that is expected is there: in maps and lists there may be more."""
    if isinstance(expected, dict):
        return isinstance(actual, dict) and all(
            key in actual and contains(actual[key], value) for key, value in expected.items()
        )
    if isinstance(expected, list):
        return isinstance(actual, list) and all(
            any(contains(item, value) for item in actual) for value in expected
        )
    return actual == expected


@pytest.mark.parametrize("one", CASES, ids=lambda one: one.id)
def test_value(one: Case) -> None:
    with_value = render(one.given | {one.path: one.value})
    assert contains(at(with_value, one.where), one.expected)
    with suppress(RefusedError):  # some values cannot be left out
        assert not contains(at(render(one.given), one.where), one.expected), "and without, too"


@pytest.mark.parametrize(
    ("role", "deployment"),
    [
        ("scheduler", "Deployment/scheduler"),
        ("jupyter", "Deployment/jupyter"),
        ("worker", "Deployment/worker-default"),
        ("workerGroups.default", "Deployment/worker-default"),
    ],
)
def test_every_key_of_pod_may_be_given_to_one_role_and_changes_no_other(
    role: str, deployment: str
) -> None:
    default = render(PLAIN)
    of_pod = [one for one in CASES if one.path.startswith("pod.")]
    changed = render(PLAIN | {one.path.replace("pod", role, 1): one.value for one in of_pod})
    for one in of_pod:
        path = one.where.split(" ")[1].removeprefix("spec.template.")
        where = f"{deployment} spec.template.{path}"
        assert at(changed, where) != at(default, where), one.path
    others = {key for key in default if key.startswith("Deployment") and key != deployment}
    assert {key: changed[key] for key in others} == {key: default[key] for key in others}


def test_environment_variables_of_pod_role_and_group_add_up_and_the_nearest_wins() -> None:
    def variables(**values: str) -> list[dict[str, str]]:
        return [{"name": name, "value": value} for name, value in values.items()]

    manifests = render({
        "pod.extraEnv": variables(PROXY="pod", LEVEL="pod", ZONE="pod"),
        "worker.extraEnv": variables(LEVEL="worker", ZONE="worker"),
        "workerGroups.gpu.extraEnv": variables(ZONE="gpu"),
    })  # fmt: skip

    def tail(deployment: str) -> object:
        env = at(manifests, f"Deployment/{deployment} {BOX}.env")
        assert isinstance(env, list)
        return env[-3:]

    assert tail("scheduler") == variables(PROXY="pod", LEVEL="pod", ZONE="pod")
    assert tail("worker-default") == variables(PROXY="pod", LEVEL="worker", ZONE="worker")
    assert tail("worker-gpu") == variables(PROXY="pod", LEVEL="worker", ZONE="gpu")


def test_the_storage_class_dash_means_a_volume_of_no_class() -> None:
    manifests = render({"jupyter.persistence.storageClass": "-"})
    assert manifests["PersistentVolumeClaim/jupyter"]["spec"]["storageClassName"] == ""
    assert "storageClassName" not in render()["PersistentVolumeClaim/jupyter"]["spec"]


def test_a_volume_for_results_is_the_store_of_notebooks_and_of_nobody_else() -> None:
    manifests = render(STORED)
    store = {"name": "DASK_AER_DASK__STORE", "value": "file:///data/aer"}
    assert store in at(manifests, f"Deployment/jupyter {BOX}.env")
    for role in ("scheduler", "worker-default"):
        assert store not in at(manifests, f"Deployment/{role} {BOX}.env")
    assert "PersistentVolumeClaim/store" not in render()
    own = {**STORED, "store.persistence.existingClaim": "mine"}
    assert "PersistentVolumeClaim/store" not in render(own)


def test_a_group_can_turn_off_what_worker_turns_on() -> None:
    group = {"autoscaling": {"enabled": False}, "replicas": 0, "topologySpreadConstraints": []}
    worker = render({"workerGroups.off": group})["Deployment/worker-off"]
    assert worker["spec"]["replicas"] == 0
    assert "topologySpreadConstraints" not in worker["spec"]["template"]["spec"]


def test_what_one_group_sets_does_not_reach_another() -> None:
    set_by_a = {"resources": {"limits": {"cpu": 7}}, "podSecurityContext": {"runAsUser": 7}}
    manifests = render({"workerGroups": {"a": set_by_a, "z": {}}})
    for path in (f"{BOX}.resources", f"{SPEC}.securityContext"):
        a, default, z = (
            at(manifests, f"Deployment/worker-{group} {path}") for group in ("a", "default", "z")
        )
        assert a != default
        assert default == z


def test_null_removes_the_default_group() -> None:
    manifests = render({"workerGroups": {"default": None, "big": {}}})
    assert "Deployment/worker-default" not in manifests
    assert "Deployment/worker-big" in manifests


def test_an_image_with_another_suffix_does_not_inherit_the_digest() -> None:
    manifests = render({"image.digest": f"sha256:{'0' * 64}"})
    assert at(manifests, f"Deployment/jupyter {BOX}.image") == f"aer-dask-jupyter:{VERSION}"


def test_an_image_of_ones_own_serves_every_pod() -> None:
    own = {"image.repository": "lab", "image.tag": "v1", "jupyter.image.suffix": ""}
    used = {box["image"] for pod in pods(render(own)).values() for box in pod["containers"]}
    assert used == {"lab:v1"}


def test_every_value_has_a_sentence_here() -> None:
    assert {one.path for one in CASES} == set(documented_keys())
