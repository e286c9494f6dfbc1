"""One TCP connection between a member and the host: lines in, lines out, and never a wait."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator

from rendezvous_handler.peers import wire

_AT_ONCE = 4096
"""Bytes that are read in one turn, so that one that sends much does not keep the others waiting."""


class EndedError(Exception):
    """The other end sends nothing more: its kernel has closed the connection."""


class Connection:
    """A socket that does not block."""

    def __init__(self, sock: socket.socket, longest: int):
        """Take over a socket.

        Args:
            sock: connected, or about to be.
            longest: bytes that a line of the other end may have.
        """
        self.socket = sock
        self._longest = longest
        self._in = bytearray()
        self._out = b""
        sock.setblocking(False)
        with contextlib.suppress(OSError):
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    @property
    def is_full(self) -> bool:
        """What was sent before has not left yet; the other end does not read, or the network is slow."""
        return bool(self._out)

    def receive(self) -> Iterator[str]:
        """The lines that have come.

        Raises:
            EndedError: all was read, and there is no more.
            WireError: it is not what may come.
            OSError: the connection is broken.
        """
        try:
            found = self.socket.recv(_AT_ONCE)
        except (BlockingIOError, InterruptedError):
            return
        if not found:
            raise EndedError
        self._in += found
        yield from wire.lines(self._in, self._longest)

    def send(self, data: bytes) -> bool:
        """Send whole lines, now or with `flush`; returns whether all has left.

        Raises:
            OSError: the connection is broken.
        """
        self._out += data
        return self.flush()

    def flush(self) -> bool:
        """Send what is left; returns whether all has.

        Raises:
            OSError: the connection is broken.
        """
        if self._out:
            with contextlib.suppress(BlockingIOError, InterruptedError):
                self._out = self._out[self.socket.send(self._out) :]
        return not self._out

    def end(self, last_words: bytes = b"") -> None:
        """Send last words if there is room for them, and close, also what child processes of fork have of it."""
        with contextlib.suppress(OSError):
            if last_words and not self._out:
                self.socket.send(last_words)
            # What was not read would make the kernel reset the connection, and the other end might lose the last words.
            self.socket.shutdown(socket.SHUT_WR)
            self.socket.recv(65536)
        with contextlib.suppress(OSError):
            self.socket.shutdown(socket.SHUT_RDWR)
        self.socket.close()
