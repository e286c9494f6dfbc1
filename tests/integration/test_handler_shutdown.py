"""Leaving: who serves the store for how long, and what shutdown does when nothing answers."""

import socket
import time

from tests.integration.handler_support import Nodes, PlayedOperator, Shutdown
from tests.support.waiting import wait_until
from torch.distributed.elastic.rendezvous import RendezvousClosedError


def test_rank_0_serves_until_the_others_have_left(operator: PlayedOperator, nodes: Nodes) -> None:
    operator.create()
    a, b = (nodes.node(name, close_timeout=20).join() for name in ("a", "b"))
    operator.publish(operator.joined({"train.a": 1, "train.b": 1}))
    a.returned()
    other = b.returned().store
    shutdown = Shutdown(a.handler)
    wait_until(lambda: operator.participant("train.a")["spec"]["state"] == "Left", "rank 0 has left")
    time.sleep(0.5)
    assert shutdown.runs()
    other.set("still", "served")
    assert Shutdown(b.handler).end().result
    assert shutdown.end(15).result


def test_rank_0_serves_until_the_others_have_joined_again(operator: PlayedOperator, nodes: Nodes) -> None:
    operator.create()
    a, b = (nodes.node(name, close_timeout=20).join() for name in ("a", "b"))
    operator.publish(operator.joined({"train.a": 1, "train.b": 1}))
    a.returned()
    b.returned()
    shutdown = Shutdown(a.handler)
    time.sleep(0.5)
    assert shutdown.runs()
    b.join()
    shutdown.end(15)


def test_serving_is_bounded(operator: PlayedOperator, nodes: Nodes) -> None:
    operator.create()
    a, b = nodes.node("a", close_timeout=2).join(), nodes.node("b").join()
    operator.publish(operator.joined({"train.a": 1, "train.b": 1}))
    a.returned()
    b.returned()
    shutdown = Shutdown(a.handler).end(15)
    assert shutdown.result
    assert shutdown.seconds > 1.5


def test_shutdown_twice_writes_once(operator: PlayedOperator, nodes: Nodes) -> None:
    operator.create()
    a = nodes.node("a").join()
    operator.publish(operator.joined({"train.a": 1}))
    a.returned()
    assert a.handler.shutdown()
    version = operator.participant("train.a")["metadata"]["resourceVersion"]
    assert a.handler.shutdown()
    time.sleep(1.5)  # longer than a heartbeat's interval
    assert operator.participant("train.a")["metadata"]["resourceVersion"] == version


def test_shutdown_ends_a_join_of_another_thread(operator: PlayedOperator, nodes: Nodes) -> None:
    operator.create()
    a = nodes.node("a").join()
    operator.joined({"train.a": 1})
    assert a.handler.shutdown()
    assert type(a.raised()) is RendezvousClosedError


def test_one_store_port_serves_one_round_after_the_other(operator: PlayedOperator, nodes: Nodes) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    operator.create()
    a, b = nodes.node("a", store_port=str(port)).join(), nodes.node("b").join()
    for round_number in (1, 2, 3):
        members = operator.joined({"train.a": round_number, "train.b": round_number})
        assert members["train.a"]["spec"]["storePort"] == port
        operator.publish(members, round_number)
        infos = [a.returned(), b.returned()]  # held, as torch's agent holds its store until the next round
        infos[0].store.set("key", str(round_number))
        assert infos[1].store.get("key") == str(round_number).encode()
        a.join()
        b.join()
    operator.joined({"train.a": 4, "train.b": 4})


def test_a_store_port_in_use_is_named(operator: PlayedOperator, nodes: Nodes) -> None:
    operator.create()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        raised = nodes.node("a", store_port=str(port)).join().raised()
    assert f"cannot bind store_port {port}-{port} at 127.0.0.1" in str(raised)
