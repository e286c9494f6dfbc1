"""Addresses of the API server: what is looked up, and what is said when none answers."""

import socket
import time
from typing import Any

import pytest
from tests.support.raw_client import client_of, failure, get
from tests.support.raw_server import RawServer, answer, deaf_server

from rendezvous_handler.kube.background import Background
from rendezvous_handler.kube.client import Client
from rendezvous_handler.kube.credentials import Fixed
from rendezvous_handler.kube.dial import Resolver, connected
from rendezvous_handler.kube.server import Server


def test_an_address_is_not_looked_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """It needs no thread, and no name server."""

    def no_lookup(*_: object) -> Any:
        raise AssertionError("this was looked up")

    monkeypatch.setattr(Background, "within", no_lookup)
    with RawServer() as server:
        server.scripts.append(server.serve(answer()))
        assert get(client_of(server)) == {}


@pytest.mark.parametrize(("host", "why"), [("api.example", "Name or service not known"), ("a" * 64, ".+")])
def test_a_name_that_is_not_found_is_named(host: str, why: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also one with a label that is too long, which Python does not even ask for."""
    real = socket.getaddrinfo

    def without_names(name: str, *arguments: Any, **options: Any) -> Any:
        if options.get("flags") or len(name) > 63:
            return real(name, *arguments, **options)
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", without_names)
    problem = failure(lambda: get(Client(Server(f"http://{host}", Fixed()), "team", in_pod=False)))
    assert f"looking up {host}: " in str(problem)
    assert problem.not_carried_out
    with pytest.raises(OSError, match=why):
        Resolver(host, 80).addresses(5.0)


def test_a_server_that_takes_no_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rendezvous_handler.kube.dial._CONNECT_SECONDS", 0.2)
    with deaf_server() as deaf, pytest.raises(TimeoutError, match="timed out waiting for a connection"):
        connected(Resolver(*deaf), time.monotonic() + 60)
