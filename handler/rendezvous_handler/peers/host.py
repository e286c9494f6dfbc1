"""The host of a round, the agent of rank 0: it takes the beats of all other members."""

from __future__ import annotations

import contextlib
import logging
import selectors
import socket
import time

from rendezvous_api.participant import PeerEvidence, PeerReport
from rendezvous_handler.peers import wire
from rendezvous_handler.peers.connection import Connection, EndedError
from rendezvous_handler.peers.haste import HostHaste
from rendezvous_handler.peers.judge import Judge
from rendezvous_handler.peers.thread import CLOSED_BY_PEER, TOO_FEW, PeerThread

_logger = logging.getLogger(__name__)

_HELLO_SECONDS = 5.0
"""A connection that has not said by then who it is, is closed."""
_STRANGERS = 256
"""The most connections that have not said yet who they are; the oldest is closed for a newer one."""
_ACCEPTS = 64
"""In one turn, so that the beats do not wait."""
_ACCEPT_PAUSE_SECONDS = 1.0
"""When there is no file descriptor left."""
_JUDGE_SECONDS = 0.5
"""The longest time from one report to the next."""
_BATCH_SECONDS = 0.02
"""Beats that come within this time are read in one turn: each turn costs as much as a beat."""


class _Guest(Connection):
    """A connection to the host."""

    def __init__(self, sock: socket.socket, now: float):
        super().__init__(sock, wire.LONGEST_FROM_MEMBER)
        self.since = now
        self.rank: int | None = None
        """None: it has not said yet who it is."""
        self.number: int | None = None
        """Of the report that it was sent last."""
        self.is_open = True


class Host(PeerThread):
    """Listens from the beginning, and serves from `start` on. What is not said here is said at `PeerThread`."""

    def __init__(self, peer: wire.PeerRound, listener: socket.socket):
        """Listen.

        Args:
            peer: which round it is.
            listener: bound; it belongs to this object from now on.

        Raises:
            OSError: it is not possible to listen.
        """
        super().__init__("rendezvous-peers-host")
        self._peer = peer
        self._listener = listener
        self._strangers: dict[_Guest, None] = {}
        """In the order in which they have come."""
        self._members: dict[int, _Guest] = {}
        self._judge = Judge(peer.nodes)
        self._haste = HostHaste()
        self._report: PeerReport | None = None
        self._accused: frozenset[int] = frozenset()
        self._accusers: tuple[int, ...] = ()
        self._judge_at = float("-inf")
        self._passes_on: int | None = None
        self._answers: tuple[bytes, bytes] = (b"", b"")
        """With the report, and without it."""
        self._accepts_at: float | None = None
        """Then connections are accepted again; None: they are now."""
        self._warned = False
        listener.setblocking(False)
        listener.listen(peer.nodes + _STRANGERS)

    def begin(self, now: float) -> None:
        """Accept connections."""
        self.selector.register(self._listener, selectors.EVENT_READ, self._listener)
        self._decide(now)

    def next_turn(self, now: float) -> float:
        """When the report is due, or a connection may be accepted again."""
        return self._judge_at if self._accepts_at is None else min(self._judge_at, self._accepts_at)

    def paused(self, now: float, seconds: float) -> None:
        """Every member gets three beats again."""
        self._judge.paused(now, seconds)
        self._judge_at = now

    def ready(self, data: object, mask: int, now: float) -> None:
        """Accept, or read what a connection says."""
        if not isinstance(data, _Guest):
            self._accept(now)
        elif data.is_open:
            try:
                if mask & selectors.EVENT_WRITE:
                    data.flush()
                    self.watch(data)
                if mask & selectors.EVENT_READ:
                    self._read(data, now)
            except wire.WireError as error:
                self._drop(data, wire.refusal(str(error)))
            except EndedError:
                self._closed(data, now)
            except OSError as error:
                if error.errno in CLOSED_BY_PEER:
                    self._closed(data, now)
                else:
                    self._drop(data)

    def turn(self, now: float) -> PeerEvidence | None:
        """Judge, if there is a reason."""
        if self._accepts_at is not None:
            self._judge.cannot_accept(now)
            if now >= self._accepts_at:
                self._accepts_at = None
                self.selector.register(self._listener, selectors.EVENT_READ, self._listener)
        while self._strangers and (first := next(iter(self._strangers))).since + _HELLO_SECONDS < now:
            self._drop(first)
        if now >= self._judge_at:
            self._decide(now)
        return None if self._report is None else PeerEvidence(report=self._report)

    def hurry(self, now: float) -> None:
        """Ask for a heartbeat because of the report, if that is due; then let the next beats gather for a moment."""
        if self._haste.is_due(now, self._report, self.heartbeats.confirm_seconds, self._accusers):
            self.heartbeats.hasten(0.0)
        time.sleep(_BATCH_SECONDS)

    def end(self, last_words: bytes) -> None:
        """Free the port first: it may be needed for the next round at once."""
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for guest in (*self._strangers, *self._members.values()):
            guest.end(last_words if guest.rank is not None else b"")

    def sockets(self) -> tuple[socket.socket, ...]:
        """The listener, and all connections."""
        return (self._listener, *(guest.socket for guest in (*self._strangers, *self._members.values())))

    def _decide(self, now: float) -> None:
        report = self._judge.report(now)
        passes_on = self._judge.passes_on(now, self.heartbeats.arrive)
        self._accusers = self._judge.accusers(now)
        if not self._answers[0] or report != self._report or passes_on != self._passes_on:
            self._report, self._passes_on = report, passes_on
            self._accused = frozenset()
            number = 0
            if report is not None:
                self._accused = report.accused
                number = report.number
            self._answers = (
                wire.answer(wire.Answer(number, passes_on, report)),
                wire.answer(wire.Answer(number, passes_on, None)),
            )
        changes_at = self._judge.changes_at(now)
        self._judge_at = min(now + _JUDGE_SECONDS, now + _JUDGE_SECONDS if changes_at is None else changes_at)

    def _accept(self, now: float) -> None:
        for _ in range(_ACCEPTS):
            try:
                sock, _ = self._listener.accept()
            except (BlockingIOError, InterruptedError):
                return
            except OSError as error:
                if error.errno in TOO_FEW:
                    self._stop_accepting(error, now)
                    return
                continue  # it was closed before it was accepted
            guest = _Guest(sock, now)
            self._strangers[guest] = None
            self.selector.register(sock, selectors.EVENT_READ, guest)
            if len(self._strangers) > _STRANGERS:
                self._drop(next(iter(self._strangers)))

    def _stop_accepting(self, error: OSError, now: float) -> None:
        self._accepts_at = now + _ACCEPT_PAUSE_SECONDS
        self.selector.unregister(self._listener)
        if not self._warned:
            self._warned = True
            _logger.warning(
                "this agent, the host of the round, can accept no connection of another one: %s; a node that is lost "
                "is noticed later (ulimit -n)",
                error,
            )

    def _read(self, guest: _Guest, now: float) -> None:
        must_answer, is_unanswered = False, False
        for line in guest.receive():
            if guest.rank is None:
                self._admit(guest, wire.read_hello(line, self._peer))
            elif (said := wire.read_beat(line)) is not None:
                self._judge.beat(guest.rank, now, said.arrives, said.unanswered)
                must_answer, is_unanswered = True, said.unanswered
            elif wire.is_last(line, wire.FAREWELL):
                self._judge.farewell(guest.rank, now)
                self._judge_at = now
            elif wire.is_last(line, wire.RETIRED):
                self._judge.retired(guest.rank, now)
                self._judge_at = now
                return
        if must_answer:
            accuses_now = is_unanswered and guest.rank not in self._accusers
            if self._report is None or accuses_now or guest.rank in self._accused:
                self._judge_at = now
            self._answer(guest)

    def _answer(self, guest: _Guest) -> None:
        if guest.is_full:
            return  # one that does not read its answers is sent no more of them
        full, short = self._answers
        number = 0 if self._report is None else self._report.number
        has_left = guest.send(short if guest.number == number else full)
        guest.number = number
        if not has_left:
            self.watch(guest)

    def _admit(self, guest: _Guest, rank: int) -> None:
        self._strangers.pop(guest, None)
        guest.rank = rank
        earlier = self._members.get(rank)
        if earlier is not None:
            self._drop(earlier)
        self._members[rank] = guest

    def _closed(self, guest: _Guest, now: float) -> None:
        self._drop(guest)
        if guest.rank is not None:
            self._judge.closed(guest.rank, now)
            self._judge_at = now

    def _drop(self, guest: _Guest, last_words: bytes = b"") -> None:
        guest.is_open = False
        self._strangers.pop(guest, None)
        if guest.rank is not None and self._members.get(guest.rank) is guest:
            del self._members[guest.rank]
        self.selector.unregister(guest.socket)
        guest.end(last_words)
