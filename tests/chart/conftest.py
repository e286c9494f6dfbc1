"""A control plane of its own for the chart's tests: what they install would be in the way of other tests."""

import json
from collections.abc import Iterator

import pytest
from tests.chart.support import RELEASE, SYSTEM, install, make_pod, mutates, participant, render
from tests.waiting import wait_until

from rendezvous_api import names
from rendezvous_controlplane import ControlPlaneError, LocalControlPlane

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
        wait_for_policies(plane)
        yield plane


def wait_for_policies(plane: LocalControlPlane) -> None:
    """The API server learns of roles and policies by watches of its own: some time after they were written."""
    agent = make_pod(plane, "agents", "probe", "rendezvous-agent")
    of_another_pod = json.dumps(participant(agent, podUID="0b5c7d5e-64ab-4c47-8b4f-5c6d2f9e9b1a"))

    def refused() -> bool:
        try:
            plane.kubectl("create", "--dry-run=server", "-f", "-", input=of_another_pod, kubeconfig=agent.kubeconfig)
        except ControlPlaneError as error:
            return f"ValidatingAdmissionPolicy '{RELEASE}-participants.{SYSTEM}'" in str(error)
        return False

    wait_until(refused, "the policy of participants holds")
    labelled = f"--labels={names.LABEL_RENDEZVOUS}=train"

    def injected() -> bool:
        dry = ("run", "probe-2", "--image=none", labelled, "--dry-run=server", "--output=json")
        return "PET_RDZV_BACKEND" in plane.kubectl("--namespace=agents", *dry)

    if mutates(plane):
        wait_until(injected, "the policy of injection holds")
    plane.kubectl("--namespace=agents", "delete", "pod", "probe", "--grace-period=0", "--force")
