"""A way to the API server that a test can cut: a TCP proxy on a loopback port."""

import contextlib
import socket
import struct
import threading
from types import TracebackType

_HOST = "127.0.0.1"


class Proxy:
    """Passes bytes between its clients and a loopback port, until it is told not to."""

    def __init__(self, target: int, listener: socket.socket | None = None) -> None:
        """Listen at a free port, `port`, for who wants to reach ``target``; or take the connections of a listener."""
        self._target = target
        self._lock = threading.Lock()
        self._links: set[_Link] = set()
        self._refusing = False
        self._silent = False
        self._listener = listener or socket.create_server((_HOST, 0))
        self.port = int(self._listener.getsockname()[1])
        threading.Thread(target=self._accept, name="proxy", daemon=True).start()

    def __enter__(self) -> "Proxy":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # A plain close does not wake the thread that accepts.
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.refuse()

    def refuse(self) -> None:
        """Break every connection and refuse new ones: a server, or a load balancer, that is down."""
        with self._lock:
            self._refusing = True
            links = list(self._links)
        for link in links:
            link.reset()

    def swallow(self) -> None:
        """Let nothing through and say nothing about it: a cable that was pulled, a firewall that forgot its states.

        The connections of this time, and those from before, stay dead after `mend`, and their ends are not told.
        """
        with self._lock:
            self._silent = True
            for link in self._links:
                link.dead = True

    def mend(self) -> None:
        """Let new connections through again."""
        with self._lock:
            self._refusing = self._silent = False

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return  # it was closed
            with self._lock:
                link = _Link(client, dead=self._silent)
                refused = self._refusing
                if not refused:
                    self._links.add(link)
            if refused:
                link.reset()
            else:
                threading.Thread(target=self._serve, args=(link,), name="proxy-link", daemon=True).start()

    def _serve(self, link: "_Link") -> None:
        with contextlib.suppress(OSError):
            link.connect(self._target)
            back = threading.Thread(target=link.pump, args=(link.server, link.client), daemon=True)
            back.start()
            link.pump(link.client, link.server)
            back.join()
        link.reset()
        with self._lock:
            self._links.discard(link)


class _Link:
    """One connection of a client, and ours to the server on its behalf."""

    def __init__(self, client: socket.socket, *, dead: bool) -> None:
        self.client = client
        self.server = socket.socket()
        self.dead = dead

    def connect(self, port: int) -> None:
        self.server.connect((_HOST, port))

    def pump(self, source: socket.socket, sink: socket.socket) -> None:
        """Pass on what comes from one side until that side ends it; a dead link loses it, the end too."""
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                if not self.dead:
                    sink.sendall(data)
            if not self.dead:
                sink.shutdown(socket.SHUT_WR)

    def reset(self) -> None:
        """Close both connections at once; a peer that still uses its own gets an error."""
        for side in (self.client, self.server):
            with contextlib.suppress(OSError):
                side.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                side.shutdown(socket.SHUT_RDWR)
            side.close()
