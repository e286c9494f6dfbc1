"""A member of a round but its host: it beats to the host once a second."""

from __future__ import annotations

import errno
import logging
import math
import os
import random
import selectors
import socket
import time

from rendezvous_api.backoff import Backoff, Failures
from rendezvous_api.participant import BEAT_SECONDS, PeerEvidence
from rendezvous_api.reasons import HostState
from rendezvous_handler.peers import wire
from rendezvous_handler.peers.connection import Connection, EndedError
from rendezvous_handler.peers.haste import MemberHaste
from rendezvous_handler.peers.thread import CLOSED_BY_PEER, TOO_FEW, PeerThread
from rendezvous_handler.peers.view import UNANSWERED, View

_logger = logging.getLogger(__name__)

_CONNECT_SECONDS = 2.0
"""A host that was cut off is reached again within that: the kernel alone would wait longer and longer."""
_FIRST_ANSWER_SECONDS = 10.0
"""For the first answer on a connection that was opened while the process of the host is stopped."""
_DIALS = Backoff(first=0.05, longest=2.0)
MOST_UNANSWERED = 5
"""So many beats may be on their way, so that they do not pile up for a host that is stopped."""
_WARN_SECONDS = 15.0
"""Without any connection."""


class _Call(Connection):
    """A connection to the host."""

    def __init__(self, sock: socket.socket, deadline: float):
        super().__init__(sock, wire.LONGEST_FROM_HOST)
        self.deadline = deadline
        """By then it must be open, and then answered for the first time."""
        self.is_open = False
        self.is_answered = False
        self.unanswered = 0


class Member(PeerThread):
    """Connects from `start` on. What is not said here is said at `PeerThread`.

    While the host does not answer by its connection, it opens another one beside that: the kernel sends what was lost
    at longer and longer intervals, and a host that was cut off for minutes would be missed for minutes more.
    """

    def __init__(self, peer: wire.PeerRound, host: str, port: int):
        """Make no connection yet.

        Args:
            peer: which round and which member it is.
            host: name or IP address of the machine of the host.
            port: its port.
        """
        super().__init__("rendezvous-peers-member")
        self._peer = peer
        self._where = (host, port)
        self._addresses: list[tuple[socket.AddressFamily, tuple[object, ...]]] = []
        self._call: _Call | None = None
        """The last connection that was answered."""
        self._next: _Call | None = None
        """One that was opened since."""
        self._dials = Failures(_DIALS)
        self._dial_at = 0.0
        self._beat_at = 0.0
        self._view = View(peer.rank)
        self._haste = MemberHaste(peer.nodes)
        self._is_done = False
        """The host needs no beats any more, or wants none."""
        self._warn_at: float | None = None
        self._problem = ""

    def begin(self, now: float) -> None:
        """Connect at once."""
        self._dial_at = now
        self._warn_at = now + _WARN_SECONDS

    def next_turn(self, now: float) -> float:
        """When a beat or a connection is due."""
        if self._is_done:
            return math.inf
        if self._next is not None:
            return min(self._beat_at, self._next.deadline)
        return min(self._beat_at, self._dial_at) if self._needs_connection(now) else self._beat_at

    def paused(self, now: float, seconds: float) -> None:
        """The host gets three beats again."""
        self._view.paused(now, seconds)

    def ready(self, data: object, mask: int, now: float) -> None:
        """A connection is open, has failed, or has an answer."""
        assert isinstance(data, _Call)
        if data not in (self._call, self._next):
            return
        try:
            if not data.is_open:
                self._opened(data, now)
            elif mask & selectors.EVENT_WRITE:
                data.flush()
                self.watch(data)
            if mask & selectors.EVENT_READ:
                for line in data.receive():
                    self._read(data, line, now)
                    if data not in (self._call, self._next):
                        return
        except wire.WireError as error:
            self._lost(data, str(error), now)
        except EndedError:
            self._lost(data, "the connection was closed", now, by_peer=True)
        except OSError as error:
            self._lost(data, str(error), now, by_peer=error.errno in CLOSED_BY_PEER)

    def turn(self, now: float) -> PeerEvidence | None:
        """Connect, and beat."""
        if not self._is_done:
            if self._next is not None and now >= self._next.deadline:
                self._lost(self._next, "no answer", now)
            if self._next is None and now >= self._dial_at and self._needs_connection(now):
                self._dial(now)
            if now >= self._beat_at:
                self._beat_at = now + BEAT_SECONDS
                self._beat(now)
        self._warn(now)
        return self._view.evidence(now)

    def is_heard(self, now: float) -> bool:
        """By the host."""
        return self._view.is_heard(now)

    def hurry(self, now: float) -> None:
        """Ask for a heartbeat if this member sees the host otherwise, or may be accused."""
        within = self._haste.within(now, self._view, self.heartbeats.confirm_seconds)
        if within is not None:
            self.heartbeats.hasten(within)

    def end(self, last_words: bytes) -> None:
        """Say it to the host."""
        for call in (self._call, self._next):
            if call is not None:
                call.end(last_words if call.is_open else b"")

    def sockets(self) -> tuple[socket.socket, ...]:
        """One or two."""
        return tuple(call.socket for call in (self._call, self._next) if call is not None)

    def _needs_connection(self, now: float) -> bool:
        return self._call is None or self._view.state(now) is HostState.MISSED

    def _dial(self, now: float) -> None:
        """Begin to open a connection."""
        self._dial_at = now + self._dials.pause()
        sock: socket.socket | None = None
        try:
            if not self._addresses:
                found = socket.getaddrinfo(*self._where, type=socket.SOCK_STREAM)
                self._addresses = [(family, address) for family, _, _, _, address in found]
            family, address = self._addresses[self._dials.count % len(self._addresses)]
            sock = socket.socket(family, socket.SOCK_STREAM)
            # Looking up a name may have taken long.
            call = _Call(sock, time.monotonic() + _CONNECT_SECONDS)
            result = sock.connect_ex(address)
            if result not in (0, errno.EINPROGRESS):
                raise OSError(result, os.strerror(result))
            self.selector.register(sock, selectors.EVENT_WRITE, call)
        except OSError as error:
            if sock is not None:
                sock.close()
            self._problem = str(error)
            if error.errno in TOO_FEW and self._call is None:
                self._view.forget()
        else:
            self._next = call

    def _opened(self, call: _Call, now: float) -> None:
        problem = call.socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if problem:
            raise OSError(problem, os.strerror(problem))
        call.is_open, call.deadline = True, now + _FIRST_ANSWER_SECONDS
        call.send(wire.hello(self._peer) + self._line(now))
        self.watch(call)

    def _beat(self, now: float) -> None:
        call = self._call
        if call is None or call.is_full or call.unanswered >= MOST_UNANSWERED:
            return
        call.unanswered += 1
        try:
            call.send(self._line(now))
            self.watch(call)
        except OSError as error:
            self._lost(call, str(error), now, by_peer=error.errno in CLOSED_BY_PEER)

    def _line(self, now: float) -> bytes:
        return wire.beat(wire.Beat(self.heartbeats.arrive, self._view.state(now) in UNANSWERED))

    def _read(self, call: _Call, line: str, now: float) -> None:
        answer = wire.read_answer(line)
        if answer is not None:
            call.unanswered = 0
            relayed = answer.passes_on is not None
            self._view.answered(now, answer.report, answer.passes_on == self._peer.rank, relayed)
            if call is self._next:
                self._adopt(call, now)
        elif wire.is_last(line, wire.FAREWELL):
            self._view.farewell(now)
            self._finish()
        elif wire.is_last(line, wire.RETIRED):
            self._view.forget()
            self._finish()
        elif (why := wire.read_refusal(line)) is not None:
            self._problem = why

    def _adopt(self, call: _Call, now: float) -> None:
        earlier, self._call, self._next = self._call, call, None
        call.is_answered = True
        self._dials.reset()
        # At another part of each second than the others that connected in the same moment.
        self._beat_at = now + BEAT_SECONDS * random.uniform(0.5, 1.0)
        self._warn_at = None
        if earlier is not None:
            self._close(earlier)

    def _lost(self, call: _Call, why: str, now: float, by_peer: bool = False) -> None:
        self._close(call)
        if not self._problem or call.is_answered:
            self._problem = why
        if call is self._next:
            self._next = None
            return
        self._call = None
        if by_peer:
            self._view.closed(now)
        self._dial_at = now

    def _finish(self) -> None:
        self._is_done = True
        for call in (self._call, self._next):
            if call is not None:
                self._close(call)
        self._call = self._next = None

    def _close(self, call: _Call) -> None:
        self.selector.unregister(call.socket)
        call.end()

    def _warn(self, now: float) -> None:
        if self._warn_at is not None and now >= self._warn_at:
            self._warn_at = None
            _logger.warning(
                "no connection to the agent of rank 0 at %s:%d: %s; training goes on, but a node that is lost is "
                "noticed later. Open all ports between the nodes, or those of store_port",
                *self._where,
                self._problem or "no answer",
            )
