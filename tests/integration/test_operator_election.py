"""Two operators stand for one Lease, on a real API server, as the service account of examples/operator-rbac.yaml."""

import time
from pathlib import Path
from typing import Any

import pytest
from tests.integration.operator_support import Group, Operators, Served
from tests.support.api import Api, Json
from tests.support.waiting import wait_until

from rendezvous_controlplane import LocalControlPlane

RBAC = Path(__file__).parents[2] / "examples" / "operator-rbac.yaml"
LEASE = "kube-rendezvous-operator"
HOME = "rdzv-system"
LEADS = "this operator is the leader now"
LEADS_NO_LONGER = "this operator is no longer the leader"
DURATION = 15


class Standing:
    """Operators that stand for the Lease, and the Lease."""

    def __init__(self, control_plane: LocalControlPlane, operators: Operators, group: Group) -> None:
        self._operators = operators
        self.group = group
        control_plane.apply(RBAC)
        self._api = Api(control_plane, HOME)
        self._kubeconfig = control_plane.kubeconfig_with_token(self._api.token(LEASE))
        if self._api.find("Lease", LEASE) is not None:
            self._api.delete("Lease", LEASE)

    def start(self, duration: int = DURATION) -> Served:
        return self._operators.serve(
            f"--namespace={self.group.namespace}",
            "--leader-elect",
            f"--leader-elect-lease-namespace={HOME}",
            f"--leader-elect-lease-duration-seconds={duration}",
            f"--leader-elect-renew-deadline-seconds={duration - 1}",
            "--leader-elect-retry-period-seconds=1",
            kubeconfig=self._kubeconfig,
        )

    def pair(self, duration: int = DURATION) -> tuple[Served, Served]:
        """The leader, and a follower that is ready."""
        first, second = self.start(duration), self.start(duration)
        wait_until(lambda: second.get("/readyz")[0] == 200, "the second operator")
        wait_until(lambda: leads(first) or leads(second), "a leader")
        wait_until(
            lambda: "this operator is not the leader: the Lease" in first.process.log + second.process.log, "a follower"
        )
        return (first, second) if leads(first) else (second, first)

    @property
    def lease(self) -> Json:
        spec: Json = self._api.read("Lease", LEASE)["spec"]
        return spec

    def patch(self, **spec: Any) -> None:
        self._api.patch("Lease", LEASE, {"spec": spec})

    def join(self, attempt: int) -> None:
        for node in ("a", "b"):
            self.group.join(node, attempt)


def leads(operator: Served) -> bool:
    return operator.metrics()["kube_rendezvous_leader"] == 1


def tell_of_rounds(operator: Served) -> int:
    return operator.process.log.count("RoundPublished: ")


def wait_until_told(operator: Served, rounds: int) -> None:
    """The API server shows a round before the operator has read the answer to its write; then it counts and tells."""
    wait_until(lambda: tell_of_rounds(operator) >= rounds, f"word of {rounds} rounds")


@pytest.fixture
def standing(control_plane: LocalControlPlane, operators: Operators, group: Group) -> Standing:
    return Standing(control_plane, operators, group)


def test_one_decides_and_the_other_is_ready_to(standing: Standing) -> None:
    leader, follower = standing.pair()
    standing.group.create()
    standing.join(1)
    standing.group.wait_for_round(1)
    assert not leads(follower)
    wait_until_told(leader, 1)
    assert (tell_of_rounds(leader), tell_of_rounds(follower)) == (1, 0)
    assert follower.get("/livez")[0] == 200

    shown = f'{{namespace="{standing.group.namespace}",rendezvous="train"}}'
    assert leader.metrics()[f"kube_rendezvous_round{shown}"] == 1
    assert not [name for name in follower.metrics() if "rendezvous=" in name], "none is there twice"
    lease = standing.lease
    assert (lease["leaseDurationSeconds"], lease["leaseTransitions"]) == (DURATION, 0)
    assert lease["holderIdentity"] in follower.process.log
    wait_until(lambda: standing.lease["renewTime"] > lease["renewTime"], "a renewal")
    assert standing.lease["acquireTime"] == lease["acquireTime"]

    # A killed leader is followed when its Lease has expired; the follower knows everything already.
    leader.process.kill()
    killed_at = time.monotonic()
    standing.join(2)
    standing.group.wait_for_round(2)
    assert time.monotonic() - killed_at < DURATION + 60
    assert leads(follower)
    assert standing.lease["leaseTransitions"] == 1
    wait_until_told(follower, 1)
    assert follower.metrics()[f"kube_rendezvous_rounds_published_total{shown}"] == 1
    assert "WARNING" not in follower.process.log


def test_a_leader_that_is_told_to_end_hands_over(standing: Standing) -> None:
    leader, follower = standing.pair(duration=60)
    standing.group.create()
    standing.join(1)
    standing.group.wait_for_round(1)
    leader.process.terminate()
    wait_until(lambda: leads(follower), "the other to lead before the Lease would expire", 45)
    assert leader.process.wait() == 0
    assert "is released" in leader.process.log
    assert standing.lease["leaseTransitions"] == 1
    standing.join(2)
    assert standing.group.wait_for_round(2).restarts == 1
    follower.process.terminate()
    assert follower.process.wait() == 0
    assert standing.lease["holderIdentity"] == "", "no other candidate has to wait for it"


def test_a_leader_that_has_lost_the_lease_stops_at_once_and_can_come_back(standing: Standing) -> None:
    operator = standing.start()
    wait_until(lambda: leads(operator), "the leader")
    standing.group.create()
    standing.join(1)
    standing.group.wait_for_round(1)
    standing.patch(holderIdentity="somebody-else", leaseDurationSeconds=60)
    wait_until(lambda: LEADS_NO_LONGER in operator.process.log, "it to notice")
    assert not leads(operator)
    assert f"{HOME}/{LEASE} is held by somebody-else" in operator.process.log
    standing.join(2)
    time.sleep(2)
    assert standing.group.status.waiting_nodes == 0, "it does not decide any more"
    assert operator.get("/readyz")[0] == 200

    standing.patch(holderIdentity="")
    assert standing.group.wait_for_round(2).restarts == 1
    assert leads(operator)
    assert operator.process.log.count(LEADS) == 2


def test_a_leader_that_was_frozen_finds_that_another_leads(standing: Standing) -> None:
    leader, follower = standing.pair()
    standing.group.create()
    standing.join(1)
    standing.group.wait_for_round(1)
    wait_until_told(leader, 1)
    leader.process.freeze()
    wait_until(lambda: leads(follower), "the other to lead")
    standing.join(2)
    standing.group.wait_for_round(2)
    leader.process.thaw()
    wait_until(lambda: LEADS_NO_LONGER in leader.process.log, "it to notice")
    standing.join(3)
    status = standing.group.wait_for_round(3)
    assert [record.reason for record in status.history] == ["WorkerFailed", "WorkerFailed", None]
    wait_until_told(follower, 2)
    assert (tell_of_rounds(leader), tell_of_rounds(follower)) == (1, 2)
    assert not leads(leader)
    assert "Traceback" not in leader.process.log


def test_a_lease_that_cannot_be_had_is_reported(operators: Operators, group: Group) -> None:
    operator = operators.serve(
        f"--namespace={group.namespace}", "--leader-elect", "--leader-elect-lease-namespace=none"
    )
    cause = 'namespaces "none" not found'
    wait_until(lambda: cause in operator.process.log, "the cause")
    time.sleep(3)
    assert operator.process.log.count(cause) == 1, "once is enough"
    assert not leads(operator)
