"""A Prometheus that scrapes what a test names, and the queries of the chart's dashboard."""

from __future__ import annotations

import json
import re
import subprocess
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .real.processes import free_port
from .waiting import wait_until


@dataclass(frozen=True)
class Target:
    """An address as ``host:port``, the path there, and the labels that its samples get.

    ``how`` has further settings of Prometheus' ``scrape_config``, such as ``authorization``.
    """

    address: str
    path: str = "/metrics"
    labels: dict[str, str] = field(default_factory=dict)
    how: dict[str, Any] = field(default_factory=dict)

    def configuration(self) -> dict[str, Any]:
        """As Prometheus reads it; samples keep labels that are called like those of the target."""
        return {
            "job_name": f"{self.address}{self.path}",
            "honor_labels": True,
            "metrics_path": self.path,
            "static_configs": [{"targets": [self.address], "labels": self.labels}],
            **self.how,
        }


@dataclass(frozen=True)
class Prometheus:
    """The API of one that runs."""

    address: str

    def query(self, expression: str) -> list[dict[str, Any]]:
        """The series that an expression gives now."""
        return self._data("query", query=expression)["result"]

    def label_values(self, metric: str, label: str) -> list[str]:
        """The values of a label of a metric."""
        return self._data(f"label/{label}/values", **{"match[]": metric})

    def ready(self) -> bool:
        """Whether it answers."""
        try:
            return bool(urllib.request.urlopen(f"{self.address}/-/ready", timeout=5))
        except OSError:
            return False

    def _data(self, path: str, **parameters: str) -> Any:
        url = f"{self.address}/api/v1/{path}?{urllib.parse.urlencode(parameters)}"
        try:
            with urllib.request.urlopen(url, timeout=30) as answer:
                return json.load(answer)["data"]
        except urllib.error.HTTPError as error:
            raise AssertionError(f"{parameters}: {error.read().decode()}") from error


@contextmanager
def running(program: Path, folder: Path, targets: list[Target]) -> Iterator[Prometheus]:
    """A Prometheus that scrapes targets every two seconds, and keeps what it finds in a folder."""
    configuration = folder / "prometheus.json"
    scrapes = [target.configuration() for target in targets]
    configuration.write_text(
        json.dumps({"global": {"scrape_interval": "2s"}, "scrape_configs": scrapes})
    )
    where = f"127.0.0.1:{free_port()}"
    command = [program, f"--config.file={configuration}", f"--storage.tsdb.path={folder / 'data'}",
               f"--web.listen-address={where}", "--log.level=warn"]  # fmt: skip
    with subprocess.Popen(command) as process:
        try:
            prometheus = Prometheus(f"http://{where}")
            wait_until(prometheus.ready, "Prometheus is ready")
            yield prometheus
        finally:
            process.kill()


def unanswered(prometheus: Prometheus, dashboard: dict[str, Any], namespace: str) -> set[str]:
    """The variables and panels of a dashboard that show nothing, or not this namespace.

    Args:
        prometheus: that is asked.
        dashboard: as Grafana reads it.
        namespace: that is chosen.
    """
    variables = {v["name"]: v["query"] for v in dashboard["templating"]["list"]}
    found = re.fullmatch(r"label_values\((\w+), (\w+)\)", variables["namespace"])
    assert found
    silent = set() if namespace in prometheus.label_values(*found.groups()) else {"$namespace"}
    for panel in dashboard["panels"]:
        for target in panel["targets"]:
            expression = target["expr"].replace("$namespace", namespace)
            assert "$" not in expression, "a variable that this knows nothing of"
            if not prometheus.query(expression):
                silent.add(f"{panel['title']} {target['refId']}")
    return silent
