"""What holds for the pods: security, how workers are started, how they are told apart."""

from __future__ import annotations

import hashlib
import itertools
import json
import re
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest
import yaml
from dask.config import collect_env
from distributed.comm.addressing import uri_from_host_port
from distributed.utils import clean_dashboard_address

from .rendering import (
    CHART,
    EVERYTHING,
    PLAIN,
    ROOT,
    Manifests,
    Values,
    pods,
    quantity,
    render,
    run_helm,
)

VALUES_FILES = [*sorted((ROOT / "values").rglob("*.yaml")), EVERYTHING]
WORKER = "Deployment/worker-default"
TWO_MINUTES = 120


def container(manifests: Manifests, key: str) -> dict[str, Any]:
    first: dict[str, Any] = pods(manifests)[key]["containers"][0]
    return first


def environment(manifests: Manifests, key: str) -> dict[str, Any]:
    return {e["name"]: e.get("value", e.get("valueFrom")) for e in container(manifests, key)["env"]}


# --- security ---


@pytest.mark.parametrize("file", VALUES_FILES, ids=lambda p: p.stem)
def test_every_pod_meets_the_restricted_standard(file: Path) -> None:
    for key, pod in pods(render({}, file)).items():
        assert pod["securityContext"]["runAsNonRoot"] is True, key
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}, key
        assert not {"hostNetwork", "hostPID", "hostIPC"} & pod.keys(), key
        kinds = {"name", "emptyDir", "persistentVolumeClaim", "secret"}
        assert all(set(volume) <= kinds for volume in pod["volumes"]), key
        for box in pod["containers"] + pod.get("initContainers", []):
            context = box["securityContext"]
            assert context["allowPrivilegeEscalation"] is False, key
            assert context["capabilities"] == {"drop": ["ALL"]}, key
            assert context["readOnlyRootFilesystem"] is True, key
            assert not any("hostPort" in port for port in box.get("ports", [])), key


def test_every_pod_can_write_where_programs_expect_to(everything: Manifests) -> None:
    for key, pod in pods(everything).items():
        mounts = {m["mountPath"] for m in pod["containers"][0]["volumeMounts"]}
        assert {"/tmp", environment(everything, key)["HOME"]} <= mounts


def test_what_a_pod_may_write_fits_into_its_limit(everything: Manifests) -> None:
    """Else it would be evicted before a folder is full."""
    for key, pod in pods(everything).items():
        folders = [v["emptyDir"]["sizeLimit"] for v in pod["volumes"] if "emptyDir" in v]
        limit = pod["containers"][0]["resources"]["limits"]["ephemeral-storage"]
        assert folders, key
        assert sum(map(quantity, folders)) < quantity(limit), key  # the rest is for logs
        assert pod["containers"][0]["resources"]["requests"]["ephemeral-storage"], key


def test_no_pod_holds_a_service_account_token_and_there_are_no_rules(default: Manifests) -> None:
    assert all(pod["automountServiceAccountToken"] is False for pod in pods(default).values())
    assert not {"Role", "RoleBinding", "ClusterRole"} & {m["kind"] for m in default.values()}


@pytest.mark.parametrize("rules", ["create", "scaling"])
def test_with_rules_only_jupyter_holds_a_token(rules: str) -> None:
    holders = [
        key
        for key, pod in pods(render({f"jupyter.rbac.{rules}": True})).items()
        if pod["automountServiceAccountToken"]
    ]
    assert holders == ["Deployment/jupyter"]


def test_services_of_the_namespace_do_not_become_settings_of_dask(default: Manifests) -> None:
    assert all(pod["enableServiceLinks"] is False for pod in pods(default).values())


def test_nothing_is_published_unless_asked(default: Manifests) -> None:
    assert {m["spec"]["type"] for m in default.values() if m["kind"] == "Service"} == {"ClusterIP"}
    assert not {"Ingress", "HTTPRoute"} & {m["kind"] for m in default.values()}


OWN = {"app.kubernetes.io/instance": "aer", "app.kubernetes.io/name": "aer-dask"}


def test_only_the_releases_own_pods_reach_scheduler_and_workers(default: Manifests) -> None:
    spec = default["NetworkPolicy/release"]["spec"]
    assert spec["podSelector"]["matchLabels"] == OWN
    assert spec["policyTypes"] == ["Ingress", "Egress"]
    assert spec["ingress"] == [{"from": [{"podSelector": {"matchLabels": OWN}}]}]


def test_scheduler_and_workers_reach_each_other_names_and_no_address_of_the_internet(
    default: Manifests,
) -> None:
    each_other, names = default["NetworkPolicy/release"]["spec"]["egress"]
    assert each_other == {"to": [{"podSelector": {"matchLabels": OWN}}]}
    assert {port["port"] for port in names["ports"]} == {53, 5353}
    assert {port["protocol"] for port in names["ports"]} == {"TCP", "UDP"}
    blocks = [ip_network(peer["ipBlock"]["cidr"]) for peer in names["to"] if "ipBlock" in peer]
    assert len(blocks) == len(names["to"]) - 1, "and pods of the cluster"
    assert not any(block.is_global for block in blocks)


def test_jupyter_reaches_everything_unless_told(default: Manifests) -> None:
    assert default["NetworkPolicy/jupyter"]["spec"]["egress"] == [{}]
    shut = render({"networkPolicy.jupyterEgress": []})["NetworkPolicy/jupyter"]["spec"]
    assert shut["egress"] == []
    assert shut["policyTypes"] == ["Ingress", "Egress"]


def test_who_may_read_metrics_reaches_no_port_on_which_code_can_be_run() -> None:
    prometheus = [{"namespaceSelector": {}}]
    manifests = render({"networkPolicy.metricsFrom": prometheus})
    own, metrics = manifests["NetworkPolicy/release"]["spec"]["ingress"]
    assert prometheus[0] not in own["from"]
    assert metrics == {"from": prometheus, "ports": [{"port": "http"}]}
    for key in ("Deployment/scheduler", WORKER):
        ports = {p["name"]: p["containerPort"] for p in container(manifests, key)["ports"]}
        assert ports["http"] == 8787


def test_the_values_files_let_nobody_but_the_release_run_code() -> None:
    for file in sorted((ROOT / "values").rglob("*.yaml")):
        policy = render({}, file)["NetworkPolicy/release"]["spec"]["ingress"]
        assert [len(rule["from"]) for rule in policy if "ports" not in rule] == [1], file


# --- the HTTP ports, and secrets ---


def test_scheduler_and_workers_load_the_gate_before_anything_else(default: Manifests) -> None:
    for key in ("Deployment/scheduler", WORKER):
        command, env = container(default, key)["command"], environment(default, key)
        preloads = [b for a, b in itertools.pairwise(command) if a == "--preload"]
        assert preloads[0] == "aer_dask.gate", key
        (mount,) = [m for m in container(default, key)["volumeMounts"] if m["name"] == "http"]
        assert env["AER_DASK_HTTP_TOKEN_FILE"] == f"{mount['mountPath']}/token", key
        assert "subPath" not in mount, "it would never change"


def test_who_scrapes_is_told_to_show_the_token() -> None:
    own = {"httpAuth.existingSecret": "mine", "httpAuth.existingSecretKey": "password"}
    for given, credentials in (
        ({}, {"name": "aer-aer-dask-http", "key": "token"}),
        (own, {"name": "mine", "key": "password"}),
    ):
        manifests = render(given, EVERYTHING)
        monitors = [
            manifests["ServiceMonitor/scheduler"]["spec"]["endpoints"],
            manifests["PodMonitor/worker"]["spec"]["podMetricsEndpoints"],
        ]
        wanted = {"type": "Bearer", "credentials": credentials}
        assert [[end["authorization"] for end in ends] for ends in monitors] == [[wanted]] * 2
    without = render({"httpAuth.enabled": False}, EVERYTHING)
    assert "authorization" not in without["ServiceMonitor/scheduler"]["spec"]["endpoints"][0]


def test_no_secret_is_in_an_argument_or_in_the_text_of_a_variable() -> None:
    manifests = render({"tls": {"mode": "generated", "issuerRef": None}}, EVERYTHING)
    secrets = [m for m in manifests.values() if m["kind"] == "Secret"]
    words = {
        word
        for secret in secrets
        for held in (secret.get("data", {}), secret.get("stringData", {}))
        for key, word in held.items()
        if key != "ca.crt"
    }
    assert len(words) == 4, "two tokens, the certificate and its key"
    for key, manifest in manifests.items():
        if manifest["kind"] != "Secret":
            assert not any(word in json.dumps(manifest) for word in words), key
    for key, pod in pods(manifests).items():
        for box in pod["containers"]:
            held = [e["name"] for e in box["env"] if "secretKeyRef" in e.get("valueFrom", {})]
            assert held == (["JUPYTER_TOKEN"] if key == "Deployment/jupyter" else []), key


# --- lost nodes, and going ---


def borne(manifests: Manifests, key: str) -> dict[str, Any]:
    return {t.get("key"): t for t in pods(manifests)[key]["tolerations"]}


def test_a_lost_node_is_borne_for_half_a_minute_but_under_notebooks() -> None:
    """A job waits 300 s for a scheduler; what is in a kernel's memory is lost with its pod."""
    spot = {"key": "spot", "operator": "Exists", "effect": "NoSchedule"}
    manifests = render({"worker.tolerations": [spot]})
    for key in pods(manifests):
        for taint in ("not-ready", "unreachable"):
            found = borne(manifests, key)[f"node.kubernetes.io/{taint}"]
            seconds = 300 if key == "Deployment/jupyter" else 30
            assert (found["effect"], found["tolerationSeconds"]) == ("NoExecute", seconds), key
    assert borne(manifests, WORKER)["spot"] == spot


def test_what_is_said_of_lost_nodes_counts() -> None:
    longer = {"key": "node.kubernetes.io/unreachable", "operator": "Exists",
              "effect": "NoExecute", "tolerationSeconds": 900}  # fmt: skip
    found = pods(render({"pod.tolerations": [longer]}))[WORKER]["tolerations"]
    assert [t["tolerationSeconds"] for t in found] == [900, 30]
    everything = {"operator": "Exists"}
    assert pods(render({"pod.tolerations": [everything]}))[WORKER]["tolerations"] == [everything]
    assert "tolerations" not in pods(render({"pod.lostNodeSeconds": None}))[WORKER]


def test_jupyter_answers_while_its_service_forgets_it_and_has_time_left_to_close(
    default: Manifests,
) -> None:
    box = container(default, "Deployment/jupyter")
    assert box["lifecycle"] == {"preStop": {"exec": {"command": ["sleep", "5"]}}}
    assert pods(default)["Deployment/jupyter"]["terminationGracePeriodSeconds"] >= 4 * 5


def test_it_may_wait_otherwise_which_has_one_handler_alone() -> None:
    other = {"exec": None, "sleep": {"seconds": 9}}
    box = container(render({"jupyter.lifecycle.preStop": other}), "Deployment/jupyter")
    assert box["lifecycle"] == {"preStop": {"sleep": {"seconds": 9}}}


# --- addresses ---


@pytest.mark.parametrize("ip", ["10.0.0.1", "fd00::5"])
def test_a_worker_is_found_at_its_pods_address_of_either_family(
    default: Manifests, ip: str
) -> None:
    command, env = container(default, WORKER)["command"], environment(default, WORKER)
    assert env["POD_IP"] == {"fieldRef": {"fieldPath": "status.podIP"}}
    host = command[command.index("--host") + 1].replace("$(POD_IP)", ip)
    url_host = f"[{ip}]" if ":" in ip else ip
    assert uri_from_host_port(host, None, 0) == f"tcp://{url_host}:0"


@pytest.mark.parametrize("key", ["Deployment/scheduler", WORKER])
def test_health_and_metrics_are_served_on_all_addresses_of_both_families(
    default: Manifests, key: str
) -> None:
    command = container(default, key)["command"]
    [served] = clean_dashboard_address(command[command.index("--dashboard-address") + 1])
    addresses = {
        alias["ip"]
        for alias in pods(default)[key]["hostAliases"]
        if served["address"] in alias["hostnames"]
    }
    assert (addresses, served["port"]) == ({"0.0.0.0", "::"}, 8787)


def test_the_scheduler_listens_on_localhost_too_where_kubectl_port_forward_ends(
    default: Manifests,
) -> None:
    assert "--host" not in container(default, "Deployment/scheduler")["command"]


def test_jupyter_listens_on_all_addresses_of_both_families(default: Manifests) -> None:
    assert "--ip=*" in container(default, "Deployment/jupyter")["command"]


# --- workers ---


def test_a_worker_runs_one_task_at_a_time_with_the_version_gate_loaded(default: Manifests) -> None:
    command = container(default, WORKER)["command"]
    assert command[:3] == ["dask", "worker", "tls://aer-aer-dask-scheduler:8786"]
    assert command[command.index("--nthreads") + 1] == "1"
    options = list(itertools.pairwise(command))
    for option in ("--preload", "--preload-nanny"):
        assert (option, "aer_dask.worker") in options


def test_a_worker_that_is_to_go_has_time_to_finish_its_task(default: Manifests) -> None:
    assert pods(default)[WORKER]["terminationGracePeriodSeconds"] >= 2 * TWO_MINUTES


#: What a worker's pod has besides an embedded cluster's worker, or has otherwise, with the reason.
DIFFERS = {
    "--host": "an embedded cluster is on one machine; a pod's address is Kubernetes' to give",
    "--memory-limit": "an embedded worker gets a share of the machine, a pod has its own limit",
    "--name": "the pod's, so that the dashboard and kubectl speak of the same worker",
    "--dashboard-address": "probes and Prometheus ask a pod; nobody asks an embedded worker",
    "AER_DASK_THREADS": "the pod's own CPU limit, or `threads`",
    "MEMORY_LIMIT": "for --memory-limit",
    "POD_NAME": "for --name",
    "POD_IP": "for --host",
    "HOME": "the root file system is read-only",
}


@pytest.mark.parametrize("key", ["Deployment/scheduler", WORKER])
def test_pods_and_the_embedded_cluster_have_the_same_settings_of_dask(key: str) -> None:
    from aer_dask.clusters.settings import DASK_SETTINGS

    env = {k: v for k, v in environment(render(PLAIN), key).items() if k not in DIFFERS}
    assert collect_env(env) == collect_env(DASK_SETTINGS)
    assert env.keys() == DASK_SETTINGS.keys()


def test_pods_and_the_embedded_cluster_have_the_same_flags_of_workers() -> None:
    from aer_dask.clusters.settings import WORKER_FLAGS

    flags = container(render(PLAIN), WORKER)["command"][3:]
    pairs = list(zip(flags[::2], flags[1::2], strict=True))
    same = [word for pair in pairs if pair[0] not in DIFFERS for word in pair]
    assert same == list(WORKER_FLAGS)


def test_a_worker_has_the_name_threads_and_memory_of_its_pod(default: Manifests) -> None:
    command, env = container(default, WORKER)["command"], environment(default, WORKER)
    assert command[command.index("--memory-limit") + 1] == "$(MEMORY_LIMIT)"
    assert command[command.index("--name") + 1] == "$(POD_NAME)"
    assert env["MEMORY_LIMIT"] == {"resourceFieldRef": {"resource": "limits.memory"}}
    assert env["AER_DASK_THREADS"] == {"resourceFieldRef": {"resource": "limits.cpu"}}
    assert env["POD_NAME"] == {"fieldRef": {"fieldPath": "metadata.name"}}


def test_a_worker_is_never_restarted_for_answering_late(default: Manifests) -> None:
    worker = container(default, WORKER)
    assert "livenessProbe" not in worker
    assert set(worker["readinessProbe"]) & {"httpGet", "exec"} == set()


def test_under_an_autoscaler_the_chart_sets_no_number(default: Manifests) -> None:
    assert "replicas" not in default[WORKER]["spec"]


def test_null_replicas_leave_the_number_to_another_autoscaler() -> None:
    manifests = render({}, ROOT / "values" / "examples" / "keda.yaml")
    assert "replicas" not in manifests[WORKER]["spec"]
    assert "HorizontalPodAutoscaler/worker-default" not in manifests
    target = manifests["ScaledObject/worker-default"]["spec"]["scaleTargetRef"]["name"]
    assert target == manifests[WORKER]["metadata"]["name"]


def test_keda_shows_the_token_of_the_secret_that_the_release_has() -> None:
    keda = ROOT / "values" / "examples" / "keda.yaml"
    for own in ({}, {"httpAuth.existingSecret": "mine", "httpAuth.existingSecretKey": "password"}):
        manifests = render(own, keda)
        shown = next(m for m in manifests.values() if m["kind"] == "TriggerAuthentication")
        (reference,) = shown["spec"]["secretTargetRef"]
        (volume,) = [v for v in pods(manifests)[WORKER]["volumes"] if v["name"] == "http"]
        assert reference["name"] == volume["secret"]["secretName"]
        assert reference["key"] == volume["secret"]["items"][0]["key"]


def test_the_number_of_workers_falls_slowly_and_rises_at_once(default: Manifests) -> None:
    behavior = default["HorizontalPodAutoscaler/worker-default"]["spec"]["behavior"]
    assert behavior["scaleDown"]["stabilizationWindowSeconds"] >= 2 * TWO_MINUTES
    assert behavior["scaleUp"]["stabilizationWindowSeconds"] == 0


def test_no_selector_matches_pods_of_another_deployment(everything: Manifests) -> None:
    """Else an autoscaler or a disruption budget would count another's pods."""
    deployments = {k: m for k, m in everything.items() if m["kind"] == "Deployment"}
    for key, deployment in deployments.items():
        selector = deployment["spec"]["selector"]["matchLabels"].items()
        matching = [
            other
            for other, manifest in deployments.items()
            if selector <= manifest["spec"]["template"]["metadata"]["labels"].items()
        ]
        assert matching == [key]


def test_two_releases_in_a_namespace_share_no_name_and_no_selector(default: Manifests) -> None:
    for manifest in default.values():
        assert manifest["metadata"]["name"].startswith("aer-aer-dask")
    for key in ("Deployment/scheduler", "Deployment/jupyter", WORKER):
        labels = default[key]["spec"]["selector"]["matchLabels"]
        assert labels["app.kubernetes.io/instance"] == "aer"


# --- scheduler, Jupyter, tests ---


def test_there_is_never_more_than_one_scheduler(default: Manifests) -> None:
    spec = default["Deployment/scheduler"]["spec"]
    assert (spec["replicas"], spec["strategy"]) == (1, {"type": "Recreate"})


def test_the_scheduler_is_probed_on_health_and_given_two_minutes(default: Manifests) -> None:
    box = container(default, "Deployment/scheduler")
    for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
        assert box[probe]["httpGet"] == {"path": "/health", "port": "http"}
    patience = box["livenessProbe"]["periodSeconds"] * box["livenessProbe"]["failureThreshold"]
    assert patience >= TWO_MINUTES


def test_every_service_and_probe_names_a_port_of_its_container(everything: Manifests) -> None:
    opened = {
        key: {port["name"] for port in container(everything, key).get("ports", [])}
        for key in pods(everything)
    }
    for name in ("scheduler", "jupyter"):
        wanted = {p["targetPort"] for p in everything[f"Service/{name}"]["spec"]["ports"]}
        assert wanted <= opened[f"Deployment/{name}"]
    for key, ports in opened.items():
        probes = [v for k, v in container(everything, key).items() if k.endswith("Probe")]
        wanted = {(p.get("httpGet") or p["tcpSocket"])["port"] for p in probes}
        assert wanted <= ports


def test_jupyter_its_probes_and_its_dashboard_link_have_one_base_url() -> None:
    manifests = render({"jupyter.baseUrl": "/lab/"})
    box = container(manifests, "Deployment/jupyter")
    assert "--ServerApp.base_url=/lab/" in box["command"]
    assert box["startupProbe"]["httpGet"]["path"] == "/lab/api"
    link = environment(manifests, "Deployment/jupyter")["DASK_DISTRIBUTED__DASHBOARD__LINK"]
    assert link == "/lab/proxy/{host}:{port}/status"


def test_jupyter_may_proxy_to_the_scheduler_of_its_release_only(default: Manifests) -> None:
    allowed = '["localhost","127.0.0.1","aer-aer-dask-scheduler"]'
    command = container(default, "Deployment/jupyter")["command"]
    assert f"--ServerProxy.host_allowlist={allowed}" in command


@pytest.mark.parametrize("guards", ["http", "jupyter"])
def test_a_random_token_is_long_and_no_two_are_alike(guards: str) -> None:
    first, second = (
        render({"commonLabels": {"draw": str(i)}})[f"Secret/{guards}"]["stringData"]["token"]
        for i in range(2)
    )
    assert re.fullmatch(r"\w{32,}", first)
    assert first != second


def test_nobody_can_guess_the_token_from_what_restarts_its_pod() -> None:
    """Whoever may read pods could try tokens by the million on a plain hash."""

    def jupyter(token: str, namespace: str) -> str:
        options = ["--namespace", namespace, "--set", f"jupyter.auth.token={token}"]
        done = run_helm("template", "aer", CHART, *options)
        pod = next(
            m
            for m in yaml.safe_load_all(done.stdout)
            if m and m["kind"] == "Deployment" and m["metadata"]["name"].endswith("jupyter")
        )
        return str(pod["spec"]["template"]["metadata"]["annotations"]["checksum/auth"])

    token = "password12345678"
    auth = {"existingSecret": "", "existingSecretKey": "token", "token": token}
    plain = {
        hashlib.sha256(text.encode()).hexdigest()
        for text in (token, json.dumps(auth, separators=(",", ":")))
    }
    assert jupyter(token, "quantum") not in plain
    assert jupyter(token, "quantum") != jupyter(token, "other"), "not salted"
    assert jupyter(token, "quantum") == jupyter(token, "quantum")


def test_the_token_is_written_nowhere_but_in_its_secret() -> None:
    token = "a-token-of-many-letters"
    manifests = render({"jupyter.auth.token": token}, EVERYTHING)
    holders = [key for key, manifest in manifests.items() if token in json.dumps(manifest)]
    assert holders == ["Secret/jupyter"]


def test_a_secret_of_ones_own_is_used_and_none_is_made() -> None:
    manifests = render({"jupyter.auth.existingSecret": "mine", "jupyter.auth.token": "x" * 16})
    assert "Secret/jupyter" not in manifests
    token = environment(manifests, "Deployment/jupyter")["JUPYTER_TOKEN"]
    assert token == {"secretKeyRef": {"name": "mine", "key": "token"}}


def test_an_upgrade_restarts_jupyter_only_when_its_token_is_set_anew() -> None:
    def jupyter(values: Values) -> object:
        template = render(values)["Deployment/jupyter"]["spec"]["template"]
        return template["metadata"]["annotations"]["checksum/auth"]

    assert jupyter({}) == jupyter({"jupyter.persistence.size": "1Gi"})
    assert jupyter({}) != jupyter({"jupyter.auth.token": "x" * 16})
    assert jupyter({"jupyter.auth.token": "y" * 16}) != jupyter({"jupyter.auth.token": "x" * 16})
    assert jupyter({}) != jupyter({"jupyter.auth.existingSecret": "mine"})


def test_helm_test_checks_connection_versions_and_both_smoke_scripts(default: Manifests) -> None:
    tests = {k.removeprefix("Pod/test-") for k, m in default.items() if m["kind"] == "Pod"}
    assert tests == {"connection", "versions", "smoke-array-mean", "smoke-aer-parallel"}
    for test in tests:
        pod = default[f"Pod/test-{test}"]
        assert pod["metadata"]["annotations"]["helm.sh/hook"] == "test"
        assert pod["spec"]["restartPolicy"] == "Never"
        assert pod["spec"]["containers"][0]["image"] == container(default, WORKER)["image"]


def test_a_test_pod_has_no_sidecar_to_wait_for() -> None:
    manifests = render({"pod.sidecars": [{"name": "beside"}]})
    assert len(pods(manifests)["Pod/test-versions"]["containers"]) == 1


def test_the_connection_test_is_valid_python(default: Manifests) -> None:
    python, flag, program = container(default, "Pod/test-connection")["command"]
    assert (python, flag) == ("python", "-c")
    compile(program, "test_connection.py", "exec")


def test_grafana_gets_the_dashboard_as_it_is_in_the_chart(everything: Manifests) -> None:
    found = everything["ConfigMap/dashboard"]["data"]["aer-dask.json"]
    assert json.loads(found) == json.loads((CHART / "dashboards" / "aer-dask.json").read_text())


def test_the_chart_names_no_namespace_of_its_own() -> None:
    for template in (CHART / "templates").rglob("*.yaml"):
        assert not re.search(r"namespace: [a-z]", template.read_text()), template
