"""Run by the Python of an installation with extras: each has what its part of the package needs."""

import os
import urllib.request

from distributed import LocalCluster

import aer_dask
from aer_dask.store import Store


def get(address: str) -> str:
    """What a page holds."""
    with urllib.request.urlopen(address, timeout=30) as answer:
        return answer.read().decode()


def main() -> None:
    """The dashboard and its metrics; a sentence where there is no Kubernetes; S3 in a store."""
    with LocalCluster(n_workers=0, dashboard_address="127.0.0.1:0") as cluster:
        assert "bokeh" in get(cluster.dashboard_link)
        metrics = cluster.dashboard_link.replace("/status", "/metrics")
        assert "dask_scheduler_workers" in get(metrics)

    os.environ["KUBECONFIG"] = os.path.join(os.getcwd(), "nowhere")
    try:
        aer_dask.HelmCluster("aer", namespace="default")
    except aer_dask.ClusterError as error:
        print(error)
    else:
        raise AssertionError("a release was found where there is no Kubernetes")

    Store("s3://bucket/prefix", key="k", secret="s", endpoint_url="http://127.0.0.1:9")


if __name__ == "__main__":
    main()
