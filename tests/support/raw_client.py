"""A client of a `RawServer`, its requests, and what may take how long."""

import ssl
from collections.abc import Callable
from typing import Any

import pytest
import trustme
from tests.support.raw_server import RawServer

from rendezvous_api.api_errors import UnreachableError
from rendezvous_handler.kube.client import Client
from rendezvous_handler.kube.credentials import Credentials, Fixed
from rendezvous_handler.kube.server import Server
from rendezvous_handler.kube.tls import Pem, Tls, TlsSettings

LATE = 4.0
"""Seconds that something may take longer than its deadline, on a machine that is busy."""


def client_of(server: RawServer, credentials: Credentials | None = None, tls: Tls | None = None) -> Client:
    """A client of that server."""
    scheme = "https" if tls else "http"
    url = f"{scheme}://127.0.0.1:{server.port}"
    return Client(Server(url, credentials or Fixed(), tls), "team", in_pod=False)


def get(client: Client, timeout: float = 5.0) -> dict[str, Any]:
    """A request that may be made again."""
    return client.get_participant("team", "train.a", timeout)


def patch(client: Client, timeout: float = 5.0) -> dict[str, Any]:
    """A request that may not."""
    return client.patch_participant("team", "train.a", [{"op": "test", "path": "/a", "value": 1}], timeout)


def failure(request: Callable[[], object]) -> UnreachableError:
    """The error of a request that gets no answer."""
    with pytest.raises(UnreachableError) as raised:
        request()
    return raised.value


def tls_of(authority: trustme.CA, *hosts: str) -> ssl.SSLContext:
    """TLS of a server with a certificate for these hosts, 127.0.0.1 if none is given."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(*hosts or ("127.0.0.1",)).configure_cert(context)
    return context


def trust_in(authority: trustme.CA) -> Tls:
    """TLS of a client that accepts this authority alone."""
    return Tls(TlsSettings(authority=Pem(text=authority.cert_pem.bytes().decode())))
