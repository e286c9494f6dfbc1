"""A control plane of its own for the chart's tests: what they install would be in the way of other tests."""

from collections.abc import Iterator

import pytest
from tests.chart.support import RELEASE, SYSTEM, install, mutates, render

from rendezvous_controlplane import LocalControlPlane

COLLECTOR = "system:serviceaccount:kube-system:generic-garbage-collector"
NAMESPACE_CONTROLLER = "system:serviceaccount:kube-system:namespace-controller"
_GROUPS = ["system:serviceaccounts", "system:serviceaccounts:kube-system"]


@pytest.fixture(scope="session")
def control_plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalControlPlane]:
    """An API server with the chart in it; no pod runs. In the namespace `agents` there is the Role of agents."""
    users = {COLLECTOR: _GROUPS, NAMESPACE_CONTROLLER: _GROUPS, "ann": [], "adam": []}
    with LocalControlPlane(users=users) as plane:
        for namespace in (SYSTEM, "agents"):
            plane.kubectl("create", "namespace", namespace)
        values = {"workers.namespaces": ["agents"], "injection.enabled": mutates(plane), "flowControl.enabled": True}
        install(plane, tmp_path_factory.mktemp("chart"), render(values, release=RELEASE))
        yield plane
