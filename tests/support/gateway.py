"""The way of one node, or one operator, to the API server: each kind of request can be cut, or can fail, by itself.

A gateway takes HTTP on a loopback port and passes it on over TLS, one request for each connection. So it knows what a
client asks for, and an answer can be withheld when the request has been carried out.
"""

import asyncio
import contextlib
import json
import random
import socket
import ssl
import struct
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from rendezvous_controlplane import ControlPlaneError, LocalControlPlane

HOST = "127.0.0.1"
PATHS = ("read", "write", "watch")
"""The kinds of requests that can be cut or fail apart from the others."""
_ERRORS = {"429": ("Too Many Requests", "TooManyRequests"), "500": ("Internal Server Error", "InternalError")}
_READING = {"GET", "HEAD"}
_LOOP_SECONDS = 120.0
"""For what the thread of the gateways does at once where it gets the processor."""

Target = Callable[[], tuple[int, str]]
"""Port and token of the API server; raises OSError while it is not started."""


def as_admin(plane: LocalControlPlane) -> Target:
    """The API server of a control plane as it is at each request, and its administrator."""

    def now() -> tuple[int, str]:
        try:
            config = json.loads(plane.kubeconfig.read_text(encoding="utf-8"))
            return plane.port, config["users"][0]["user"]["token"]
        except ControlPlaneError as error:
            raise OSError(str(error)) from error

    return now


@dataclass
class Failing:
    """Which requests fail, how, and which part of them."""

    paths: tuple[str, ...]
    ways: tuple[str, ...]
    """One of them, by chance, for each request."""
    share: float
    dice: random.Random
    over: asyncio.Event = field(default_factory=asyncio.Event)

    def hits(self, path: str) -> bool:
        """Whether this request fails."""
        return path in self.paths and self.dice.random() < self.share


class Gateway:
    """One way; `Gateways` makes it. All but its port and its kubeconfig belongs to the loop of `Gateways`."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self._failing: Failing | None = None
        self._open: dict[asyncio.Task[None], str] = {}
        self._cut: dict[asyncio.Task[None], Failing] = {}
        self._tls = ssl.create_default_context()
        # Its certificate is another one after each start; the way from here is this machine.
        self._tls.check_hostname = False
        self._tls.verify_mode = ssl.CERT_NONE
        self._listener = socket.create_server((HOST, 0))
        self.port = int(self._listener.getsockname()[1])
        self.requests = 0
        self.failed = 0
        self.lags: dict[str, float] = {}
        """By the plural of a kind: how many seconds later, and up to twice as many, a watch of it shows everything."""

    def write_kubeconfig(self, path: Path) -> Path:
        """Write what a client by this way needs; its token is put in here."""
        context = {"cluster": "gateway", "user": "gateway", "namespace": "default"}
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "gateway", "cluster": {"server": f"http://{HOST}:{self.port}"}}],
            "users": [{"name": "gateway", "user": {"token": "any"}}],
            "contexts": [{"name": "gateway", "context": context}],
            "current-context": "gateway",
        }
        path.write_text(json.dumps(config), encoding="utf-8")
        return path

    async def serve(self) -> None:
        """Take connections until the loop ends."""
        await asyncio.start_server(self._serve, sock=self._listener)

    async def fail(self, failing: Failing | None) -> None:
        """From now on these requests fail; None: none does. A cut ends what is under way, too."""
        if self._failing is not None:
            self._failing.over.set()
        self._failing = failing
        if failing is not None and failing.share == 1:
            for task, path in list(self._open.items()):
                if path in failing.paths:
                    self._cut[task] = failing
                    task.cancel()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await self._request(reader, writer)
        except (OSError, EOFError, ValueError, asyncio.LimitOverrunError, asyncio.CancelledError):
            _reset(writer)  # as a server that has gone away; cancelled: the loop ends
        finally:
            writer.close()

    async def _request(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").rstrip("\r\n").split("\r\n")
        method, target, _ = first.split(" ", 2)
        kept = [line for line in lines if not line.lower().startswith(("connection:", "authorization:", "host:"))]
        lengths = [line.partition(":")[2] for line in lines if line.lower().startswith("content-length:")]
        body = await reader.readexactly(int(lengths[0])) if lengths else b""
        path = "watch" if "watch=true" in target or "watch=1" in target else "read" if method in _READING else "write"
        self.requests += 1
        failing = self._failing if self._failing is not None and self._failing.hits(path) else None
        way = failing.dice.choice(failing.ways) if failing is not None else ""
        if failing is not None:
            self.failed += 1
            if way != "lost":
                await _refuse(failing, way, writer)
                return
        plural = target.partition("?")[0].rpartition("/")[2]
        lag = self.lags.get(plural, 0.0) if path == "watch" else 0.0
        task = asyncio.current_task()
        assert task is not None
        self._open[task] = path
        try:
            port, token = self._target()
            added = [f"Host: {HOST}:{port}", f"Authorization: Bearer {token}", "Connection: close"]
            request = "\r\n".join([first, *kept, *added]).encode("latin-1") + b"\r\n\r\n" + body
            await self._pass_on(port, request, reader, writer, lose=failing is not None, lag=lag)
        except asyncio.CancelledError:
            if (cut := self._cut.pop(task, None)) is None:
                raise  # the end of the loop
            task.uncancel()
            if "silent" in cut.ways:
                await cut.over.wait()
            _reset(writer)
        finally:
            del self._open[task]
            self._cut.pop(task, None)

    async def _pass_on(
        self,
        port: int,
        request: bytes,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        *,
        lose: bool,
        lag: float,
    ) -> None:
        answer, server = await asyncio.open_connection(HOST, port, ssl=self._tls)
        # A client that ends its watch is noticed by the end of what it sends.
        gone = asyncio.ensure_future(reader.read(1))
        try:
            server.write(request)
            while True:
                more = asyncio.ensure_future(answer.read(65536))
                await asyncio.wait({more, gone}, return_when=asyncio.FIRST_COMPLETED)
                if not more.done():
                    more.cancel()
                    return
                data = more.result()
                if not data:
                    break
                if not lose:
                    await asyncio.sleep(lag)
                    writer.write(data)
                    await writer.drain()
            if lose:
                _reset(writer)
        finally:
            gone.cancel()
            server.transport.abort()


async def _refuse(failing: Failing, way: str, writer: asyncio.StreamWriter) -> None:
    if way == "silent":
        await failing.over.wait()
    if way not in _ERRORS:
        _reset(writer)
        return
    words, reason = _ERRORS[way]
    status = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": reason, "code": int(way)}
    body = json.dumps({**status, "message": "made by a test"}).encode()
    head = f"HTTP/1.1 {way} {words}\r\nContent-Type: application/json\r\nRetry-After: 1\r\n"
    writer.write(f"{head}Content-Length: {len(body)}\r\nConnection: close\r\n\r\n".encode() + body)
    await writer.drain()


def _reset(writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        sock = writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


class Gateways:
    """All gateways of a test or a schedule, in a thread of their own."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="gateways", daemon=True)
        self._thread.start()
        self.all: dict[str, Gateway] = {}

    def open(self, name: str, target: Target) -> Gateway:
        """The gateway of that node or operator; made if there is none."""
        if name not in self.all:
            self.all[name] = gateway = Gateway(target)
            asyncio.run_coroutine_threadsafe(gateway.serve(), self._loop).result(_LOOP_SECONDS)
        return self.all[name]

    def fail(
        self, name: str, paths: tuple[str, ...], way: str | tuple[str, ...], share: float, dice: random.Random
    ) -> None:
        """Let these requests of a node or operator fail.

        Args:
            name: of the node or operator.
            paths: of `PATHS`.
            way: no connection ("refused"), no answer ("silent"), an error ("429", "500"), or an answer that is lost
                after the request was carried out ("lost"); or several of these.
            share: which part of the requests fails; 1 also ends what is under way.
            dice: for chance.
        """
        failing = Failing(paths, (way,) if isinstance(way, str) else way, share, dice)
        asyncio.run_coroutine_threadsafe(self.all[name].fail(failing), self._loop).result(_LOOP_SECONDS)

    def heal(self, name: str) -> None:
        """Let all through again. What was silent breaks now, as after a cable was plugged in again."""
        asyncio.run_coroutine_threadsafe(self.all[name].fail(None), self._loop).result(_LOOP_SECONDS)

    def close(self) -> None:
        """End them all."""
        asyncio.run_coroutine_threadsafe(_cancel_all(), self._loop).result(_LOOP_SECONDS)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)


async def _cancel_all() -> None:
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    await asyncio.wait(others, timeout=5) if others else None
