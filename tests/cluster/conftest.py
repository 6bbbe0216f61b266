"""A node and its clients on a clustered broker: only `make test-cluster` runs this.

To elect a leader after the death of a server takes such a cluster half a minute.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from tests.cluster.nats import Balancer, Cluster, balanced

collect_ignore_glob = [] if os.environ.get("TEST_CLUSTER") else ["test_*.py"]


@pytest.fixture
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Give three servers that have found each other; all are ended with the test."""
    cluster = Cluster(tmp_path_factory.mktemp("cluster"))
    try:
        cluster.start()
        yield cluster
    finally:
        cluster.stop()


@pytest.fixture
def balancer(cluster: Cluster) -> Iterator[Balancer]:
    """Give one address in front of the cluster; connections go to its first server that is up."""
    with balanced(cluster.ports) as balancer:
        yield balancer
