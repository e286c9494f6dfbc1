"""Rare heartbeats in the model: what is noticed, is noticed as soon as without them, and nobody is dropped for them."""

from random import Random
from typing import Any

import pytest
from tests.model import fair
from tests.model.operator import KEY
from tests.model.search import play, started
from tests.model.system import Setup, System

from rendezvous_api import names

RARE = 300
TIMES = (("last_call_seconds", 5), ("replacement_seconds", 0), ("scale_up_interval_seconds", 30))
A, B, C, D, E = (f"train.{letter}" for letter in "abcde")


def running(rare: bool, *nodes: str, most: int = 4) -> System:
    """A round of these nodes has run for five minutes; a is its host."""
    often = (("heartbeat_peers_interval_seconds", RARE),) if rare else ()
    setup = Setup(agents=5, min_nodes=2, max_nodes=most, peers=True, may=frozenset({"cuts"}), spec=(*TIMES, *often))
    system = play(setup, started(setup, nodes))
    passes(system, 300)
    membership = system.agents[A].membership
    assert membership is not None
    assert membership.rank == 0
    return system


def passes(system: System, seconds: int) -> None:
    fair.run(system, lambda _: False, seconds - 1, chance=Random(1))


def status(system: System) -> dict[str, Any]:
    found = system.server.find(names.RENDEZVOUS_KIND, KEY.name)
    assert found is not None
    read: dict[str, Any] = found["status"]
    return read


def degraded(system: System) -> str:
    found = next(one for one in status(system)["conditions"] if one["type"] == "Degraded")
    return str(found["message"]) if found["status"] == "True" else ""


def is_asked(system: System) -> bool:
    return bool(status(system)["waitingNodes"] > 0 or status(system)["round"] > 1)


def takes(system: System, *members: str, within: int = 200) -> int:
    """Seconds until exactly these train together."""

    def they_train(system: System) -> bool:
        listed = {member["name"] for member in status(system)["participants"]}
        return listed == {*members} and fair.all_train(system, members)

    took = fair.run(system, they_train, within, chance=Random(1))
    assert took is not None, "\n".join(system.story[-40:])
    return took


def test_an_idle_group_sends_few_heartbeats_and_nobody_is_dropped() -> None:
    system = running(True, A, B, C, D)
    before = {name: len(system.agents[name].beats) for name in (A, B, C, D)}
    for _ in range(60):
        passes(system, 20)
        assert degraded(system) == ""
    sent = {name: len(system.agents[name].beats) - before[name] for name in (A, B, C, D)}
    assert sent[A] > 200, "the host keeps the interval of all"
    assert max(sent[B], sent[C], sent[D]) <= 1200 / RARE
    assert status(system)["round"] == 1


@pytest.mark.parametrize("how", ["dies", "loses its power"])
@pytest.mark.parametrize("who", [(A,), (D,), (C, D), (A, D)], ids=["host", "member", "two members", "host and member"])
def test_a_loss_is_noticed_as_soon_as_without_them(who: tuple[str, ...], how: str) -> None:
    left = [name for name in (A, B, C, D) if name not in who]
    times = {}
    for rare in (False, True):
        system = running(rare, A, B, C, D)
        for name in who:
            system.do((how, name))
        asked = fair.run(system, is_asked, 60, chance=Random(1))
        assert asked is not None
        times[rare] = (asked, asked + takes(system, *left))
    assert times[True][0] <= times[False][0] + 1
    assert times[True][1] <= times[False][1] + 6, "at most one interval more"


def test_a_host_that_does_not_reach_the_api_server_is_not_lost() -> None:
    system = running(True, A, B, C, D)
    system.do(("cannot write", A))
    for _ in range(60):
        passes(system, 5)
        assert not is_asked(system)
    assert "train.a sends no heartbeats" in degraded(system)
    system.do(("writes again", A))
    passes(system, 20)
    assert degraded(system) == ""


def test_a_host_that_reaches_neither_the_api_server_nor_a_member_is_not_lost() -> None:
    system = running(True, A, B, C, D)
    system.do(("cannot write", A))
    system.do(("beats are lost", A, D))
    for _ in range(60):
        passes(system, 2)
        assert not is_asked(system)


def test_a_member_whose_connection_breaks_says_so_and_lives() -> None:
    system = running(True, A, B, C, D)
    system.do(("loses sight", A, D))
    for _ in range(60):
        passes(system, 2)
        assert not is_asked(system)
    assert "train.d" in degraded(system)
    before = len(system.agents[D].beats)
    passes(system, 60)
    assert len(system.agents[D].beats) - before >= 10, "the interval of all holds again"


def test_a_member_that_does_not_reach_the_api_server_any_more_is_shown_after_its_interval() -> None:
    system = running(True, A, B, C, D)
    system.do(("is cut off", D))
    passes(system, RARE + 30)
    assert "train.d sends no heartbeats" in degraded(system)
    assert not is_asked(system)


def test_a_newcomer_is_taken_in_when_all_are_heard() -> None:
    system = running(True, A, B, C)
    system.do(("starts", D))
    took = takes(system, A, B, C, D, within=60)
    assert took <= 20, "the group is full with it"


def test_no_newcomer_is_taken_in_while_a_member_is_cut_off() -> None:
    system = running(True, A, B, C)
    passes(system, 60)  # its last heartbeat is not new
    system.do(("is cut off", C))
    system.do(("starts", D))
    for _ in range(40):
        passes(system, 10)
        assert not is_asked(system)
    system.do(("is reached again", C))
    assert takes(system, A, B, C, D, within=120) < 120
