"""How the members of a round find the host of their beats: by a key in the store, also beside earlier releases."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator, Sequence

import pytest
from tests.support.peers import Heartbeats
from tests.support.waiting import wait_until
from torch.distributed import PrefixStore

from rendezvous_api.participant import PeerEvidence
from rendezvous_api.reasons import HostState
from rendezvous_api.rendezvous import Member, Store
from rendezvous_handler.agent.store_port import StorePort
from rendezvous_handler.join.answer import Membership
from rendezvous_handler.peers.host import Host
from rendezvous_handler.torchrun.round_store import RoundStore


class Members:
    """The members of one round, in this process; the first one is the host."""

    def __init__(self, *ports: Sequence[int] | None, fences: Sequence[str] = ()):
        """Bind the port of each store.

        Args:
            ports: for the beats, of each member; an empty one is that of an earlier release, and None has only the port
                of its store.
            fences: of the round, as each member has read it.
        """
        bound = [StorePort("127.0.0.1", [0]) for _ in ports]
        self.store = Store("127.0.0.1", bound[0].port)
        self.bells = [threading.Event() for _ in ports]
        self.all = [
            RoundStore(
                Membership(
                    "uid",
                    1,
                    rank,
                    len(ports),
                    self.store,
                    "run",
                    Member(f"train.{rank}", "abcd1234", 1, rank),
                    fences[rank] if fences else "fence",
                ),
                bound[rank],
                10,
                True,
                self.bells[rank].set,
                [bound[rank].port] if given is None else given,
            )
            for rank, given in enumerate(ports)
        ]

    def check_in(self) -> None:
        for member in self.all:
            member.start_check_in()
        for bell in self.bells:
            assert bell.wait(20)
        assert [member.error for member in self.all] == [None] * len(self.all)

    def key(self) -> bytes:
        """What the store has."""
        return bytes(PrefixStore("rdzv.dev/1/members", self.all[0]._client).compare_set("peers", "", "?"))


@pytest.fixture
def closed() -> Iterator[list[Members]]:
    """Groups that are closed at the end."""
    made: list[Members] = []
    yield made
    for group in made:
        for member in reversed(group.all):
            member.close()


ANY = range(0, 1)


def test_the_members_find_the_host(closed: list[Members]) -> None:
    group = Members(ANY, ANY, ANY)
    closed.append(group)
    group.check_in()
    port = int(group.key())
    assert port != group.store.port
    for member in group.all:
        assert member.peers is not None
        member.peers.start(Heartbeats())
    for member in group.all[1:]:
        peers = member.peers
        assert peers is not None
        wait_until(lambda peers=peers: peers.evidence() == PeerEvidence(HostState.ANSWERS), "an answer", 10)  # type: ignore[misc]
    for member in group.all:
        member.close()
        assert member.peers is not None
        assert member.peers.evidence() is None
    StorePort("127.0.0.1", [port]).close()


def test_an_earlier_release_at_the_host_publishes_none(closed: list[Members]) -> None:
    group = Members((), ANY, ANY)
    closed.append(group)
    group.check_in()
    assert [member.peers for member in group.all] == [None] * 3


def test_a_round_of_one_has_none(closed: list[Members]) -> None:
    group = Members(ANY)
    closed.append(group)
    group.check_in()
    assert group.all[0].peers is None
    assert group.key() == b"?"


def test_the_only_port_is_for_the_store(closed: list[Members], caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "rendezvous_handler")
    group = Members(None, ANY)
    closed.append(group)
    group.check_in()
    assert [member.peers for member in group.all] == [None, None]
    assert "the only port of store_port is that of the store" in caplog.text


def test_a_range_without_a_free_port_costs_nothing_but_the_connections(
    closed: list[Members], caplog: pytest.LogCaptureFixture
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        group = Members([other.getsockname()[1]], ANY)
        closed.append(group)
        group.check_in()
    assert [member.peers for member in group.all] == [None, None]
    assert (
        "there are no connections between the agents of round 1, and a node that is lost is noticed later"
        in caplog.text
    )


def test_the_last_free_port_of_a_range_is_taken(closed: list[Members]) -> None:
    ports = []
    for _ in range(3):
        bound = StorePort("127.0.0.1", [0])
        ports.append(bound.port)
        bound.close()
    group = Members(ports, ANY)
    closed.append(group)
    group.check_in()
    assert int(group.key()) == ports[-1]


def test_a_member_that_has_read_another_round_is_not_taken(closed: list[Members]) -> None:
    group = Members(ANY, ANY, fences=["one", "another"])
    closed.append(group)
    group.check_in()
    host, member = group.all[0].peers, group.all[1].peers
    assert host is not None
    assert member is not None
    host.start(Heartbeats())
    member.start(Heartbeats())
    wait_until(lambda: getattr(member, "_problem", ""), "an answer", 10)
    assert getattr(member, "_problem", "") == "another round is served here"
    evidence = member.evidence()
    assert evidence is not None
    assert evidence.host is HostState.NOT_CONNECTED


def test_a_check_in_that_is_given_up_leaves_nothing_open(closed: list[Members]) -> None:
    group = Members(ANY, ANY)
    closed.append(group)
    host = group.all[0]
    host.start_check_in()
    wait_until(lambda: host.peers, "the host to listen", 10)
    assert isinstance(host.peers, Host)
    port = host.peers.sockets()[0].getsockname()[1]
    host.close()
    StorePort("127.0.0.1", [port]).close()
