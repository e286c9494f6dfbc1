"""The group of a handler's test: its operator, played by the test itself, and its nodes."""

from collections.abc import Iterator

import pytest
from tests.integration.handler_support import Nodes, PlayedOperator

from rendezvous_controlplane import LocalControlPlane


@pytest.fixture
def operator(control_plane: LocalControlPlane, namespace: str) -> PlayedOperator:
    return PlayedOperator(control_plane, namespace)


@pytest.fixture
def nodes(control_plane: LocalControlPlane, namespace: str) -> Iterator[Nodes]:
    made = Nodes(control_plane, namespace)
    yield made
    made.shut_down()
