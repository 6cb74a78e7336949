"""Versions agree, every values file lints and fits, and the notes give exact commands."""

from __future__ import annotations

import re
import shutil
import tomllib
from importlib.metadata import version
from itertools import chain
from pathlib import Path

import yaml
from packaging.requirements import Requirement
from packaging.version import Version

from .rendering import (
    CHART,
    EVERYTHING,
    MINIKUBE_ROOM,
    ROOT,
    VERSION,
    Manifests,
    Values,
    pods,
    quantity,
    render,
    run_helm,
    text,
)

VALUES_FILES = [*sorted((ROOT / "values").rglob("*.yaml")), EVERYTHING]
WORKERS = 2
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def test_package_chart_and_images_have_one_version(everything: Manifests) -> None:
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    images = {box["image"] for pod in pods(everything).values() for box in pod["containers"]}
    assert PROJECT["version"] == version("aer-dask") == chart["appVersion"]
    assert {image.rsplit(":", 1)[1] for image in images} == {PROJECT["version"]}


def test_the_lock_has_every_package_at_a_version_the_project_accepts() -> None:
    lock = (ROOT / "requirements.lock").read_text()
    pins = dict(re.findall(r"^([\w.-]+)==([^\s;\\]+)", lock, re.M))
    groups = [PROJECT["dependencies"], *PROJECT["optional-dependencies"].values()]
    for requirement in map(Requirement, chain.from_iterable(groups)):
        if requirement.name != PROJECT["name"]:
            assert Version(pins[requirement.name]) in requirement.specifier, requirement


def test_there_are_values_for_every_kind_of_cluster() -> None:
    files = {file.stem for file in (ROOT / "values").glob("*.yaml")}
    assert files == {"minikube", "eks", "kops", "onprem", "gpu", "restricted"}


def test_the_readme_of_the_chart_lists_every_values_file() -> None:
    readme = (CHART / "README.md").read_text()
    for file in (ROOT / "values").rglob("*.yaml"):
        assert f"`{file.relative_to(ROOT / 'values')}`" in readme


def test_minikube_has_room_for_scheduler_two_workers_jupyter_and_a_test() -> None:
    manifests = render({}, ROOT / "values" / "minikube.yaml")
    assert manifests["Deployment/worker-default"]["spec"]["replicas"] == WORKERS
    copies = {
        "Deployment/scheduler": 1,
        "Deployment/worker-default": WORKERS,
        "Deployment/jupyter": 1,
        "Pod/test-versions": 1,
    }
    for resource, room in MINIKUBE_ROOM.items():
        asked = sum(
            quantity(pods(manifests)[key]["containers"][0]["resources"]["requests"][resource]) * n
            for key, n in copies.items()
        )
        assert asked <= room, f"{resource}: {asked} of {room}"


def test_restricted_values_give_every_container_limits_as_a_quota_demands() -> None:
    for key, pod in pods(render({}, ROOT / "values" / "restricted.yaml")).items():
        for box in pod["containers"]:
            assert {"cpu", "memory"} <= box["resources"]["limits"].keys(), key


def test_gpu_values_add_a_group_that_asks_for_a_gpu() -> None:
    manifests = render({}, ROOT / "values" / "gpu.yaml")
    gpu = pods(manifests)["Deployment/worker-gpu"]["containers"][0]
    assert gpu["image"] == f"aer-dask-gpu:{PROJECT['version']}"
    assert gpu["resources"]["limits"]["nvidia.com/gpu"] == 1
    assert "Deployment/worker-default" in manifests


def test_no_values_file_keeps_a_node_from_being_drained() -> None:
    """kOps and every upgrade of nodes wait for a budget of zero until they fail."""
    for file in (ROOT / "values").rglob("*.yaml"):
        for key, manifest in render({}, file).items():
            if manifest["kind"] == "PodDisruptionBudget":
                assert manifest["spec"]["maxUnavailable"] not in (0, "0%"), f"{file.name}: {key}"


def test_no_file_says_that_a_scheduler_takes_its_jobs_with_it() -> None:
    """Clients take their jobs to the scheduler that comes after it."""
    for file in [CHART / "values.yaml", CHART / "README.md", *(ROOT / "values").rglob("*.yaml")]:
        words = re.sub(r"[\s#]+", " ", file.read_text())
        assert not re.search(r"loses all (running )?jobs", words), file


def test_no_values_file_holds_a_secret() -> None:
    for file in VALUES_FILES:
        assert not re.search(r"(?i)^\s*(token|password):\s*\S", file.read_text(), re.M), file


# --- names and labels ---


def test_labels_are_valid_for_a_version_with_build_metadata(tmp_path: Path) -> None:
    chart = shutil.copytree(CHART, tmp_path / "chart")
    about = (chart / "Chart.yaml").read_text()
    (chart / "Chart.yaml").write_text(about.replace(f"ersion: {VERSION}", f"ersion: {VERSION}+b.5"))
    values: Values = {"image.tag": VERSION}
    for manifest in yaml.safe_load_all(text(values, EVERYTHING, chart=chart)):
        labels = (manifest or {"metadata": {}})["metadata"].get("labels", {})
        for label, value in labels.items():
            assert re.fullmatch(r"([A-Za-z0-9]([-\w.]{0,61}[A-Za-z0-9])?)?", value), label


def test_releases_whose_names_differ_only_at_the_end_share_no_name() -> None:
    def names(release: str) -> set[str]:
        done = run_helm("template", release, CHART, "--set", "nameOverride=a-long-name-of-its-own")
        return {m["metadata"]["name"] for m in yaml.safe_load_all(done.stdout) if m}

    first, second = names("a" * 50 + "one"), names("a" * 50 + "two")
    assert first
    assert not first & second
    services = [name for name in first if name.endswith("-scheduler")]
    assert services
    assert all(len(name) <= 63 and "--" not in name for name in services)


# --- NOTES.txt ---


def notes(tmp_path: Path, values: Values | None = None) -> str:
    """NOTES.txt as `helm install` would print it, which `helm template` does not show."""
    chart = shutil.copytree(CHART, tmp_path / "chart", dirs_exist_ok=True)
    (chart / "NOTES.txt").write_text((CHART / "templates" / "NOTES.txt").read_text())
    notes = '{{ tpl (.Files.Get "NOTES.txt") . | toJson }}'
    (chart / "templates" / "NOTES.txt").unlink()
    (chart / "templates" / "notes.yaml").write_text(f"kind: Notes\ntext: {notes}\n")
    manifests = yaml.safe_load_all(text(values, chart=chart))
    return next(str(m["text"]) for m in manifests if m and m["kind"] == "Notes")


def test_the_notes_are_commands_for_this_release(tmp_path: Path) -> None:
    said = notes(tmp_path)
    for command in (
        "kubectl -n quantum rollout status deployment -l app.kubernetes.io/instance=aer",
        "helm -n quantum test aer",
        "kubectl -n quantum port-forward service/aer-aer-dask-jupyter 8888:80",
        "kubectl -n quantum get secret aer-aer-dask-jupyter -o jsonpath='{.data.token}' | base64",
        "helm -n quantum uninstall aer",
    ):
        assert command in said


def test_the_notes_never_show_the_token(tmp_path: Path) -> None:
    token = "a-token-of-many-letters"
    assert token not in notes(tmp_path, {"jupyter.auth.token": token})


def test_the_notes_give_the_address_that_the_ingress_serves(tmp_path: Path) -> None:
    ingress = {"enabled": True, "host": "aer.example.com", "tlsSecret": "tls"}
    said = notes(tmp_path, {"jupyter.ingress": ingress, "jupyter.baseUrl": "/lab/"})
    assert "JupyterLab is at https://aer.example.com/lab/" in said


def test_the_notes_say_how_to_connect_by_tls(tmp_path: Path) -> None:
    said = notes(tmp_path, {"tls.mode": "generated"})
    for name in ("ca.crt", "tls.crt", "tls.key"):
        path = "'{.data." + name.replace(".", r"\.") + "}'"
        assert f"get secret aer-aer-dask-tls -o jsonpath={path} | base64 -d > {name}" in said
    assert said.index("umask 077") < said.index("base64 -d > tls.key"), "else all may read it"
    assert "tls://localhost:8786" in said
    assert "tcp://" not in said


def test_the_notes_say_which_volumes_an_uninstall_takes_along(tmp_path: Path) -> None:
    stored: Values = {"store.persistence.enabled": True}
    assert "removes all of it, notebooks included:" in notes(tmp_path)
    said = notes(tmp_path, stored)
    assert "removes all of it, notebooks included:" in said
    assert "The volume of results stays" in said
    assert "kubectl -n quantum delete pvc aer-aer-dask-store" in said
    keep = "helm.sh/resource-policy"
    (claim,) = [m for key, m in render(stored).items() if key == "PersistentVolumeClaim/store"]
    assert claim["metadata"]["annotations"] == {keep: "keep"}
    gone = notes(tmp_path, stored | {"store.persistence.annotations": {keep: None}})
    assert "removes all of it, notebooks and results included:" in gone
    kept = notes(tmp_path, stored | {"jupyter.persistence.annotations": {keep: "keep"}})
    assert "removes all of it:" in kept
    assert "The volume of notebooks and results stays" in kept
    assert "delete pvc aer-aer-dask-jupyter" in kept
    own = {"store.persistence.existingClaim": "mine", "jupyter.persistence.existingClaim": "mine"}
    assert "delete pvc" not in notes(tmp_path, stored | own)


def test_without_jupyter_the_notes_do_not_speak_of_it(tmp_path: Path) -> None:
    assert "upyter" not in notes(tmp_path, {"jupyter.enabled": False})
