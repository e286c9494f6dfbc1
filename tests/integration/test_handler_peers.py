"""What heartbeats say of the other members of a round, against a real API server; the test plays the operator."""

import contextlib
import socket
import time
from collections.abc import Iterator
from typing import Any

import pytest
from tests.integration.handler_support import Json, Node, Nodes, PlayedOperator
from tests.support.peers import kill
from tests.support.proxy import Proxy
from tests.support.waiting import wait_until

from rendezvous_api.reasons import HostState
from rendezvous_controlplane import LocalControlPlane
from rendezvous_handler.agent.store_port import StorePort
from rendezvous_handler.torchrun.round_store import RoundStore

ALL_WELL: Json = {"host": "Answers"}


class Seen:
    """What the API server has of the members."""

    def __init__(self, operator: PlayedOperator):
        self._operator = operator

    def status(self, node: str) -> Json:
        """The last heartbeat of a node."""
        return self._operator.participant(f"train.{node}").get("status") or {}

    def peers(self, node: str) -> Json:
        """What it says of the others."""
        return self.status(node).get("peers")

    def report(self, node: str) -> Json:
        """The sets that it has; without the number."""
        found = (self.peers(node) or {}).get("report")
        return None if found is None else {key: value for key, value in found.items() if key != "number" and value}

    def until(self, node: str, peers: Json, timeout: float = 20.0) -> float:
        """Wait until its heartbeat says that; returns the seconds that it took."""
        began = time.monotonic()
        wait_until(lambda: self.peers(node) == peers, f"{peers} of {node}", timeout)
        return time.monotonic() - began

    def until_report(self, node: str, **sets: str) -> float:
        """The same of a report."""
        began = time.monotonic()
        wait_until(lambda: self.report(node) == sets, f"{sets} of {node}", 20.0)
        return time.monotonic() - began


@pytest.fixture
def seen(operator: PlayedOperator) -> Seen:
    return Seen(operator)


@pytest.fixture
def trio(operator: PlayedOperator, nodes: Nodes, seen: Seen) -> dict[str, Node]:
    """Three members of round 1 with a heartbeat interval that is long: what comes soon has been asked for."""
    operator.create(heartbeatIntervalSeconds=30)
    return form(operator, nodes, seen)


def form(operator: PlayedOperator, nodes: Nodes, seen: Seen) -> dict[str, Node]:
    made = {node: nodes.node(node).join() for node in "abc"}
    operator.publish(operator.joined({f"train.{node}": 1 for node in "abc"}))
    for node in made.values():
        node.returned()
    await_connections(made)
    return made


def await_connections(made: dict[str, Node]) -> None:
    """Wait until the host, ``a``, has beats of all others, and they have answers."""

    def are_there() -> bool:
        said = {node: peers_of(made[node]).evidence() for node in made}
        host = said.pop("a")
        return (
            host is not None
            and host.report.not_connected == ""
            and all(found is not None and found.host is HostState.ANSWERS for found in said.values())
        )

    wait_until(are_there, "connections", 20)


def peers_of(node: Node) -> Any:
    """The connections of a node."""
    return node.handler._agent.participant.peers


def test_all_members_of_a_round_see_each_other(operator: PlayedOperator, nodes: Nodes, seen: Seen) -> None:
    operator.create()
    made = form(operator, nodes, seen)
    seen.until("b", ALL_WELL)
    seen.until("c", ALL_WELL)
    seen.until_report("a")
    assert "host" not in seen.peers("a")
    # In next_rendezvous no workers run, so there is nothing to say.
    made["b"].join()
    operator.joined({"train.a": 1, "train.b": 2, "train.c": 1})
    wait_until(lambda: seen.status("b").get("attempt") == 2, "a heartbeat of the next attempt")
    assert "peers" not in seen.status("b")
    seen.until_report("a", left="1")
    seen.until("c", ALL_WELL)


def test_a_member_that_is_killed_is_reported_within_two_seconds(trio: dict[str, Node], seen: Seen) -> None:
    kill(peers_of(trio["c"]))
    assert seen.until_report("a", closed="2") < 2.0


def test_members_report_a_host_that_is_killed_within_two_seconds(trio: dict[str, Node], seen: Seen) -> None:
    kill(peers_of(trio["a"]))
    assert seen.until("b", {"host": "Closed"}) < 2.5
    assert seen.until("c", {"host": "Closed"}) < 1.0


def test_the_next_round_has_other_connections(trio: dict[str, Node], operator: PlayedOperator, seen: Seen) -> None:
    for node in trio.values():
        node.join()
    operator.publish(operator.joined(dict.fromkeys(("train.a", "train.b", "train.c"), 2)), round_number=2)
    for node in trio.values():
        node.returned()
    await_connections(trio)
    kill(peers_of(trio["b"]))
    seen.until_report("a", closed="1")
    assert seen.status("a")["round"] == 2


def test_a_host_that_leaves_frees_its_port(trio: dict[str, Node], operator: PlayedOperator, seen: Seen) -> None:
    port = peers_of(trio["a"])._listener.getsockname()[1]
    trio["a"].join()
    operator.joined({"train.a": 2, "train.b": 1, "train.c": 1})
    StorePort("127.0.0.1", [port]).close()
    assert seen.until("b", {"host": "Left"}) < 3.0


def test_waiting_nodes_are_answered_by_a_heartbeat(trio: dict[str, Node], operator: PlayedOperator, seen: Seen) -> None:
    wait_until(lambda: seen.status("b").get("round") == 1, "the heartbeat of the round")
    before = seen.status("b")["heartbeatTime"]
    operator.write(waitingNodes=1)
    wait_until(trio["b"].handler.num_nodes_waiting, "num_nodes_waiting")
    wait_until(lambda: seen.status("b")["heartbeatTime"] != before, "a heartbeat", 5)
    again = seen.status("b")["heartbeatTime"]
    for _ in range(20):
        assert trio["b"].handler.num_nodes_waiting() == 1
        time.sleep(0.05)
    assert seen.status("b")["heartbeatTime"] == again, "only one is asked for"


@pytest.mark.parametrize("cut", ["refuse", "swallow"])
def test_another_member_passes_the_report_on_while_the_host_does_not_reach_the_api_server(
    control_plane: LocalControlPlane, operator: PlayedOperator, nodes: Nodes, seen: Seen, cut: str
) -> None:
    operator.create(heartbeatIntervalSeconds=1)
    with Proxy(control_plane.port) as proxy:
        kubeconfig = control_plane.kubeconfig_via(proxy.port)
        made = {"a": nodes.node("a", kubeconfig).join(), "b": nodes.node("b").join(), "c": nodes.node("c").join()}
        operator.publish(operator.joined({f"train.{node}": 1 for node in made}))
        for node in made.values():
            node.returned()
        await_connections(made)
        seen.until_report("a")
        getattr(proxy, cut)()
        seen.until_report("b")
        kill(peers_of(made["c"]))
        seen.until_report("b", closed="2")
        assert seen.report("a") == {}
        proxy.mend()
        seen.until_report("a", closed="2")
        seen.until("b", ALL_WELL)
        nodes.shut_down()  # as long as there is a way to say so


# ---- rounds without such connections


@contextlib.contextmanager
def without(monkeypatch: pytest.MonkeyPatch, *methods: str) -> Iterator[None]:
    """Agents of an earlier release, as long as this goes on."""
    with monkeypatch.context() as patch:
        for method in methods:
            patch.setattr(RoundStore, method, lambda store: None)
        yield


@pytest.mark.parametrize("earlier", ["a", "b"])
def test_an_earlier_release_at_one_end_is_accused_of_nothing(
    operator: PlayedOperator, nodes: Nodes, seen: Seen, monkeypatch: pytest.MonkeyPatch, earlier: str
) -> None:
    operator.create()
    made = {node: nodes.node(node).join() for node in "ab"}
    members = operator.joined({"train.a": 1, "train.b": 1})
    with without(monkeypatch, "_open_peers" if earlier == "a" else "_find_peers"):
        operator.publish(members)
        for node in made.values():
            node.returned()
    wait_until(lambda: seen.status("a").get("round") == seen.status("b").get("round") == 1, "both heartbeats")
    time.sleep(5)
    assert (seen.peers("a"), seen.peers("b")) == (None, None)


def test_one_port_is_for_the_store(
    operator: PlayedOperator, nodes: Nodes, seen: Seen, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "rendezvous_handler")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    operator.create()
    made = {"a": nodes.node("a", store_port=str(port)).join(), "b": nodes.node("b").join()}
    operator.publish(operator.joined({"train.a": 1, "train.b": 1}))
    for node in made.values():
        node.returned()
    lines = [line for line in caplog.messages if "the only port of store_port is that of the store" in line]
    assert len(lines) == 1
    wait_until(lambda: seen.status("a").get("round") == seen.status("b").get("round") == 1, "both heartbeats")
    assert (seen.peers("a"), seen.peers("b")) == (None, None)


def test_two_ports_are_enough_for_round_after_round(operator: PlayedOperator, nodes: Nodes, seen: Seen) -> None:
    with socket.socket() as first, socket.socket() as second:
        first.bind(("127.0.0.1", 0))
        port = first.getsockname()[1]
        try:
            second.bind(("127.0.0.1", port + 1))
        except OSError:
            pytest.skip(f"port {port + 1} is in use")
    operator.create()
    made = {"a": nodes.node("a", store_port=f"{port}-{port + 1}").join(), "b": nodes.node("b").join()}
    for number in (1, 2, 3):
        operator.publish(operator.joined({"train.a": number, "train.b": number}), round_number=number)
        for node in made.values():
            node.returned()
        await_connections(made)
        for node in made.values():
            node.join()


def test_a_round_of_one_has_no_connections(operator: PlayedOperator, nodes: Nodes, seen: Seen) -> None:
    operator.create()
    alone = nodes.node("a").join()
    operator.publish(operator.joined({"train.a": 1}))
    alone.returned()
    assert peers_of(alone) is None
    wait_until(lambda: seen.status("a").get("round") == 1, "a heartbeat")
    assert seen.peers("a") is None
