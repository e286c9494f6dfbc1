"""Who an agent is: claims of its token, names, places, addresses."""

import base64
import json
import re
import shutil
import socket
import subprocess
import sys
from typing import Any

import pytest

from rendezvous_handler.agent import identity
from rendezvous_handler.agent.identity import BoundPod, bound_pod, distinct_subdomain, participant_name, pod_index


def token(claims: Any) -> str:
    payload = base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=")
    return f"header.{payload}.signature"


BOUND = {
    "namespace": "team",
    "pod": {"name": "train-0", "uid": "u-1"},
    "node": {"name": "node-a", "uid": "n-1"},
    "serviceaccount": {"name": "default", "uid": "s-1"},
}


def test_claims_of_a_bound_token() -> None:
    assert bound_pod(token({"kubernetes.io": BOUND})) == BoundPod("team", "train-0", "u-1", "node-a")


def test_a_token_from_before_scheduling_names_no_node() -> None:
    without = {key: value for key, value in BOUND.items() if key != "node"}
    assert bound_pod(token({"kubernetes.io": without})) == BoundPod("team", "train-0", "u-1", None)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "abc",
        "a.b.c",
        "a.!!!.c",
        token({}),
        token([]),
        token("text"),
        token({"kubernetes.io": {"namespace": "team", "serviceaccount": {"name": "default"}}}),
        token({"kubernetes.io": "text"}),
    ],
)
def test_other_tokens_have_no_pod(text: str) -> None:
    assert bound_pod(text) is None


@pytest.mark.parametrize(
    ("pod", "environment", "expected"),
    [
        ("train-7", {}, 7),
        ("train-0", {}, 0),
        ("train-abc12", {}, None),
        ("train-7x", {}, None),
        ("train", {}, None),
        ("train-5-xk2lp", {"JOB_COMPLETION_INDEX": "5"}, 5),
        ("train-9", {"JOB_COMPLETION_INDEX": "3"}, 3),
        ("train-9", {"JOB_COMPLETION_INDEX": "?"}, 9),
        ("train-4294967296000", {}, None),
    ],
)
def test_pod_index(pod: str, environment: dict[str, str], expected: int | None) -> None:
    assert pod_index(pod, environment) == expected


def test_names() -> None:
    assert participant_name("train", "train-0") == "train.train-0"
    assert participant_name("train", "train-0", ".2") == "train.train-0.2"


def test_a_long_name_is_shortened_and_stays_unique() -> None:
    first, second = (participant_name("r" * 63, "p" * 250, suffix) for suffix in ("", ".1"))
    assert first != second
    for name in (first, second):
        assert len(name) == 253
        assert name.startswith("r" * 63 + ".")


@pytest.mark.parametrize(
    ("text", "beginning"),
    [
        ("Host_7.Example.COM-123", "host-7.example.com-123-"),
        ("a..b", "a.b-"),
        ("-a-.-", "a-"),
        ("___", "node-"),
        ("计算", "node-"),
    ],
)
def test_a_text_that_is_no_subdomain_becomes_one_of_its_own(text: str, beginning: str) -> None:
    made = distinct_subdomain(text)
    assert made.startswith(beginning)
    assert re.fullmatch(r"[0-9a-f]{8}", made.removeprefix(beginning))
    assert distinct_subdomain(made) == made


def test_node_ids_that_differ_have_names_that_differ() -> None:
    node_ids = ("node-1", "Node_1", "node_1", "NODE-1", "node-1-", "n1")
    assert len({distinct_subdomain(node_id) for node_id in node_ids}) == len(node_ids)
    assert distinct_subdomain("node-1") == "node-1"


def test_outside_a_pod(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "gethostname", lambda: "My-Host")
    monkeypatch.setattr("os.getpid", lambda: 42)
    found = identity.identify("default", "train", None, pod=None)
    assert (found.name, found.node_id) == (f"train.{distinct_subdomain('My-Host-42')}", "My-Host-42")
    assert (found.pod, found.pod_index, found.slot) == (None, None, None)
    assert identity.identify("default", "train", "node-1", pod=None).name == "train.node-1"


def test_the_agents_of_one_pod_get_the_lowest_free_name() -> None:
    pod = BoundPod("team", "train-2", "uid-of-this-test", "node-a")
    first = identity.identify("team", "train", None, pod)
    second = identity.identify("team", "train", "mine", pod)
    assert (first.name, first.node_id, first.pod_index) == ("train.train-2", "train-2", 2)
    assert (second.name, second.node_id) == ("train.train-2.1", "mine")
    elsewhere = [
        identity.identify("team", "other", None, pod),
        identity.identify("other", "train", None, pod),
        identity.identify("team", "train", None, BoundPod("team", "train-2", "another-uid", None)),
    ]
    assert [found.name for found in elsewhere] == ["other.train-2", "train.train-2", "train.train-2"]
    assert first.slot is not None
    first.slot.close()
    third = identity.identify("team", "train", None, pod)
    assert third.name == "train.train-2"
    for found in [second, third, *elsewhere]:
        assert found.slot is not None
        found.slot.close()


def test_incarnations_fit_the_schema() -> None:
    found = {identity.new_incarnation() for _ in range(100)}
    assert len(found) == 100
    assert all(len(text) == 8 and text.isalnum() and text == text.lower() for text in found)


@pytest.mark.parametrize(
    ("address", "expected"), [("127.0.0.1", True), ("::1", True), ("192.0.2.1", False), ("localhost", True)]
)
def test_loopback(address: str, expected: bool) -> None:
    assert identity.is_loopback(address) is expected


def test_the_address_is_that_of_the_route() -> None:
    assert identity.local_address("https://127.0.0.1:6443", in_pod=False) == "127.0.0.1"


def machine(*commands: str) -> list[str]:
    """The start of a command that is run in a machine's network of its own, made by these arguments of ``ip``."""
    if shutil.which("ip") is None or subprocess.run(["unshare", "--net", "true"], capture_output=True).returncode:
        pytest.skip("needs ip, and the right to make a network namespace")
    made = " && ".join(f"ip {command}" for command in ("link set lo up", *commands))
    return ["unshare", "--net", "sh", "-c", f'{made} && exec "$@"', "sh"]


NETWORK_CARD = (
    "link add eth0 type veth peer name switch",
    "link set switch up",
    "link set eth0 up",
    "address add 192.168.7.5/24 dev eth0",
    "address add fd00:7::5/64 dev eth0 nodad",
)
DEFAULT_ROUTES = ("route add default via 192.168.7.1", "-6 route add default via fd00:7::1")
SERVICES = (
    "link add kube-ipvs0 type bridge",
    "address add 10.96.0.1/32 dev kube-ipvs0",
    "address add fd00:10:96::1/128 dev kube-ipvs0 nodad",
)
"""What kube-proxy does in IPVS mode. The device stays down; its type, dummy there, is one that every kernel has."""


def address_on(network: list[str], url: str, *, in_pod: bool = True) -> str:
    program = (
        "from rendezvous_handler.agent.identity import node_address\n"
        f"try: print(node_address(None, {url!r}, {in_pod}))\n"
        "except (OSError, ValueError) as error: print(type(error).__name__, error)"
    )
    done = subprocess.run([*network, sys.executable, "-c", program], capture_output=True, text=True, check=True)
    return done.stdout.strip()


@pytest.mark.parametrize(
    ("url", "expected"),
    [("https://10.96.0.1:443", "192.168.7.5"), ("https://[fd00:10:96::1]:443", "fd00:7::5")],
)
@pytest.mark.parametrize("services", [(), SERVICES], ids=["iptables", "ipvs"])
def test_the_address_is_none_of_a_service(services: tuple[str, ...], url: str, expected: str) -> None:
    assert address_on(machine(*NETWORK_CARD, *DEFAULT_ROUTES, *services), url) == expected


def test_without_another_address_than_that_of_the_service_the_node_is_told_to_name_one() -> None:
    text = address_on(machine(*NETWORK_CARD, *SERVICES), "https://10.96.0.1:443")
    assert text.startswith("ValueError 10.96.0.1 is the address of the API server")
    assert "set --local-addr" in text


def test_outside_of_pods_the_machine_may_be_that_of_the_api_server() -> None:
    network = machine(*NETWORK_CARD, "address add 192.168.8.5/24 dev eth0", *DEFAULT_ROUTES)
    assert address_on(network, "https://192.168.8.5:6443", in_pod=False) == "192.168.8.5"
