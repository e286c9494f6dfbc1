"""The ways to the API server that tests cut: what a client of one sees, and what has been carried out."""

import http.client
import json
import random
import socket
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from tests.support.api import Api
from tests.support.gateway import HOST, PATHS, Gateway, Gateways, as_admin

from rendezvous_controlplane import LocalControlPlane


@pytest.fixture
def gateways() -> Iterator[Gateways]:
    made = Gateways()
    yield made
    made.close()


@pytest.fixture
def way(gateways: Gateways, control_plane: LocalControlPlane) -> Gateway:
    return gateways.open("n0", as_admin(control_plane))


def fail(gateways: Gateways, way: str, *paths: str) -> None:
    gateways.fail("n0", paths or PATHS, way, 1.0, random.Random(1))


def request(way: Gateway, method: str, path: str, body: Any = None) -> tuple[int, Any]:
    connection = http.client.HTTPConnection(HOST, way.port, timeout=5)
    text = None if body is None else json.dumps(body)
    connection.request(method, path, text, {"Content-Type": "application/json"})
    answer = connection.getresponse()
    return answer.status, json.loads(answer.read())


def config_map(name: str) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}}


def maps_of(namespace: str) -> str:
    return f"/api/v1/namespaces/{namespace}/configmaps"


def watch(way: Gateway, namespace: str) -> http.client.HTTPResponse:
    connection = http.client.HTTPConnection(HOST, way.port, timeout=5)
    connection.request("GET", maps_of(namespace) + "?watch=true&resourceVersion=0&timeoutSeconds=60")
    return connection.getresponse()


def has_ended(read: Callable[[], bytes]) -> bool:
    """Whether a connection has ended, with or without an error, and nothing more came."""
    try:
        return read() == b""
    except (ConnectionError, http.client.HTTPException):
        return True


def test_requests_and_watches_pass(way: Gateway, namespace: str) -> None:
    stream = watch(way, namespace)
    assert request(way, "POST", maps_of(namespace), config_map("a"))[0] == 201
    assert json.loads(stream.readline())["object"]["metadata"]["name"] == "a"
    assert request(way, "GET", f"{maps_of(namespace)}/a")[0] == 200


@pytest.mark.parametrize("code", ["429", "500"])
def test_an_error_in_the_words_of_the_api_server(
    gateways: Gateways, way: Gateway, control_plane: LocalControlPlane, namespace: str, code: str
) -> None:
    fail(gateways, code, "write")
    status, answer = request(way, "POST", maps_of(namespace), config_map("a"))
    assert (status, answer["kind"], answer["code"]) == (int(code), "Status", int(code))
    assert Api(control_plane, namespace).find("ConfigMap", "a") is None
    assert request(way, "GET", maps_of(namespace))[0] == 200
    gateways.heal("n0")
    assert request(way, "POST", maps_of(namespace), config_map("a"))[0] == 201


def test_an_answer_that_is_lost_was_carried_out(
    gateways: Gateways, way: Gateway, control_plane: LocalControlPlane, namespace: str
) -> None:
    fail(gateways, "lost")
    with pytest.raises((ConnectionError, http.client.HTTPException)):
        request(way, "POST", maps_of(namespace), config_map("a"))
    assert Api(control_plane, namespace).find("ConfigMap", "a") is not None


def test_a_cut_watch_breaks_and_the_rest_goes_on(gateways: Gateways, way: Gateway, namespace: str) -> None:
    stream = watch(way, namespace)
    fail(gateways, "refused", "watch")
    assert has_ended(stream.readline)
    with pytest.raises((ConnectionError, http.client.HTTPException)):
        watch(way, namespace)
    assert request(way, "POST", maps_of(namespace), config_map("a"))[0] == 201


def test_a_watch_that_is_slow_shows_everything_later(way: Gateway, namespace: str) -> None:
    way.lags["configmaps"] = 0.5
    stream = watch(way, namespace)
    began = time.monotonic()
    assert request(way, "POST", maps_of(namespace), config_map("a"))[0] == 201
    assert json.loads(stream.readline())["object"]["metadata"]["name"] == "a"
    assert time.monotonic() - began >= 0.5


def test_a_silent_way_says_nothing_until_it_is_healed(gateways: Gateways, way: Gateway, namespace: str) -> None:
    stream = watch(way, namespace)
    fail(gateways, "silent")
    with socket.create_connection((HOST, way.port), timeout=1) as client:
        client.sendall(f"GET {maps_of(namespace)} HTTP/1.1\r\n\r\n".encode())
        with pytest.raises(TimeoutError):
            client.recv(1)
        gateways.heal("n0")
        assert has_ended(lambda: client.recv(1))
    assert has_ended(stream.readline)
    assert request(way, "GET", maps_of(namespace))[0] == 200
    assert (way.requests, way.failed) == (3, 1)


def test_an_api_server_that_is_away_is_no_answer(gateways: Gateways) -> None:
    def away() -> tuple[int, str]:
        raise OSError("it is stopped")

    with pytest.raises((ConnectionError, http.client.HTTPException)):
        request(gateways.open("n1", away), "GET", "/readyz")
