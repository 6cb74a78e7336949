"""A release of the chart from the command line, as aer-dask or python -m aer_dask.

    aer-dask --release aer --namespace quantum status
    aer-dask --release aer --namespace quantum scale 3

In a notebook's terminal the release need not be named. And the results in a store:

    aer-dask store list file:///data/aer
    aer-dask store prune s3://bucket/prefix --older-than 30d --size 10GB
"""

from __future__ import annotations

import argparse
import signal
from collections.abc import Callable, Sequence
from typing import Any

from distributed import Client

from .clusters.helm import HelmCluster
from .errors import AerDaskError


def main(arguments: Sequence[str] | None = None) -> None:
    """Do what the command line says; exit with a sentence where that cannot be done."""
    words = _parser().parse_args(arguments)
    command: Callable[[argparse.Namespace], None] = words.command
    try:
        command(words)
    except (AerDaskError, ValueError) as error:
        raise SystemExit(str(error)) from error


def _cluster(words: argparse.Namespace) -> HelmCluster:
    return HelmCluster(words.release, words.namespace, words.context, timeout=words.timeout)


def _list(words: argparse.Namespace) -> None:
    for name, namespace, version, workers in HelmCluster.list(words.namespace, words.context):
        print(f"{name} in {namespace}, version {version}, for {workers} workers")


def _status(words: argparse.Namespace) -> None:
    with _cluster(words) as cluster:
        print(cluster)
        workers = cluster.sync(cluster.scheduler_comm.identity)["workers"]
        for address, worker in sorted(workers.items()):
            tasks = worker["metrics"].get("task_counts", {})
            running = ", ".join(f"{count} {state}" for state, count in tasks.items()) or "idle"
            print(f"{worker['name']} at {address}: {worker['nthreads']} thread, {running}")
        if warning := cluster.certificate_warning:
            print(warning)


def _scale(words: argparse.Namespace) -> None:
    if words.wait and words.group:
        raise ValueError("--wait counts the workers of all groups: leave --group or --wait out.")
    with _cluster(words) as cluster:
        cluster.scale(words.workers, words.group)
        if words.wait and words.workers:
            cluster.wait_for_workers(words.workers, words.timeout)


def _adapt(words: argparse.Namespace) -> None:
    with _cluster(words) as cluster:
        cluster.adapt(words.minimum, words.maximum, enabled=not words.off, worker_group=words.group)


def _logs(words: argparse.Namespace) -> None:
    with _cluster(words) as cluster:
        for name, log in cluster.get_logs(cluster=False).items():
            print(f"--- {name}", log, sep="\n")


def _dashboard(words: argparse.Namespace) -> None:
    with _cluster(words) as cluster:
        print(cluster.dashboard_link, flush=True)
        signal.sigwait({signal.SIGINT, signal.SIGTERM})


def _smoke_test(words: argparse.Namespace) -> None:
    from . import smoke  # imports Qiskit

    with _cluster(words) as cluster, Client(cluster) as client:
        smoke.run(client, list(smoke.CHECKS), words.timeout)


def _store_list(words: argparse.Namespace) -> None:
    from .store.entries import Entries  # imports Qiskit
    from .store.location import Store

    entries = Entries(Store.of(words.url))
    for record in entries.records(entries.jobs()):
        how = record.ended or ("running" if record.is_running else "its client died")
        print(
            f"{record.job_id} of {record.created:%Y-%m-%d %H:%M}, {how}, "
            f"{record.circuits} circuits, {record.shots} shots, run {record.address[:16]}"
        )


def _store_prune(words: argparse.Namespace) -> None:
    from .store import prune  # imports Qiskit

    if words.older_than is None and words.size is None:
        raise ValueError("Say which runs are to go: --older-than 30d, --size 10GB, or both.")
    removed = prune(words.url, older_than=words.older_than, size=words.size)
    for run in removed:
        used = f"{run.used:%Y-%m-%d %H:%M}"
        print(f"run {run.address[:16]}, last used {used}, {run.size:,} bytes")
    print(f"{len(removed)} runs were removed, {sum(run.size for run in removed):,} bytes.")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="aer-dask", description=__doc__.split("\n")[0])
    parser.add_argument("--release", help="name; default, in a notebook, its own release")
    parser.add_argument("--namespace", help="default: that of the kube context")
    parser.add_argument("--context", help="of the kubeconfig; default: the current one")
    parser.add_argument("--timeout", type=float, default=120, help="seconds to wait; default 120")
    commands = parser.add_subparsers(required=True)

    def add(name: str, command: Callable[[argparse.Namespace], None], text: str):  # type: ignore[no-untyped-def]
        made = commands.add_parser(name, help=text, description=text)
        made.set_defaults(command=command)
        return made

    add("list", _list, "name the releases of all namespaces, or of one")
    add("status", _status, "say which workers there are, and what they do")
    scale = add("scale", _scale, "have so many workers from now on")
    scale.add_argument("workers", type=int)
    scale.add_argument("--wait", action="store_true", help="until they have come")
    adapt = add("adapt", _adapt, "have an autoscaler set the number of workers")
    adapt.add_argument("minimum", type=int, nargs="?", default=1)
    adapt.add_argument("maximum", type=int, nargs="?", default=10)
    adapt.add_argument("--off", action="store_true", help="take the autoscaler off")
    for each in (scale, adapt):
        each.add_argument("--group", help="of workers; needed where there are several")
    add("logs", _logs, "print what scheduler and workers have said")
    add("dashboard", _dashboard, "forward the dashboard, print its address, and stay until Ctrl-C")
    text = "have two workers or more compute an array's mean and simulate, and compare every bit"
    add("smoke-test", _smoke_test, text)
    _add_store(commands)
    return parser


def _add_store(commands: Any) -> None:
    text = "list the jobs in a store of results, or remove old runs"
    store = commands.add_parser("store", help=text, description=text).add_subparsers(required=True)
    jobs = store.add_parser("list", help="name the jobs, the newest first")
    jobs.set_defaults(command=_store_list)
    old = store.add_parser("prune", help="remove runs, the least recently used ones first")
    old.set_defaults(command=_store_prune)
    old.add_argument("--older-than", help="those not used for so long, such as 12h or 30d")
    old.add_argument("--size", help="until the others take no more, such as 10GB")
    for each in (jobs, old):
        each.add_argument("url", help="such as file:///data/aer or s3://bucket/prefix, or a folder")


if __name__ == "__main__":
    main()
