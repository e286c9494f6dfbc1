"""A server that says to each connection exactly what a test wants: what no real API server says, but networks do."""

import contextlib
import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable, Iterator
from types import TracebackType

Script = Callable[[socket.socket], None]


def read_request(sock: socket.socket) -> bytes:
    """All of one request; empty: the client has ended the connection."""
    data = b""
    while b"\r\n\r\n" not in data:
        got = sock.recv(65536)
        if not got:
            return b""
        data += got
    head, _, body = data.partition(b"\r\n\r\n")
    for line in head.split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            while len(body) < int(value):
                body += sock.recv(65536)
    return head + b"\r\n\r\n" + body


def answer(body: bytes = b"{}", status: str = "200 OK", *headers: str) -> bytes:
    """An answer with Content-Length."""
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers, "", ""]
    return "\r\n".join(lines).encode() + body


def reset(sock: socket.socket) -> None:
    """End the connection with RST."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


LONG = answer(b" " * 4000)
ENDLESS = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
LINE = b'{"type": "BOOKMARK", "object": {"metadata": {"resourceVersion": "1"}}}\n'
"""Of a watch."""


class RawServer:
    """Calls `scripts`, one for each connection, and the last one for all further; each in a thread of its own.

    Attributes:
        scripts: what is done with a connection, which is closed afterwards.
        connections: so many have come.
        requests: what `serve` has read.
    """

    def __init__(self, *scripts: Script, host: str = "127.0.0.1", tls: ssl.SSLContext | None = None) -> None:
        """Listen at a free port of that address."""
        self.scripts = list(scripts)
        self.connections = 0
        self.requests: list[bytes] = []
        self.tls = tls
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._listener = socket.create_server((host, 0), family=family)
        self.port = int(self._listener.getsockname()[1])
        self._open: list[socket.socket] = []
        threading.Thread(target=self._accept, name="raw-server", daemon=True).start()

    def __enter__(self) -> "RawServer":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for sock in (self._listener, *self._open):
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
            sock.close()

    def serve(self, *answers: bytes) -> Script:
        """A script: these answers, one for each request, and then the end."""

        def run(sock: socket.socket) -> None:
            for data in answers:
                request = read_request(sock)
                if not request:
                    return
                self.requests.append(request)
                sock.sendall(data)

        return run

    def _accept(self) -> None:
        with contextlib.suppress(OSError):  # it was closed
            while True:
                sock, _ = self._listener.accept()
                script = self.scripts[min(self.connections, len(self.scripts) - 1)]
                self.connections += 1
                threading.Thread(target=self._run, args=(sock, script), name="raw-connection", daemon=True).start()

    def _run(self, sock: socket.socket, script: Script) -> None:
        self._open.append(sock)
        with contextlib.suppress(OSError):
            if self.tls is not None:
                sock = self.tls.wrap_socket(sock, server_side=True)
                self._open.append(sock)
            script(sock)
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
        sock.close()


def drip(data: bytes, seconds: float = 0.05) -> Script:
    """Answer byte by byte."""

    def run(sock: socket.socket) -> None:
        read_request(sock)
        for byte in data:
            sock.sendall(bytes([byte]))
            time.sleep(seconds)

    return run


def after(first: Script, second: Script) -> Script:
    """One script, and then the other."""

    def run(sock: socket.socket) -> None:
        first(sock)
        second(sock)

    return run


def ask_only(sock: socket.socket) -> None:
    """Read a request, and end."""
    read_request(sock)


def silence(sock: socket.socket) -> None:
    """Say nothing."""
    time.sleep(20)


def begin_and_hang(data: bytes) -> Script:
    """Begin an answer."""

    def run(sock: socket.socket) -> None:
        read_request(sock)
        sock.sendall(data)
        time.sleep(20)

    return run


def chunk(data: bytes) -> bytes:
    """Bytes of an answer whose length is not known."""
    return b"%x\r\n%s\r\n" % (len(data), data)


@contextlib.contextmanager
def deaf_server() -> Iterator[tuple[str, int]]:
    """The address of a server that takes no connection: its queue is full, so further ones get no answer at all."""
    with contextlib.ExitStack() as stack:
        deaf = stack.enter_context(socket.socket())
        deaf.bind(("127.0.0.1", 0))
        deaf.listen(0)
        for _ in range(3):
            filling = stack.enter_context(socket.socket())
            filling.setblocking(False)
            filling.connect_ex(deaf.getsockname())
        yield deaf.getsockname()
