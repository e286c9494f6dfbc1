"""Hosts and members of a round on the loopback, whose seconds are short."""

from __future__ import annotations

import socket
import threading
from typing import Any

import pytest
from tests.support.waiting import wait_until

from rendezvous_api.participant import PeerEvidence
from rendezvous_api.reasons import HostState
from rendezvous_handler.peers import host, member, signs, thread, wire
from rendezvous_handler.peers.host import Host
from rendezvous_handler.peers.member import Member
from rendezvous_handler.peers.thread import Peers

UID, FENCE = "3f0e6bb1-3d0f-4a3c-9d1e-000000000001", "2026-01-01T00:00:00Z.0000000007.0123abcd"
LOOPBACK = "127.0.0.1"
SCALE = 0.25
"""Of all times of the connections."""


def shorten(monkeypatch: pytest.MonkeyPatch, scale: float = SCALE) -> None:
    """Make a beat, and what follows from it, take a quarter of its time."""
    for module, name in [
        (signs, "MISSED_SECONDS"),
        (signs, "REOPEN_SECONDS"),
        (signs, "LEFT_SECONDS"),
        (member, "BEAT_SECONDS"),
        (member, "_CONNECT_SECONDS"),
        (member, "_FIRST_ANSWER_SECONDS"),
        (thread, "PAUSE_SECONDS"),
        (thread, "_TURN_SECONDS"),
        (host, "_JUDGE_SECONDS"),
        (host, "_BATCH_SECONDS"),
    ]:
        monkeypatch.setattr(module, name, getattr(module, name) * scale)


class Heartbeats:
    """Those of an agent: what it is asked for is written down."""

    def __init__(self) -> None:
        self.arrive = True
        self.confirm_seconds = 10.0
        self.asked: list[float] = []
        self.sent: list[PeerEvidence | None] = []
        """What each of them would have said if it had been sent in the same moment."""
        self.peers: Peers | None = None

    def hasten(self, seconds: float) -> None:
        """Count one more."""
        self.sent.append(self.peers.evidence() if self.peers is not None else None)
        self.asked.append(seconds)


def peer(rank: int, nodes: int, fence: str = FENCE) -> wire.PeerRound:
    """A member of the round."""
    return wire.PeerRound(UID, fence, rank, nodes)


def listener(address: str = LOOPBACK, port: int = 0) -> socket.socket:
    """A bound socket that does not listen yet."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    bound = socket.socket(family, socket.SOCK_STREAM)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    bound.bind((address, port))
    return bound


class Round:
    """A host and its members, all in this process."""

    def __init__(self, nodes: int, address: str = LOOPBACK) -> None:
        bound = listener(address)
        self.nodes, self.address, self.port = nodes, address, int(bound.getsockname()[1])
        self.heartbeats = Heartbeats()
        self.host = Host(peer(0, nodes), bound)
        self.heartbeats.peers = self.host
        self.members: dict[int, Member] = {}
        self.heartbeats_of: dict[int, Heartbeats] = {}

    def start(self, *ranks: int) -> Round:
        """Start the host, and these members; without any, all of them."""
        self.host.start(self.heartbeats)
        for rank in ranks or range(1, self.nodes):
            self.connect(rank)
        return self

    def connect(self, rank: int, port: int | None = None) -> Member:
        """Start a member."""
        self.members[rank] = Member(peer(rank, self.nodes), self.address, port or self.port)
        self.heartbeats_of[rank] = Heartbeats()
        self.heartbeats_of[rank].peers = self.members[rank]
        self.members[rank].start(self.heartbeats_of[rank])
        return self.members[rank]

    def report(self) -> Any:
        """What the host's heartbeat says of the others; None: nothing."""
        evidence = self.host.evidence()
        return None if evidence is None else evidence.report

    def state(self, rank: int) -> Any:
        """What a member says of the host; None: nothing."""
        evidence = self.members[rank].evidence()
        return None if evidence is None else evidence.host

    def await_connected(self) -> None:
        """Wait until the host has a beat of each member, and each member an answer."""
        wait_until(lambda: self.report() is not None and not self.report().not_connected, "beats of all", 10)
        wait_until(lambda: all(self.state(rank) is HostState.ANSWERS for rank in self.members), "answers", 10)

    def stop(self) -> None:
        """End all."""
        for each in (*self.members.values(), self.host):
            each.stop()

    def __enter__(self) -> Round:
        return self

    def __exit__(self, *exception: object) -> None:
        self.stop()


def raw(port: int, *lines: bytes) -> socket.socket:
    """A connection of a stranger that has sent these."""
    connected = socket.create_connection((LOOPBACK, port), timeout=10)
    connected.sendall(b"".join(lines))
    return connected


def kill(each: Host | Member) -> None:
    """End the thread and close its sockets without a farewell, as the kernel does when a process is killed."""
    each.end = lambda last_words: None  # type: ignore[method-assign]
    each.stop()


def threads() -> list[str]:
    """The names of those that connections have."""
    return [found.name for found in threading.enumerate() if found.name.startswith("rendezvous-peers")]
