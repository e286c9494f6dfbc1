"""TLS to the API server: what is checked of its certificate, and which one a client shows.

An `ssl.SSLContext` is shared by threads and not changed once it has been made.
"""

from __future__ import annotations

import contextlib
import os
import socket
import ssl
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Protocol, TypeVar

from rendezvous_api.access import verify_as_kubectl

T = TypeVar("T")

_RECORD_BYTES = 1 << 16


@dataclass(frozen=True)
class Pem:
    """Certificates or a key: a file, which may change, or what was in one."""

    file: str = ""
    text: str = ""

    def mark(self) -> tuple[int, int, int] | None:
        """Another one when the file has changed: kubelet replaces it, and so do tools that renew certificates.

        Raises:
            OSError: there is no such file.
        """
        if not self.file:
            return None
        found = os.stat(self.file)
        return found.st_ino, found.st_mtime_ns, found.st_size


@dataclass(frozen=True)
class TlsSettings:
    """As in a kubeconfig."""

    authority: Pem | None = None
    """What the certificate of the server is checked against; None: the authorities that this machine trusts."""
    certificate: Pem | None = None
    """Of the client, with `key`; None: it shows none."""
    key: Pem | None = None
    verify: bool = True
    server_name: str = ""
    """In the certificate of the server, where it is another one than its host."""

    @property
    def authority_file(self) -> str | None:
        """For messages: where the authority is from."""
        if self.authority is None:
            return None
        return self.authority.file or "certificate-authority-data of the kubeconfig"


@dataclass
class _Made:
    context: ssl.SSLContext
    marks: list[tuple[int, int, int] | None]
    session: ssl.SSLSession | None = field(default=None)


class Tls:
    """Makes TLS connections by one `TlsSettings`. May be used by several threads at once."""

    def __init__(self, settings: TlsSettings):
        """Read the files.

        Raises:
            OSError: a file cannot be read, or has no certificate or key in it.
            ValueError: data has none in it.
        """
        self.settings = settings
        self._made = self._make()
        self._for_proxies: ssl.SSLContext | None = None

    def wrap(self, sock: socket.socket, host: str) -> ssl.SSLSocket:
        """Shake hands within the timeout of the socket; with files as they are now, and as briefly as is possible.

        Raises:
            OSError: the server does not answer, or its certificate is not accepted.
        """
        made = self._current()
        name = self.settings.server_name or host
        return made.context.wrap_socket(sock, server_hostname=name, session=made.session)

    def is_current(self, context: ssl.SSLContext) -> bool:
        """Whether a new connection would get the same one: no file has changed."""
        return self._current().context is context

    def remember(self, sock: ssl.SSLSocket) -> None:
        """Let the next connection resume the session of this one, which has had an answer: tickets come before it."""
        made = self._made
        if made.context is sock.context:
            made.session = sock.session

    def inside(self, outer: Stream, host: str) -> TlsInTls:
        """The same as `wrap`, through the TLS connection to a proxy."""
        inner = TlsInTls(outer, self._current().context, self.settings.server_name or host)
        inner.shake_hands()
        return inner

    def wrap_for_proxy(self, sock: socket.socket, host: str) -> ssl.SSLSocket:
        """TLS to a proxy. It may be one of the cluster's authority, as for kubectl, or one that this machine trusts."""
        if self._for_proxies is None:
            context = _checking(self.settings)
            context.load_default_certs()
            self._for_proxies = context
        return self._for_proxies.wrap_socket(sock, server_hostname=host)

    def _current(self) -> _Made:
        made = self._made
        # A file that is being replaced is missing or cut off for a moment: what was read before may still do.
        with contextlib.suppress(OSError, ValueError):
            if self._marks() != made.marks:
                made = self._made = self._make()
        return made

    def _make(self) -> _Made:
        marks = self._marks()  # first: a file that changes now is read again the next time
        context = _checking(self.settings)
        if self.settings.authority is None and self.settings.verify:
            context.load_default_certs()
        certificate, key = self.settings.certificate, self.settings.key
        if certificate is not None and key is not None:
            with _as_file(certificate) as certificate_file, _as_file(key) as key_file:
                # Without a password OpenSSL would ask for one on the terminal, and wait.
                context.load_cert_chain(certificate_file, key_file, password="")
        return _Made(context, marks)

    def _marks(self) -> list[tuple[int, int, int] | None]:
        used = self.settings.authority, self.settings.certificate, self.settings.key
        return [pem.mark() for pem in used if pem is not None]


def _checking(settings: TlsSettings) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    verify_as_kubectl(context)
    if not settings.verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    elif settings.authority is not None:
        context.load_verify_locations(settings.authority.file or None, cadata=settings.authority.text or None)
    return context


@contextlib.contextmanager
def _as_file(pem: Pem) -> Iterator[str]:
    """A path at which it can be read; data becomes a file in memory, so that no key gets onto a disk.

    Pythons of uv and conda, which are built for an old glibc, and those of macOS cannot make such a file. Then it is
    one that only this user can read, for a moment.
    """
    if pem.file:
        yield pem.file
        return
    if not hasattr(os, "memfd_create"):
        with tempfile.NamedTemporaryFile("w", encoding="ascii") as kept:
            kept.write(pem.text)
            kept.flush()
            yield kept.name
        return
    descriptor = os.memfd_create("pem")
    try:
        with open(descriptor, "w", encoding="ascii", closefd=False) as file:
            file.write(pem.text)
        yield f"/proc/self/fd/{descriptor}"
    finally:
        os.close(descriptor)


class Stream(Protocol):
    """Bytes in both directions, by a deadline that its owner knows."""

    def receive_into(self, buffer: memoryview) -> int | None:
        """At least one byte; 0: the other side has ended; None: nothing is there, and this is not to wait."""

    def send_all(self, data: bytes) -> None:
        """Raises OSError if the last byte of them was not taken by the kernel."""


class TlsInTls:
    """TLS inside the TLS connection to a proxy; a socket cannot be wrapped twice."""

    def __init__(self, outer: Stream, context: ssl.SSLContext, host: str):
        """Send nothing yet."""
        self._outer = outer
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.context = context
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_hostname=host)
        self._buffer = memoryview(bytearray(_RECORD_BYTES))

    def shake_hands(self) -> None:
        """Raises OSError: the server does not answer, or its certificate is not accepted."""
        self._run(self._tls.do_handshake)

    def receive_into(self, buffer: memoryview) -> int | None:
        """See `Stream`."""
        try:
            return self._run(lambda: self._tls.read(len(buffer), buffer))  # type: ignore[return-value]
        except ssl.SSLWantReadError:
            return None
        except (ssl.SSLZeroReturnError, ssl.SSLEOFError):
            return 0

    def send_all(self, data: bytes) -> None:
        """See `Stream`."""
        while data:
            data = data[self._run(lambda: self._tls.write(data)) :]  # noqa: B023 - is called at once

    def _run(self, step: Callable[[], T]) -> T:
        while True:
            try:
                result = step()
            except ssl.SSLWantReadError:
                self._flush()
                got = self._outer.receive_into(self._buffer)
                if got is None:
                    raise
                if got:
                    self._incoming.write(self._buffer[:got])
                else:
                    self._incoming.write_eof()
            else:
                self._flush()
                return result

    def _flush(self) -> None:
        if data := self._outgoing.read():
            self._outer.send_all(data)
