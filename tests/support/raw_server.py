"""A server that says to each connection exactly what a test wants: what no real API server says, but networks do."""

import contextlib
import select
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
_END_SECONDS = 30.0
"""For a thread to end with its connection."""


class RawServer:
    """Calls `scripts`, one for each connection, and the last one for all further; each in a thread of its own.

    That thread alone closes its connection. OpenSSL writes an alert when a connection has ended, and knows it by its
    number only. Had another thread closed it, the alert would be written to whatever has got that number since.

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
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()
        self._threads = [threading.Thread(target=self._accept, name="raw-server", daemon=True)]
        self._threads[0].start()

    def __enter__(self) -> "RawServer":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._threads[0].join(_END_SECONDS)
        self._listener.close()
        with self._lock:
            for sock in self._open:
                with contextlib.suppress(OSError):
                    # Not that of SSLSocket, which would take TLS away under the thread that reads.
                    socket.socket.shutdown(sock, socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(_END_SECONDS)
        hanging = [thread.name for thread in self._threads if thread.is_alive()]
        assert not hanging, f"their scripts have not ended with their connections: {hanging}"

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
        with contextlib.suppress(OSError):  # the server has ended
            while True:
                sock, _ = self._listener.accept()
                script = self.scripts[min(self.connections, len(self.scripts) - 1)]
                self.connections += 1
                with self._lock:
                    self._open.add(sock)
                name = f"raw-connection {self.connections}"
                thread = threading.Thread(target=self._run, args=(sock, script), name=name, daemon=True)
                self._threads.append(thread)
                thread.start()

    def _run(self, sock: socket.socket, script: Script) -> None:
        with contextlib.suppress(OSError):
            if self.tls is not None:
                with self._lock:
                    self._open.discard(sock)
                    sock = wrapped = self.tls.wrap_socket(sock, server_side=True, do_handshake_on_connect=False)
                    self._open.add(sock)
                wrapped.do_handshake()
            script(sock)
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
        with self._lock:
            self._open.discard(sock)
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
    """Say and read nothing until the server, or the client, ends the connection; at most 20 s."""
    end = select.poll()
    end.register(sock, select.POLLRDHUP)
    end.poll(20_000)


def begin_and_hang(data: bytes) -> Script:
    """Begin an answer."""

    def run(sock: socket.socket) -> None:
        read_request(sock)
        sock.sendall(data)
        silence(sock)

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
