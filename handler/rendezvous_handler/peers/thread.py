"""The thread that a host or a member has for its connections, and what it shows to the other threads of the agent."""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import selectors
import socket
import threading
import time
import weakref
from typing import Protocol

from rendezvous_api.participant import PeerEvidence
from rendezvous_handler.peers import wire
from rendezvous_handler.peers.connection import Connection

_logger = logging.getLogger(__name__)

_TURN_SECONDS = 0.5
"""The longest time from one turn of the thread to the next, unless it is paused."""
PAUSE_SECONDS = 1.5
"""A turn that comes later than that after the one before was paused, with the process or the machine."""
_FRESH_SECONDS = 3.0
"""What is older is not written: a heartbeat of a thread that runs must not say what another one said before it hung."""
_STOP_SECONDS = 1.0
_POLL_SECONDS = 0.005

CLOSED_BY_PEER = frozenset({errno.ECONNRESET, errno.EPIPE, errno.ECONNABORTED, errno.ECONNREFUSED})
"""The kernel of the other machine has answered that the connection does not exist. With any other error, such as a
timeout, it is only the own kernel that says so."""
TOO_FEW = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM, errno.EADDRNOTAVAIL})
"""This process or this machine has too few file descriptors, ports or too little memory for a connection."""


class Heartbeats(Protocol):
    """What the connections need of the heartbeats that this agent sends to the API server. Any thread may call it."""

    @property
    def arrive(self) -> bool:
        """They reach the API server."""

    @property
    def confirm_seconds(self) -> float:
        """So long the operator waits for one when this member is accused."""

    def hasten(self, seconds: float) -> None:
        """Send one within that time, at a random moment; makes no request itself."""


class Peers(Protocol):
    """The connections of one member of a round, from the check-in on until it joins again."""

    def start(self, heartbeats: Heartbeats) -> None:
        """Begin, in a thread of its own."""

    def stop(self) -> None:
        """Say farewell and close all, within a second. May be called again, and before the start."""

    def evidence(self) -> PeerEvidence | None:
        """What a heartbeat says now; None: nothing."""

    @property
    def heard(self) -> bool:
        """The other members know that this one lives, and can say so to the API server."""


_threads: weakref.WeakSet[PeerThread] = weakref.WeakSet()


class PeerThread:
    """A thread that waits at sockets. The main thread starts and stops it, and a signal may interrupt both anywhere.

    What is wrong with the connections never ends an agent: it then runs without them.
    """

    def __init__(self, name: str):
        """Start nothing yet.

        Args:
            name: of the thread.

        Raises:
            OSError: there are too few file descriptors.
        """
        self.heartbeats: Heartbeats
        self._waker = socket.socketpair()
        for end in self._waker:
            end.setblocking(False)
        self.selector = selectors.DefaultSelector()
        self.selector.register(self._waker[0], selectors.EVENT_READ)
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._stopping = False
        self._has_ended = False
        self._shown: tuple[float, PeerEvidence | None, bool] = (float("-inf"), None, False)
        _threads.add(self)

    def start(self, heartbeats: Heartbeats) -> None:
        """Begin; logs a warning if that is not possible, and says nothing from then on."""
        self.heartbeats = heartbeats
        try:
            self._thread.start()
        except RuntimeError as error:  # too many threads
            _logger.warning("there are no connections to the other agents of the round: %s", error)
            self._free()

    def stop(self) -> None:
        """Say farewell, close all, and wait for that, but not for long."""
        self._stopping = True
        if self._has_ended or not self._thread.ident:
            self._free()
            return
        with contextlib.suppress(OSError):
            self._waker[1].send(b"\0")
        # Not at a lock: a signal that raises in the main thread would leave it behind.
        deadline = time.monotonic() + _STOP_SECONDS
        while not self._has_ended and time.monotonic() < deadline:
            time.sleep(_POLL_SECONDS)

    def evidence(self) -> PeerEvidence | None:
        """What the thread has found out in its last turn, if that was a short time ago; None: nothing."""
        at, evidence, _ = self._shown
        return evidence if time.monotonic() - at <= _FRESH_SECONDS else None

    @property
    def heard(self) -> bool:
        """The same as of its last turn; False if that was too long ago."""
        at, _, heard = self._shown
        return heard and time.monotonic() - at <= _FRESH_SECONDS

    def _run(self) -> None:
        try:
            last = time.monotonic()
            self.begin(last)
            while True:
                events = self.selector.select(max(0.0, min(_TURN_SECONDS, self.next_turn(last) - time.monotonic())))
                if self._stopping:
                    break
                now = time.monotonic()
                # The sockets still have what has come meanwhile, so the pause is known before any of it.
                if now - last > PAUSE_SECONDS:
                    self.paused(now, now - last)
                last = now
                for key, mask in events:
                    if key.data is None:
                        _drain(key.fileobj)  # type: ignore[arg-type]
                    else:
                        self.ready(key.data, mask, now)
                self._shown = (now, self.turn(now), self.is_heard(now))
                self.hurry(now)  # only now: a heartbeat that it asks for must have what is new
            self.end(wire.FAREWELL)
        except Exception:
            _logger.exception("the connections to the other agents of the round failed unexpectedly; they are closed")
            with contextlib.suppress(Exception):
                self.end(wire.RETIRED)
        finally:
            self._free()
            self._has_ended = True

    def _free(self) -> None:
        self._shown = (float("-inf"), None, False)
        for each in self.sockets():
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
        self._close_copies()

    def _close_copies(self) -> None:
        """Close what this process has; the connections go on if another one has copies."""
        for each in (*self.sockets(), *self._waker):
            each.close()
        self.selector.close()

    def watch(self, connection: Connection) -> None:
        """Wait at a registered connection for what comes, and for room if something has not left yet."""
        events = selectors.EVENT_READ | (selectors.EVENT_WRITE if connection.is_full else 0)
        key = self.selector.get_key(connection.socket)
        if key.events != events:
            self.selector.modify(connection.socket, events, key.data)

    # ---- what a host or a member does, all in the thread

    def begin(self, now: float) -> None:
        """The thread begins."""

    def next_turn(self, now: float) -> float:
        """Until when the thread may wait at most, if nothing comes."""
        raise NotImplementedError

    def paused(self, now: float, seconds: float) -> None:
        """The thread was stopped for that long; called before `ready` for what has come meanwhile."""
        raise NotImplementedError

    def ready(self, data: object, mask: int, now: float) -> None:
        """A socket that was registered with this data can be read or written."""
        raise NotImplementedError

    def turn(self, now: float) -> PeerEvidence | None:
        """Do what is due; returns what a heartbeat says from now on."""
        raise NotImplementedError

    def is_heard(self, now: float) -> bool:
        """Whether others know that this member lives. The host itself says what the API server knows of all others."""
        return False

    def hurry(self, now: float) -> None:
        """Ask for a heartbeat at once if there is news in what one says now."""
        raise NotImplementedError

    def end(self, last_words: bytes) -> None:
        """Send the last words to all, and close the connections."""
        raise NotImplementedError

    def sockets(self) -> tuple[socket.socket, ...]:
        """All sockets that are open; called in any thread, also before the start."""
        raise NotImplementedError


def _drain(waker: socket.socket) -> None:
    with contextlib.suppress(OSError):
        waker.recv(64)


def _close_copies() -> None:
    """In a child of fork, which is a worker: else the kernel would keep the connections open when the agent is killed.

    A worker that is started as a program of its own inherits no socket.
    """
    for thread in tuple(_threads):
        with contextlib.suppress(Exception):
            thread._close_copies()


os.register_at_fork(after_in_child=_close_copies)
