"""What the tests of this folder share: the group of a handler's test, the operators of the operator's, a store."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from tests.integration.dynamic_support import cluster_of
from tests.integration.handler_support import Nodes, PlayedOperator
from tests.integration.operator_support import Group, Operators

from rendezvous_controlplane import LocalControlPlane
from rendezvous_handler.client import Cluster
from rendezvous_handler.kubernetes_store import KubernetesStore


@pytest.fixture
def operator(control_plane: LocalControlPlane, namespace: str) -> PlayedOperator:
    return PlayedOperator(control_plane, namespace)


@pytest.fixture
def nodes(control_plane: LocalControlPlane, namespace: str) -> Iterator[Nodes]:
    made = Nodes(control_plane, namespace)
    yield made
    made.shut_down()


@pytest.fixture
def operators(control_plane: LocalControlPlane, tmp_path: Path) -> Iterator[Operators]:
    """Starts operator processes; all are ended with the test."""
    operators = Operators(control_plane.kubeconfig, tmp_path)
    yield operators
    for process in operators.started:
        process.thaw()
        process.kill()


@pytest.fixture
def group(control_plane: LocalControlPlane, namespace: str) -> Group:
    """One Rendezvous in a namespace of its own, with participants written by hand."""
    return Group(control_plane, namespace)


@pytest.fixture
def cluster(control_plane: LocalControlPlane) -> Cluster:
    """The API server as an agent sees it."""
    return cluster_of(control_plane.kubeconfig)


@pytest.fixture
def store(cluster: Cluster, namespace: str) -> KubernetesStore:
    return KubernetesStore(cluster, namespace, "keys", timedelta(seconds=20))
