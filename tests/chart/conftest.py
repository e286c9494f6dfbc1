"""A control plane of its own for the chart's tests: what they install would be in the way of other tests."""

import json
from collections.abc import Iterator

import pytest
from tests.chart.support import (
    COLLECTOR,
    NAMESPACE_CONTROLLER,
    RELEASE,
    SYSTEM,
    install,
    make_pod,
    mutates,
    participant,
    render,
)
from tests.support import objects
from tests.support.api import Api, create_namespace
from tests.support.waiting import wait_until

from rendezvous_api import names
from rendezvous_controlplane import Binaries, ControlPlaneError, LocalControlPlane

_GROUPS = ["system:serviceaccounts", "system:serviceaccounts:kube-system"]


@pytest.fixture(scope="session")
def control_plane(
    control_plane_binaries: Binaries, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[LocalControlPlane]:
    """An API server with the chart in it; no pod runs. In the namespace `agents` there is the Role of agents."""
    users = {COLLECTOR: _GROUPS, NAMESPACE_CONTROLLER: _GROUPS, "ann": [], "adam": []}
    with LocalControlPlane(users=users) as plane:
        for namespace in (SYSTEM, "agents"):
            create_namespace(plane, namespace)
        values = {
            "workers.namespaces": ["agents"],
            "injection.enabled": mutates(plane),
            # Tests of other values have namespaces with this label.
            "injection.namespaceSelector": {"matchExpressions": [{"key": "injected-by", "operator": "DoesNotExist"}]},
            "flowControl.enabled": True,
        }
        install(plane, tmp_path_factory.mktemp("chart"), render(values, release=RELEASE))
        wait_for_policies(plane)
        yield plane


def wait_for_policies(plane: LocalControlPlane) -> None:
    """The API server learns of roles and policies by watches of its own: some time after they were written."""
    agent = make_pod(plane, "agents", "probe", "rendezvous-agent")
    of_another_pod = participant(agent, podUID="0b5c7d5e-64ab-4c47-8b4f-5c6d2f9e9b1a")
    as_agent, as_admin = Api(plane, "agents", agent.kubeconfig), Api(plane, "agents")

    def refused() -> bool:
        try:
            as_agent.create(of_another_pod, dry_run=True)
        except ControlPlaneError as error:
            return f"ValidatingAdmissionPolicy '{RELEASE}-participants.{SYSTEM}'" in str(error)
        return False

    wait_until(refused, "the policy of participants holds")
    labelled = objects.pod("probe-2", metadata={"labels": {names.LABEL_RENDEZVOUS: "train"}})

    def injected() -> bool:
        return "PET_RDZV_BACKEND" in json.dumps(as_admin.create(labelled, dry_run=True))

    if mutates(plane):
        wait_until(injected, "the policy of injection holds")
    as_admin.delete("Pod", "probe", grace_seconds=0)
