"""Only the leader writes, and only what it has decided in this term."""

import asyncio

import pytest

from rendezvous_api import names
from rendezvous_api.api_errors import ConflictError
from rendezvous_api.meta import ObjectMeta
from rendezvous_api.rendezvous import RendezvousStatus
from rendezvous_operator.core.world import Deletion
from rendezvous_operator.kube.client import Client, Json
from rendezvous_operator.reconcile.fence import Fence, TermOverError
from rendezvous_operator.watch.seen import Key

KEY = Key("ns", "train")
METADATA = ObjectMeta("train", "ns", uid="r-1", resource_version="1")
DELETION = Deletion(names.PARTICIPANT_KIND, "a", "uid-a", "1", "over")


class _Writes(Client):
    """Notes what is written."""

    def __init__(self, error: Exception | None = None) -> None:
        self.error = error
        self.written: list[str] = []

    async def write_status(self, namespace: str, name: str, uid: str, version: str, status: Json) -> Json | None:
        self.written.append(name)
        return None

    async def delete(self, kind: str, namespace: str, name: str, uid: str, resource_version: str) -> bool:
        self.written.append(name)
        if self.error is not None:
            raise self.error
        return True


class _Terms:
    """Of one operator."""

    present: int | None = 2


def test_only_a_leader_decides() -> None:
    assert Fence(_Writes(), lambda: None).enter() is None
    assert Fence(_Writes(), lambda: 1).enter() is not None


@pytest.mark.parametrize("term", [None, 3], ids=["another operator leads", "it leads once more"])
def test_nothing_is_written_that_was_decided_in_another_term(term: int | None) -> None:
    """The process may have been stopped between the decision and its write."""
    client, terms = _Writes(), _Terms()
    fenced = Fence(client, lambda: terms.present).enter()
    assert fenced is not None
    asyncio.run(fenced.write_status(METADATA, RendezvousStatus()))
    assert client.written == ["train"]
    terms.present = term
    with pytest.raises(TermOverError):
        asyncio.run(fenced.write_status(METADATA, RendezvousStatus()))
    with pytest.raises(TermOverError):
        asyncio.run(fenced.delete(KEY, DELETION))
    assert client.written == ["train"]


def test_an_object_that_has_changed_is_kept_and_that_is_no_failure() -> None:
    fenced = Fence(_Writes(ConflictError("changed", "delete", "participants", "ns")), lambda: 1).enter()
    assert fenced is not None
    assert asyncio.run(fenced.delete(KEY, DELETION)), "it exists"
