"""Handlers whose API server has lost what it knew last: etcd was restored from an earlier state of its data."""

import shutil
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.integration.handler_support import Nodes, PlayedOperator
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


class Snapshots:
    """The data of etcd, taken and brought back while both servers are stopped."""

    def __init__(self, plane: LocalControlPlane, folder: Path) -> None:
        self._plane = plane
        self._data = plane.data_dir / "etcd"
        self._copy = folder / "etcd"

    def take(self) -> None:
        self._while_stopped(lambda: shutil.copytree(self._data, self._copy))

    def restore(self) -> None:
        self._while_stopped(self._bring_back)

    def _bring_back(self) -> None:
        shutil.rmtree(self._data)
        shutil.copytree(self._copy, self._data)

    def _while_stopped(self, act: Callable[[], object]) -> None:
        self._plane.stop_apiserver()
        etcd = self._plane._etcd
        assert etcd is not None
        etcd.stop()
        act()
        self._plane._start_etcd()
        self._plane.start_apiserver()


@pytest.fixture
def snapshots(control_plane: LocalControlPlane, tmp_path: Path) -> Snapshots:
    return Snapshots(control_plane, tmp_path)


def test_a_round_whose_number_is_given_out_again_is_left(
    operator: PlayedOperator, nodes: Nodes, snapshots: Snapshots, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whether the node sees that it was taken back, or only the other round of the same number."""
    operator.create()
    a = nodes.node("a").join()
    members = operator.joined({"train.a": 1})
    snapshots.take()
    operator.publish(members)
    a.returned()
    assert a.handler.num_nodes_waiting() == 0

    again = threading.Event()
    lists = RendezvousWatch._list
    monkeypatch.setattr(RendezvousWatch, "_list", lambda watch: again.wait(60) and lists(watch))
    snapshots.restore()
    assert a.handler.num_nodes_waiting() == 0, "an outage ends no training"
    operator.publish({"train.z": GHOST})
    again.set()
    assert wait_until(a.handler.num_nodes_waiting, "num_nodes_waiting") == 1
    a.join()
    operator.publish(operator.joined({"train.a": 2}), round_number=2)
    assert a.returned().world_size == 1

    snapshots.restore()
    assert wait_until(a.handler.num_nodes_waiting, "num_nodes_waiting") == 1
    a.join()
    operator.publish(operator.joined({"train.a": 3}))
    assert a.returned().world_size == 1
    assert a.handler.num_nodes_waiting() == 0
