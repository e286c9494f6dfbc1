"""Handlers whose API server has lost what it knew last: etcd was restored from an earlier state of its data."""

import threading
import time
from pathlib import Path

import pytest
from tests.integration.handler_support import Json, Nodes, PlayedOperator
from tests.support.groups import OWN_CONTROL_PLANE_ALONE
from tests.support.waiting import wait_until

from rendezvous_controlplane import LocalControlPlane
from rendezvous_handler.agent.rendezvous_watch import RendezvousWatch

pytestmark = OWN_CONTROL_PLANE_ALONE

GHOST = {"spec": {"incarnation": "00000000", "attempt": 1, "address": "127.0.0.1", "storePort": 1}}


@pytest.fixture(scope="module")
def control_plane(own_control_plane: LocalControlPlane) -> LocalControlPlane:
    """One whose etcd may be stopped."""
    return own_control_plane


def test_a_round_whose_number_is_given_out_again_is_left(
    control_plane: LocalControlPlane,
    operator: PlayedOperator,
    nodes: Nodes,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Whether the node sees that it was taken back, or only the other round of the same number."""
    operator.create()
    a = nodes.node("a").join()
    members = operator.joined({"train.a": 1})
    control_plane.snapshot(tmp_path / "snapshot")
    operator.publish(members)
    a.returned()
    assert a.handler.num_nodes_waiting() == 0

    again = threading.Event()
    lists = RendezvousWatch._list
    monkeypatch.setattr(RendezvousWatch, "_list", lambda watch: again.wait(60) and lists(watch))
    control_plane.restore(tmp_path / "snapshot")
    assert a.handler.num_nodes_waiting() == 0, "an outage ends no training"
    operator.publish({"train.z": GHOST})
    again.set()
    assert wait_until(a.handler.num_nodes_waiting, "num_nodes_waiting") == 1
    a.join()
    operator.publish(operator.joined({"train.a": 2}), round_number=2)
    assert a.returned().world_size == 1

    control_plane.restore(tmp_path / "snapshot")
    assert wait_until(a.handler.num_nodes_waiting, "num_nodes_waiting") == 1
    a.join()
    operator.publish(operator.joined({"train.a": 3}))
    assert a.returned().world_size == 1
    assert a.handler.num_nodes_waiting() == 0


def is_other(now: dict[str, Json], before: dict[str, Json]) -> dict[str, Json] | None:
    """The members of now, if they are others than before."""
    return now if incarnations(now) != incarnations(before) else None


def incarnations(members: dict[str, Json]) -> list[str]:
    return [member["spec"]["incarnation"] for member in members.values()]


@pytest.mark.parametrize("host", ["a", "another"])
def test_an_agent_takes_its_name_again_that_a_snapshot_gave_to_its_predecessor(
    control_plane: LocalControlPlane, operator: PlayedOperator, nodes: Nodes, tmp_path: Path, host: str
) -> None:
    """The predecessor's object was taken over, or deleted, as that of a pod with other immutable fields."""
    operator.create()
    first = nodes.node("a").join()
    operator.publish(operator.joined({"train.a": 1}))
    first.returned()
    members = operator.joined({"train.a": 1})
    control_plane.snapshot(tmp_path / "snapshot")
    if host == "another":
        operator.delete_participant("train.a")
        time.sleep(1)  # creationTimestamp has whole seconds
    second = nodes.node("a").join()
    successors = wait_until(lambda: is_other(operator.joined({"train.a": 1}), members), "the second agent")
    operator.publish(successors, round_number=2)
    second.returned()

    control_plane.restore(tmp_path / "snapshot")
    assert wait_until(second.handler.num_nodes_waiting, "num_nodes_waiting") == 1
    second.join()
    operator.publish(operator.joined({"train.a": 2}), round_number=2)
    assert second.returned().world_size == 1
