"""An HTTP proxy of which clients ask tunnels (CONNECT), as they do for a server that they reach by TLS."""

import contextlib
import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class ConnectProxy(ThreadingHTTPServer):
    """Every tunnel leads to one loopback port, whatever name a client gives: only the proxy knows where that is."""

    daemon_threads = True

    def __init__(self, target: int) -> None:
        """Serve at a free port of 127.0.0.1.

        Args:
            target: the port to which all tunnels lead.
        """
        super().__init__(("127.0.0.1", 0), _Tunnel)
        self.target = target
        self.asked: list[str] = []
        """``HOST:PORT`` of each tunnel."""
        self.authorizations: list[str] = []
        """``Proxy-Authorization`` of each tunnel; empty where there was none."""
        threading.Thread(target=self.serve_forever, args=(0.05,), name="connect-proxy", daemon=True).start()

    @property
    def address(self) -> str:
        """Its host and port."""
        return f"127.0.0.1:{self.server_address[1]}"

    def server_close(self) -> None:
        """Serve no more."""
        self.shutdown()
        super().server_close()


class _Tunnel(BaseHTTPRequestHandler):
    def do_CONNECT(self) -> None:
        proxy = self.server
        assert isinstance(proxy, ConnectProxy)
        proxy.asked.append(self.path)
        proxy.authorizations.append(self.headers.get("Proxy-Authorization", ""))
        with socket.create_connection(("127.0.0.1", proxy.target)) as upstream:
            self.send_response(200)
            self.end_headers()
            back = threading.Thread(target=_pump, args=(upstream, self.connection), daemon=True)
            back.start()
            _pump(self.connection, upstream)
            back.join()

    def log_message(self, *_: object) -> None:
        """Print nothing."""


def _pump(source: socket.socket, sink: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            sink.sendall(data)
    with contextlib.suppress(OSError):
        sink.shutdown(socket.SHUT_WR)
