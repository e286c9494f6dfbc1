"""Joining, rounds and re-entry against a real API server; the test plays the operator."""

import threading
import time
from datetime import timedelta

import pytest
from tests.integration.handler_support import NOW, Json, Nodes, PlayedOperator
from tests.support.waiting import wait_until
from torch.distributed import TCPStore
from torch.distributed.elastic.rendezvous import (
    RendezvousClosedError,
    RendezvousGracefulExitError,
    RendezvousStateError,
    RendezvousTimeoutError,
)


def test_a_join_is_one_write_and_the_round_reaches_all(operator: PlayedOperator, nodes: Nodes) -> None:
    operator.create()
    a, b = nodes.node("a").join(), nodes.node("b").join()
    members = operator.joined({"train.a": 1, "train.b": 1})
    for name, item in members.items():
        assert item["metadata"]["generation"] == 1
        assert item["metadata"]["labels"] == {"rdzv.dev/rendezvous": "train"}
        assert item["spec"]["attemptReason"] == "Start"
        assert item["spec"]["nodeID"] == name.removeprefix("train.")
        assert "runID" not in item["spec"]
        assert "ownerReferences" not in item["metadata"]

    operator.publish(members)
    first, second = a.returned(), b.returned()
    assert (first.rank, first.world_size) == (0, 2)
    assert (second.rank, second.world_size) == (1, 2)
    store = members["train.a"]["spec"]
    for info in (first, second):
        assert info.bootstrap_store_info is not None
        assert info.bootstrap_store_info.master_addr == store["address"]
        assert info.bootstrap_store_info.master_port == store["storePort"]
    first.store.set("key", "value")
    assert second.store.get("key") == b"value"
    assert a.handler.use_agent_store
    assert [a.handler.num_nodes_waiting(), b.handler.num_nodes_waiting()] == [0, 0]

    heartbeats = {name: item.get("status") for name, item in operator.participants().items()}
    assert wait_until(
        lambda: all((item.get("status") or {}).get("round") == 1 for item in operator.participants().values()),
        f"heartbeats that claim round 1: {heartbeats}",
    )
    assert operator.participant("train.b")["status"]["rank"] == 1


def test_workers_find_the_store_without_a_prefix(operator: PlayedOperator, nodes: Nodes) -> None:
    operator.create()
    node = nodes.node("a").join()
    operator.publish(operator.joined({"train.a": 1}))
    info = node.returned().bootstrap_store_info
    assert info is not None
    worker = TCPStore(info.master_addr, info.master_port, is_master=False, timeout=timedelta(seconds=10))
    assert worker.num_keys() <= 6  # ours alone: four of the check-in, and what torch itself keeps


def test_unshared_store_agrees_on_another_port(
    operator: PlayedOperator, nodes: Nodes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TORCH_DISABLE_SHARE_RDZV_TCP_STORE", "1")
    operator.create()
    a, b = nodes.node("a").join(), nodes.node("b").join()
    members = operator.joined({"train.a": 1, "train.b": 1})
    operator.publish(members)
    infos = [node.returned().bootstrap_store_info for node in (a, b)]
    assert infos[0] == infos[1]
    assert infos[0] is not None
    assert infos[0].master_port != members["train.a"]["spec"]["storePort"]
    assert not a.handler.use_agent_store


def test_membership_change_makes_all_join_again_with_a_new_store(operator: PlayedOperator, nodes: Nodes) -> None:
    operator.create()
    a, b = nodes.node("a").join(), nodes.node("b").join()
    operator.publish(operator.joined({"train.a": 1, "train.b": 1}))
    before = a.returned()
    b.returned()
    c = nodes.node("c").join()
    operator.joined({"train.a": 1, "train.b": 1, "train.c": 1})
    operator.write(waitingNodes=1)
    for node in (a, b):
        assert wait_until(node.handler.num_nodes_waiting, "num_nodes_waiting") == 1
        node.join()
    members = operator.joined({"train.a": 2, "train.b": 2, "train.c": 1})
    assert members["train.a"]["spec"]["attemptReason"] == "MembershipChange"
    assert a.handler.num_nodes_waiting() == 0
    operator.publish(members, round_number=2)
    after = a.returned()
    assert [after.world_size, b.returned().rank, c.returned().rank] == [3, 1, 2]
    assert after.bootstrap_store_info != before.bootstrap_store_info
    after.store.set("x", "y")
    assert c.returned().store.get("x") == b"y"


def test_worker_failure_is_named(operator: PlayedOperator, nodes: Nodes) -> None:
    operator.create()
    a = nodes.node("a").join()
    operator.publish(operator.joined({"train.a": 1}))
    a.returned()
    assert a.handler.num_nodes_waiting() == 0
    a.join()
    assert operator.joined({"train.a": 2})["train.a"]["spec"]["attemptReason"] == "WorkerFailure"


@pytest.mark.parametrize(
    ("reason", "error"),
    [
        ("RunSucceeded", RendezvousGracefulExitError),
        ("RunClosed", RendezvousClosedError),
        ("OtherRunActive", RendezvousStateError),
        ("WrongAddress", RendezvousStateError),
    ],
)
def test_refusals(operator: PlayedOperator, nodes: Nodes, reason: str, error: type[Exception]) -> None:
    operator.create()
    a = nodes.node("a").join()
    operator.joined({"train.a": 1})
    operator.refuse("train.a", reason, "use another --rdzv-id")
    raised = a.raised()
    assert type(raised) is error
    assert "use another --rdzv-id" in str(raised)


def test_a_round_without_this_attempt_does_not_admit(operator: PlayedOperator, nodes: Nodes) -> None:
    operator.create()
    a = nodes.node("a").join()
    members = operator.joined({"train.a": 1})
    members["train.a"]["spec"]["incarnation"] = "00000000"
    operator.publish(members)
    with pytest.raises(AssertionError, match="in vain"):
        wait_until(lambda: not a.waits(), "it returns", timeout=1.0)


def test_timeout_names_what_is_missing_and_is_written(operator: PlayedOperator, nodes: Nodes) -> None:
    operator.create(min_nodes=2, joinSeconds=15)
    a = nodes.node("a").join()
    operator.joined({"train.a": 1})
    operator.write(
        conditions=operator.running("WaitingForNodes", "1 of at least 2 nodes"),
        formation={
            "reason": "WaitingForNodes",
            "message": "1 of at least 2 nodes",
            "startTime": "2026-01-01T00:00:00Z",
            "joined": 1,
            "missing": [{"name": "train-1", "message": "Pending (Insufficient nvidia.com/gpu)"}],
        },
    )
    raised = a.raised(60)
    assert type(raised) is RendezvousTimeoutError
    assert "WaitingForNodes: 1 of at least 2 nodes; train-1: Pending (Insufficient nvidia.com/gpu)" in str(raised)
    spec = operator.participant("train.a")["spec"]
    assert (spec["state"], spec["leaveReason"]) == ("Left", "TimedOut")
    a.handler.shutdown()
    assert operator.participant("train.a")["spec"]["leaveReason"] == "TimedOut"


def test_a_spare_waits_without_a_deadline(operator: PlayedOperator, nodes: Nodes) -> None:
    operator.create(joinSeconds=10)
    a = nodes.node("a").join()
    operator.joined({"train.a": 1})
    operator.write(spares=["train.a"], conditions=operator.running("Running", "x", "True"))
    with pytest.raises(AssertionError, match="in vain"):
        wait_until(lambda: not a.waits(), "it gives up", timeout=14.0)
    operator.write(spares=[])
    assert type(a.raised(60)) is RendezvousTimeoutError


def test_a_new_rendezvous_of_the_same_name_is_joined_anew(operator: PlayedOperator, nodes: Nodes) -> None:
    operator.create()
    a = nodes.node("a").join()
    first = operator.joined({"train.a": 1})["train.a"]["spec"]["rendezvousUID"]
    operator.delete()
    made = operator.create()
    members = operator.joined({"train.a": 2})
    assert members["train.a"]["spec"]["rendezvousUID"] == made["metadata"]["uid"] != first
    operator.publish(members)
    a.returned()

    # And while its workers run.
    operator.delete()
    operator.create()
    assert wait_until(a.handler.num_nodes_waiting, "num_nodes_waiting") == 1


def test_deleted_while_training_ends_nothing(operator: PlayedOperator, nodes: Nodes) -> None:
    operator.create()
    a = nodes.node("a").join()
    operator.publish(operator.joined({"train.a": 1}))
    a.returned()
    operator.delete()
    with pytest.raises(AssertionError, match="in vain"):
        wait_until(a.handler.num_nodes_waiting, "num_nodes_waiting", timeout=1.0)


def test_many_nodes_in_one_process(operator: PlayedOperator, nodes: Nodes) -> None:
    operator.create(max_nodes=16)
    made = [nodes.node(f"n{number:02}").join() for number in range(12)]
    operator.publish(operator.joined({f"train.n{number:02}": 1 for number in range(12)}))
    infos = [node.returned(timeout=40) for node in made]
    assert [info.rank for info in infos] == list(range(12))
    ended = [threading.Thread(target=node.handler.shutdown) for node in made]
    for thread in ended:
        thread.start()
    for thread in ended:
        thread.join(60)
    assert {item["spec"]["leaveReason"] for item in operator.participants().values()} == {"Succeeded"}


def test_an_attempt_that_was_dropped_is_followed_by_the_next_one(
    operator: PlayedOperator, nodes: Nodes, caplog: pytest.LogCaptureFixture
) -> None:
    operator.create()
    a = nodes.node("a").join()
    operator.joined({"train.a": 1})
    for attempt in (1, 2):
        operator.refuse("train.a", "JoinAnew", "attempt was dropped from round 3")
        spec = operator.joined({"train.a": attempt + 1})["train.a"]["spec"]
        assert spec["attemptReason"] == "Start"
    assert f"{operator.namespace}/train has dropped this attempt, joining again: attempt was dropped" in caplog.text
    operator.publish(operator.joined({"train.a": 3}))
    assert a.returned().world_size == 1


def test_an_agent_that_is_dropped_each_time_does_not_write_without_end(operator: PlayedOperator, nodes: Nodes) -> None:
    """As soon as each answer comes: what it writes is bounded by pauses that grow."""
    operator.create()
    nodes.node("a").join()
    operator.joined({"train.a": 1})
    end = time.monotonic() + 8
    while time.monotonic() < end:
        operator.refuse("train.a", "JoinAnew", "attempt was dropped from round 3")
    assert operator.participant("train.a")["spec"]["attempt"] < 10


LATER = "2999-01-01T00:00:00Z"


def gathering(joined: int) -> Json:
    return {
        "reason": "Gathering",
        "message": f"{joined} more nodes joined and will be added once the round has run for 3600 s",
        "startTime": NOW,
        "joined": joined,
    }


def held_out(name: str) -> list[Json]:
    message = "it did not reach the store of round 3"
    return [{"name": name, "reason": "StoreNotReached", "message": message, "until": LATER, "times": 1}]


def test_a_node_that_is_gathered_or_held_out_waits_without_a_deadline(
    operator: PlayedOperator, nodes: Nodes, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "rendezvous_handler")
    operator.create(joinSeconds=10)
    a, b = nodes.node("a").join(), nodes.node("b").join()
    operator.joined({"train.a": 1, "train.b": 1})
    running = operator.running("Running", "round 3 runs with 2 nodes", "True")
    operator.write(conditions=running, formation=gathering(1), heldOut=held_out("train.b"))
    with pytest.raises(AssertionError, match="in vain"):
        wait_until(lambda: not (a.waits() and b.waits()), "one gives up", timeout=14.0)
    assert f"this node is held out until {LATER} (1 in a row): it did not reach the store of round 3." in caplog.text
    assert "1 more nodes joined and will be added once the round has run for 3600 s" in caplog.text
    # Who waits for nodes again has its whole time again, and then gives up as ever.
    waiting = operator.running("WaitingForNodes", "2 of at least 3 nodes")
    operator.write(conditions=waiting, formation=None, heldOut=[])
    for node in (a, b):
        raised = node.raised(60)
        assert type(raised) is RendezvousTimeoutError
        assert "2 of at least 3 nodes" in str(raised)


def test_a_round_that_admits_a_node_restarts_its_join_timeout(operator: PlayedOperator, nodes: Nodes) -> None:
    """However long its check-in takes, and however often it fails."""
    operator.create(joinSeconds=8)
    a = nodes.node("a", read_timeout=3).join()
    ghost = {"spec": {"incarnation": "00000000", "attempt": 1, "address": "127.0.0.1", "storePort": 1}}
    for attempt in (1, 2, 3):
        operator.publish({**operator.joined({"train.a": attempt}), "train.z": ghost}, round_number=attempt)
    operator.publish(operator.joined({"train.a": 4}), round_number=4)
    assert a.returned().world_size == 1
