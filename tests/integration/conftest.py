"""What the tests of this folder share: the group of a handler's test, the operators of the operator's, a store.

Fixtures import what needs torch. pytest-xdist reads this file in a process that runs no test, before its workers start.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.integration.access_support import Kubeconfig
from tests.integration.operator_support import Group, Operators
from tests.support.certificates import WithoutIdentifiers
from tests.support.connect_proxy import ConnectProxy
from tests.support.operatorless import client_of

from rendezvous_controlplane import Binaries, LocalControlPlane
from rendezvous_handler.kube.client import Client

if TYPE_CHECKING:
    from tests.integration.handler_support import Nodes, PlayedOperator

    from rendezvous_handler.operatorless.store import KubernetesStore


@pytest.fixture(scope="session")
def without_identifiers(tmp_path_factory: pytest.TempPathFactory) -> WithoutIdentifiers:
    """The certificates that the API server has for those who call it localhost."""
    return WithoutIdentifiers(tmp_path_factory.mktemp("certificates"), "localhost")


@pytest.fixture(scope="session")
def control_plane(
    control_plane_binaries: Binaries,
    control_plane_manifests: Sequence[Path | str],
    without_identifiers: WithoutIdentifiers,
) -> Iterator[LocalControlPlane]:
    """One with users that have no rights of their own."""
    users = {"alice": ["team-a", "team-b"], "nobody": (), "reader": ("readers",)}
    sni = f"--tls-sni-cert-key={without_identifiers.certificate},{without_identifiers.key}:localhost"
    with LocalControlPlane(users=users, apiserver_args=[sni]) as plane:
        plane.apply(control_plane_manifests)
        yield plane


@pytest.fixture
def operator(control_plane: LocalControlPlane, namespace: str) -> PlayedOperator:
    from tests.integration.handler_support import PlayedOperator

    return PlayedOperator(control_plane, namespace)


@pytest.fixture
def nodes(control_plane: LocalControlPlane, namespace: str) -> Iterator[Nodes]:
    from tests.integration.handler_support import Nodes

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
def client(control_plane: LocalControlPlane) -> Client:
    """The API server as an agent sees it."""
    return client_of(control_plane.kubeconfig)


@pytest.fixture
def store(client: Client, namespace: str) -> KubernetesStore:
    from rendezvous_handler.operatorless.store import KubernetesStore

    return KubernetesStore(client, namespace, "keys", timedelta(seconds=20))


@pytest.fixture
def kubeconfig(control_plane: LocalControlPlane, tmp_path: Path) -> Kubeconfig:
    return Kubeconfig(control_plane, tmp_path / "kubeconfig")


@pytest.fixture
def proxy(control_plane: LocalControlPlane) -> Iterator[ConnectProxy]:
    with ConnectProxy(control_plane.port) as server:
        yield server
