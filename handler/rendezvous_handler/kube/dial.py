"""TCP connections to a host: its addresses, and the first of them that answers, all within a time limit."""

from __future__ import annotations

import socket
import time
from collections.abc import Sequence
from typing import Any

from rendezvous_handler.kube.background import Background

_CONNECT_SECONDS = 3.0
"""For a TCP connection, with the look-up of the name and all its addresses."""

_SOCKET_OPTIONS = [
    (socket.IPPROTO_TCP, socket.TCP_NODELAY, 1),
    (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
    (socket.IPPROTO_TCP, getattr(socket, "TCP_KEEPIDLE", 0), 15),
    (socket.IPPROTO_TCP, getattr(socket, "TCP_KEEPINTVL", 0), 5),
    (socket.IPPROTO_TCP, getattr(socket, "TCP_KEEPCNT", 0), 3),
]
"""By keep-alive alone a half-open connection is noticed between two requests."""

_Address = tuple[socket.AddressFamily, socket.SocketKind, int, str, Any]


class Resolver:
    """Addresses of one host. The look-up of a name has no time limit of its own, so it gets a thread."""

    def __init__(self, host: str, port: int):
        """Look nothing up yet."""
        self._host, self._port = host, port
        self._lookup = Background(lambda: self._look_up(), "name-lookup")

    def addresses(self, seconds: float) -> Sequence[_Address]:
        """All of them, the preferred one first.

        Raises:
            OSError: there is none, or no answer within these seconds.
        """
        try:
            return self._look_up(socket.AI_NUMERICHOST)
        except OSError:
            pass  # it is a name
        try:
            return self._lookup.within(seconds)
        except TimeoutError as error:
            raise TimeoutError(f"looking up {self._host}: {error}") from None
        except OSError as error:
            raise OSError(f"looking up {self._host}: {error.strerror or error}") from None

    def _look_up(self, flags: int = 0) -> Sequence[_Address]:
        try:
            return socket.getaddrinfo(self._host, self._port, type=socket.SOCK_STREAM, flags=flags)
        except UnicodeError as error:  # such as a label that is too long
            raise OSError(str(error)) from None


def connected(resolver: Resolver, deadline: float) -> socket.socket:
    """A TCP connection to the first address that answers. Each gets its part of the time, as in Go's ``net`` package.

    Args:
        resolver: of the host.
        deadline: in monotonic seconds.

    Raises:
        OSError: none does, until then or within 3 s.
    """
    deadline = min(deadline, time.monotonic() + _CONNECT_SECONDS)
    addresses = resolver.addresses(max(0.0, deadline - time.monotonic()))
    problem: OSError | None = None
    for number, (family, kind, protocol, _, address) in enumerate(addresses):
        left = deadline - time.monotonic()
        if left <= 0:
            break
        try:
            sock = socket.socket(family, kind, protocol)
        except OSError as error:  # IPv6 may be switched off
            problem = error
            continue
        try:
            for level, option, value in _SOCKET_OPTIONS:
                if option:
                    sock.setsockopt(level, option, value)
            sock.settimeout(left / (len(addresses) - number))
            sock.connect(address)
        except OSError as error:
            sock.close()
            problem = error
        except BaseException:
            sock.close()
            raise
        else:
            return sock
    if problem is None or isinstance(problem, TimeoutError):
        raise TimeoutError("timed out waiting for a connection")
    raise problem
