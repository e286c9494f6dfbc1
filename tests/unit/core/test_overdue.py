"""Rule "liveness": who is dead since its pod ought to have ended and its machine is down. Times are since the start."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from tests.unit.core.builders import now
from tests.unit.core.machine_worlds import WithMachines, WithPeersAndMachines
from tests.unit.core.started import together

from rendezvous_operator.core import machines
from rendezvous_operator.core.nodes import Node
from rendezvous_operator.core.observe import observe
from rendezvous_operator.core.situation import Situation
from rendezvous_operator.core.world import LossEvidence, Machine

GRACE = 30


def in_pods(*nodes: str, kind: Callable[..., WithMachines] = WithMachines, **spec: Any) -> WithMachines:
    """A round of these nodes, which are in known pods, runs."""
    scenario = kind(2, len(nodes), **{"last_call_seconds": 0, "replacement_seconds": 0, **spec})
    scenario.pod(*nodes)
    scenario.complete = False
    scenario.join_from_pods(*nodes)
    scenario.complete = True
    scenario.settle()
    assert scenario.group == [*nodes]
    return scenario


def cut_off(*spares: str, **spec: Any) -> WithMachines:
    """A round of a and b is isolated from 15 s on, and spares are heard. The machines of the members are down."""
    scenario = in_pods("a", "b", **spec)
    scenario.pod(*spares)
    scenario.join_from_pods(*spares)
    scenario.silent("a", "b")
    scenario.down = {"machine-of-a": "is unreachable", "machine-of-b": "is unreachable"}
    return scenario


def deleted(scenario: WithMachines, *who: str, grace: int = GRACE) -> None:
    """Their pods are being deleted from now on."""
    why = "its pod is being deleted"
    scenario.pod(*who, leaving=why, grace_seconds=grace, ends_by=scenario.clock + grace)


def situation(scenario: WithMachines) -> Situation:
    """As it is seen now."""
    seen = observe(now(scenario.clock), scenario.world(), scenario.memory)
    assert isinstance(seen, Situation)
    return seen


def node(scenario: WithMachines, name: str) -> Node:
    """The same of one node."""
    return situation(scenario).nodes[name]


def replaced_at(scenario: WithMachines, until: int) -> int | None:
    """After how many seconds the spares have the next round; None: not until then."""
    for moment in range(round(scenario.clock) - 1000, until):
        scenario.at(moment)
        if scenario.group == ["c", "d"]:
            return moment
    return None


def test_a_member_of_an_isolated_round_is_dead_when_its_pod_ought_to_have_ended() -> None:
    scenario = cut_off("c")
    scenario.at(100)
    deleted(scenario, "a")
    scenario.at(129)
    assert node(scenario, "a").dead is None
    scenario.at(130)
    why = "its pod a ought to have ended, and its machine machine-of-a is unreachable"
    assert node(scenario, "a").dead == why
    assert f"a was lost ({why})" in scenario.explanation
    assert scenario.detected["a"].evidence is LossEvidence.MACHINE
    assert node(scenario, "b").dead is None


def test_so_the_round_is_isolated_no_more() -> None:
    scenario = cut_off("c", "d")
    scenario.at(100)
    deleted(scenario, "a")
    assert replaced_at(scenario, 200) == 130


def test_its_round_is_kept_while_its_machine_is_well() -> None:
    """Its kubelet would say that it has ended. Only the time for the members to join again ends the wait."""
    scenario = cut_off("c", "d")
    scenario.down = {}
    scenario.at(100)
    deleted(scenario, "a")
    assert replaced_at(scenario, 1000) == 100 + scenario.spec.timeouts.reentry_seconds


@pytest.mark.parametrize("moment", [200, 204, 208, 212])
def test_the_operator_looks_for_the_machine_again(moment: int) -> None:
    scenario = cut_off("c", "d")
    scenario.down = {}
    scenario.at(100)
    deleted(scenario, "a")
    scenario.at(moment)
    scenario.down = {"machine-of-a": "is out of service"}
    assert replaced_at(scenario, 400) in range(moment + 1, moment + 6)


def test_its_round_is_kept_while_no_pod_is_deleted() -> None:
    assert replaced_at(cut_off("c", "d"), 1000) is None


def test_nothing_follows_where_machines_may_not_be_read() -> None:
    scenario = cut_off("c", "d")
    scenario.may_read = False
    scenario.at(100)
    deleted(scenario, "a")
    looks = 0
    for moment in range(130, 300):
        looks += scenario.wake_at is not None and scenario.wake_at <= 1000 + moment
        scenario.at(moment)
    assert looks < 20, "nobody looks for machines"
    assert replaced_at(scenario, 1000) == 100 + scenario.spec.timeouts.reentry_seconds


def test_a_short_grace_period_makes_no_member_dead_before_it_is_silent() -> None:
    scenario = cut_off("c", heartbeat_interval_seconds=20, suspect_seconds=600)
    scenario.at(10)
    deleted(scenario, "a", grace=0)
    scenario.at(59)
    assert node(scenario, "a").dead is None
    scenario.at(60)
    assert node(scenario, "a").dead is not None


def test_a_member_whose_heartbeats_arrive_lives_whatever_its_pod_and_machine_say() -> None:
    """Only its kubelet has stopped, so nothing ends its containers. The others wait for it."""
    scenario = in_pods("a", "b", "c")
    scenario.down = {"machine-of-c": "is NotReady"}
    deleted(scenario, "c")
    assert scenario.ended_because == "MemberEvicted"
    scenario.reenter("a", "b")
    scenario.at(300)
    assert node(scenario, "c").dead is None
    assert scenario.status.round == 1
    scenario.silent("c")
    scenario.at(315)
    assert scenario.group == ["a", "b"]


def test_a_member_for_which_its_peers_vouch_lives_until_that_has_ended_for_its_time() -> None:
    scenario = in_pods("a", "b", "c", kind=WithPeersAndMachines)
    scenario.down = {"machine-of-c": "is unreachable"}
    scenario.silent("c")
    deleted(scenario, "c")
    scenario.at(100)
    assert node(scenario, "c").dead is None
    scenario.silent("a")
    # The last heartbeat of the host was that of 100 s. It counts for 15 s, and so does the silence after it.
    scenario.at(114)
    assert node(scenario, "c").dead is None
    scenario.at(115)
    assert node(scenario, "c").dead is not None


def test_its_time_begins_when_they_do_not_vouch_for_it_any_more() -> None:
    scenario = in_pods("a", "b", "c", kind=WithPeersAndMachines)
    assert isinstance(scenario, WithPeersAndMachines)
    scenario.down = {"machine-of-c": "is unreachable"}
    scenario.silent("c")
    deleted(scenario, "c")
    scenario.at(100)
    scenario.says(not_connected=["c"])
    # They did at the last decision before, at 100 s.
    scenario.at(114)
    assert node(scenario, "c").dead is None
    scenario.at(115)
    assert node(scenario, "c").dead is not None
    # What they have said before a heartbeat of it is of no interest, and they may vouch for it again.
    scenario.beat("c")
    scenario.silent("c")
    scenario.at(129)
    assert node(scenario, "c").dead is None
    scenario.at(130)
    assert node(scenario, "c").dead is not None
    scenario.says()
    assert node(scenario, "c").dead is None


def test_a_host_whose_heartbeats_are_rare_vouches_for_as_long_as_it_is_not_silent() -> None:
    scenario = in_pods("a", "b", "c", kind=WithPeersAndMachines, suspect_seconds=600)
    scenario.down = {"machine-of-c": "is unreachable"}
    seen = scenario.seen["a"]
    said = replace(seen.object.status, interval_seconds=60)
    scenario.seen["a"] = replace(seen, object=replace(seen.object, status=said))
    scenario.silent("a", "c")
    deleted(scenario, "c")
    scenario.at(170)
    assert node(scenario, "c").dead is None
    scenario.at(180)
    assert node(scenario, "c").dead is not None


def test_it_is_read_after_that_moment() -> None:
    scenario = cut_off("c")
    scenario.at(100)
    deleted(scenario, "a")
    scenario.at(129)
    scenario.reads.clear()
    scenario.at(130)
    assert "a" in [target.name for target in scenario.reads]


def test_a_heartbeat_that_the_read_shows_makes_it_live() -> None:
    scenario = cut_off("c")
    scenario.at(100)
    deleted(scenario, "a")
    scenario.at(129)
    scenario.beat("a")
    scenario.silent("a")
    scenario.at(143)
    assert node(scenario, "a").dead is None
    scenario.at(144)
    assert node(scenario, "a").dead is not None


def test_it_is_none_of_those_that_are_all_silent() -> None:
    """Of a single other one nothing is known but that it is silent, and that is not the path of all of them."""
    scenario = in_pods("a", "b")
    scenario.silent("a", "b")
    scenario.down = {"machine-of-a": "is unreachable"}
    scenario.at(100)
    deleted(scenario, "a")
    scenario.at(129)
    assert situation(scenario).liveness.all_silent
    scenario.at(130)
    assert node(scenario, "a").dead is not None
    assert not situation(scenario).liveness.all_silent


def test_the_time_for_which_others_are_excused_does_not_count_for_it() -> None:
    """The first heartbeat after all were silent gives each node a full period. Its pod has ended all the same."""
    scenario = in_pods("a", "b", "c")
    scenario.silent("a", "b", "c")
    scenario.down = {"machine-of-a": "is unreachable"}
    scenario.at(100)
    deleted(scenario, "a", grace=0)
    scenario.at(101)
    scenario.beat("b")
    assert node(scenario, "a").dead is not None
    assert node(scenario, "c").dead is None


def test_of_who_has_said_its_last_word_nothing_is_looked_for() -> None:
    scenario = in_pods("a", "b", "c")
    scenario.leave("c")
    deleted(scenario, "c")
    scenario.asked.clear()
    scenario.at(100)
    assert "machine-of-c" not in {name for asked in scenario.asked for name in asked}
    # Another member is on the same machine.
    world = replace(scenario.world(), machines={"machine-of-c": Machine("is gone")})
    seen = observe(now(scenario.clock), world, scenario.memory)
    assert isinstance(seen, Situation)
    assert seen.nodes["c"].dead is None


@pytest.mark.parametrize("number", [2, 15])
def test_machines_of_pods_that_are_deleted_are_read_first(number: int) -> None:
    nodes = [f"n{rank:02}" for rank in range(16)]
    scenario = in_pods(*nodes)
    scenario.silent(*nodes)
    deleted(scenario, nodes[number])
    scenario.at(40)
    assert scenario.asked[-1][0] == f"machine-of-{nodes[number]}"
    assert (
        scenario.asked[-1][1 : machines.MOST]
        == tuple(f"machine-of-{name}" for name in nodes if name != nodes[number])[: machines.MOST - 1]
    )


def test_no_pod_has_anything_to_do_with_a_member_outside_of_pods() -> None:
    scenario = together(WithMachines(2, 2, last_call_seconds=0), "a", "b")
    scenario.down = {"machine-of-b": "is NotReady"}
    scenario.silent("b")
    scenario.at(20)
    assert node(scenario, "b").dead is None
