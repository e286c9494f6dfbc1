"""What a node says of a check-in that has failed, against a real API server; the test plays the operator."""

import socket
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from tests.integration.handler_support import Json, Nodes, PlayedOperator
from tests.support.waiting import wait_until

from rendezvous_api.rendezvous import Store
from rendezvous_handler.agent.store_port import StorePort
from rendezvous_handler.join.answer import Membership
from rendezvous_handler.torchrun.round_store import RoundStore

GHOST = {"spec": {"incarnation": "00000000", "attempt": 1, "address": "127.0.0.1", "storePort": 1}}


def test_a_missing_member_makes_the_others_join_again(
    operator: PlayedOperator, nodes: Nodes, caplog: pytest.LogCaptureFixture
) -> None:
    operator.create()
    a, b = nodes.node("a", read_timeout=6).join(), nodes.node("b", read_timeout=6).join()
    operator.publish({**operator.joined({"train.a": 1, "train.b": 1}), "train.z": GHOST})
    members = operator.joined({"train.a": 2, "train.b": 2}, timeout=60)
    for item in members.values():
        assert item["spec"]["attemptReason"] == "CheckInFailed"
        assert item["spec"]["checkIn"] == {"round": 1, "reachedStore": True, "missing": ["train.z"]}
    assert "2 of 3 members have come to the store within 6 s; missing: train.z" in caplog.text
    operator.publish(members, round_number=2)
    assert [a.returned().world_size, b.returned().rank] == [2, 1]
    # It belongs to that one attempt.
    a.join()
    assert "checkIn" not in operator.joined({"train.a": 3, "train.b": 2})["train.a"]["spec"]


def test_an_unreachable_store_makes_all_join_again(operator: PlayedOperator, nodes: Nodes) -> None:
    operator.create()
    nodes.node("a", read_timeout=1).join()
    operator.publish({**operator.joined({"train.a": 1}), "train.0": GHOST})
    spec = operator.joined({"train.a": 2})["train.a"]["spec"]
    assert spec["attemptReason"] == "CheckInFailed"
    assert spec["checkIn"] == {"round": 1, "reachedStore": False}


@pytest.fixture
def closed() -> Iterator[Store]:
    """Where nothing answers."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))  # and does not listen
        yield Store("127.0.0.1", bound.getsockname()[1])


def block(handler: Any, closed: Store) -> None:
    """Let the node of this handler reach no store: as if a firewall stood between it and the others."""
    made = handler._round_store

    def blocked(membership: Membership, port: StorePort) -> RoundStore:
        store: RoundStore = made(membership, port)
        start = store.start_check_in

        def start_check_in() -> None:
            store.membership = replace(membership, store=closed)
            start()

        store.start_check_in = start_check_in  # type: ignore[method-assign]
        return store

    handler._round_store = blocked


def joined_again(operator: PlayedOperator, names: set[str]) -> dict[str, Json]:
    """Ask all to join again at the first word of one of them, as the operator does; returns what each has said."""

    def attempts() -> list[int]:
        return [item["spec"]["attempt"] for item in operator.participants().values()]

    wait_until(lambda: 2 in attempts(), "the first that joins again", timeout=60)
    operator.write(waitingNodes=1)
    found = operator.joined(dict.fromkeys(names, 2), timeout=60)
    return {name: item["spec"]["checkIn"] for name, item in found.items()}


@pytest.mark.parametrize("blocked", [{"c"}, {"b", "c"}], ids=["one node reaches no store", "no node reaches the host"])
def test_each_member_says_whether_it_has_reached_the_store_and_who_has_not(
    operator: PlayedOperator, nodes: Nodes, closed: Store, blocked: set[str]
) -> None:
    """Also those that the operator calls back before their own time has passed, such as the host."""
    operator.create()
    everyone = {"train.a": 1, "train.b": 1, "train.c": 1}
    for node in ("a", "b", "c"):
        made = nodes.node(node, read_timeout=6)
        if node in blocked:
            block(made.handler, closed)
        made.join()
    operator.publish(operator.joined(everyone))
    missing = [f"train.{node}" for node in sorted(blocked)]
    reached = {"round": 1, "reachedStore": True, "missing": missing}
    assert joined_again(operator, {*everyone}) == {
        name: {"round": 1, "reachedStore": False} if name in missing else reached for name in everyone
    }


def test_a_member_that_was_given_no_time_to_come_says_nothing(operator: PlayedOperator, nodes: Nodes) -> None:
    operator.create()
    nodes.node("a").join()
    operator.publish({**operator.joined({"train.a": 1}), "train.0": GHOST})
    operator.write(waitingNodes=1)
    spec = operator.joined({"train.a": 2})["train.a"]["spec"]
    assert spec["attemptReason"] == "CheckInFailed"
    assert "checkIn" not in spec


def test_of_many_that_are_missing_the_first_ten_are_named(operator: PlayedOperator, nodes: Nodes) -> None:
    operator.create(max_nodes=20)
    nodes.node("a", read_timeout=2).join()
    ghosts = {f"train.z{number:02}": GHOST for number in range(15)}
    operator.publish({**operator.joined({"train.a": 1}), **ghosts})
    said = operator.joined({"train.a": 2})["train.a"]["spec"]["checkIn"]
    assert said == {"round": 1, "reachedStore": True, "missing": sorted(ghosts)[:10]}


def test_a_superseded_check_in_is_given_up_at_once(operator: PlayedOperator, nodes: Nodes) -> None:
    operator.create()
    a = nodes.node("a", read_timeout=60).join()
    members = operator.joined({"train.a": 1})
    operator.publish({**members, "train.z": GHOST})
    with pytest.raises(AssertionError, match="in vain"):
        wait_until(lambda: not a.waits(), "it returns", timeout=0.5)
    operator.write(waitingNodes=1)
    members = operator.joined({"train.a": 2})  # far below the 60 s of the check-in
    assert members["train.a"]["spec"]["checkIn"] == {"round": 1, "reachedStore": True}
    operator.publish(members, round_number=2)
    assert a.returned().world_size == 1
