"""Real clusters: `dask scheduler` and `dask worker` processes, with the pods' preload and flags."""

import dask
import pytest
from distributed import Client

from aer_dask import EmbeddedCluster

# Dask's client notes now and then an identity without workers, where scheduler_info() reads it from
dask.config.set({"distributed.client.scheduler-info-interval": "1h"})


@pytest.fixture(scope="session")
def cluster():
    """Two one-thread workers, for the whole session."""
    with EmbeddedCluster(workers=2) as cluster:
        yield cluster


@pytest.fixture(scope="session")
def client(cluster):
    """A client of :func:`cluster`."""
    with Client(cluster, timeout=120) as client:
        yield client


@pytest.fixture
def own_cluster():
    """Clusters that a test may hurt: a function that starts one with so many workers."""
    started = []

    def start(workers, **options):
        cluster = EmbeddedCluster(workers=workers, **options)
        client = Client(cluster, timeout=120)
        started.extend([cluster, client])
        return client

    yield start
    for each in reversed(started):
        each.close()
