"""What an agent keeps of the Rendezvous that it watches."""

from typing import Any

from rendezvous_api.codec import decode
from rendezvous_api.rendezvous import Rendezvous
from rendezvous_handler.agent.rendezvous_watch import RendezvousWatch, WatchState, only_about
from rendezvous_handler.kube.client import Client


def _member(name: str, rank: int) -> dict[str, Any]:
    return {"name": name, "incarnation": "abcd1234", "attempt": 1, "rank": rank}


def _rendezvous(**status: Any) -> dict[str, Any]:
    metadata = {"name": "train", "namespace": "team", "uid": "uid", "resourceVersion": "7"}
    return {"metadata": metadata, "spec": {"minNodes": 1, "maxNodes": 4}, "status": status}


def test_of_members_and_refusals_only_the_own_ones_are_kept() -> None:
    refusal = {"incarnation": "abcd1234", "attempt": 1, "reason": "RunClosed", "message": "closed"}
    found = _rendezvous(
        round=3,
        nodes=3,
        participants=[_member("train.a", 0), _member("train.b", 1), _member("train.c", 2)],
        spares=["train.d", "train.e"],
        refused=[{"name": "train.b", **refusal}, {"name": "train.f", **refusal}],
        store={"host": "192.0.2.1", "port": 29500},
    )
    status = decode(Rendezvous, only_about(found, "train.b")).status
    assert [(member.name, member.rank) for member in status.participants] == [("train.b", 1)]
    assert [refused.name for refused in status.refused] == ["train.b"]
    # The size of the group, and who waits as a spare, are said by other fields.
    assert (status.nodes, status.round, status.spares) == (3, 3, ("train.d", "train.e"))
    assert len(found["status"]["participants"]) == 3, "what was received is not changed"


def test_a_rendezvous_without_a_status_stays_one() -> None:
    found = {key: value for key, value in _rendezvous().items() if key != "status"}
    assert decode(Rendezvous, only_about(found, "train.a")).status.participants == ()


class _Answers(Client):
    """An API server whose list has one Rendezvous, or none."""

    def __init__(self, found: dict[str, Any] | None, version: int) -> None:
        self.answer = found, str(version)

    def list_rendezvous(self, namespace: str, name: str, timeout: float) -> tuple[dict[str, Any] | None, str]:
        return self.answer


def test_a_list_is_taken_as_it_is_although_its_version_goes_back() -> None:
    """After etcd was restored from a snapshot; each older event of a watch is still ignored."""
    watch = RendezvousWatch(_Answers(_rendezvous(round=2), 7), "team", "train", "train.a", 60, 1.0)
    newer = _rendezvous(round=3)
    newer["metadata"] = {**newer["metadata"], "resourceVersion": "2000"}
    watch._show(newer)
    watch._show(_rendezvous(round=2))
    assert watch.state.rendezvous is not None
    assert watch.state.rendezvous.status.round == 3
    watch._list()
    assert watch.state.rendezvous.status.round == 2
    watch._client = _Answers(None, 7)
    watch._list()
    assert watch.state == WatchState(read=True)
