"""Rule "liveness": a silent member whose machine is down is lost sooner. The times are since the start."""

from dataclasses import replace

import pytest
from tests.unit.core.machine_worlds import WithPeersAndMachines, lost_at, running

from rendezvous_api.reasons import RoundEndReason
from rendezvous_operator.core import machines
from rendezvous_operator.core.world import Detection, LossEvidence, Machine


def test_a_silent_member_whose_machine_is_down_is_lost_in_the_time_to_confirm() -> None:
    scenario = running()
    scenario.down["machine-of-c"] = "is NotReady"
    scenario.silent("c")
    scenario.at(16)
    assert scenario.warning == "c is silent since 2030-01-01T00:16:40Z, and its machine machine-of-c is NotReady"
    assert lost_at(scenario) == 25
    record = scenario.status.history[-1] if scenario.status.history[-1].reason else scenario.status.history[-2]
    assert record.reason == RoundEndReason.MEMBER_LOST
    assert record.message == "c: no heartbeat for more than 15 s, and its machine machine-of-c is NotReady"
    assert scenario.detected == {"c": Detection(LossEvidence.MACHINE, 25.0)}


def test_the_time_counts_from_when_the_machine_was_seen_to_be_down() -> None:
    scenario = running()
    scenario.silent("c")
    scenario.at(50)
    scenario.down["machine-of-c"] = "is unreachable"
    # The operator looks again within 5 s.
    assert lost_at(scenario) in range(60, 66)


def test_a_machine_that_is_well_shortens_nothing() -> None:
    scenario = running()
    scenario.silent("c")
    assert lost_at(scenario) == 120
    assert scenario.detected["c"].evidence is LossEvidence.SILENCE


def test_nor_does_one_that_is_well_again() -> None:
    scenario = running()
    scenario.silent("c")
    scenario.down["machine-of-c"] = "is NotReady"
    scenario.at(22)
    del scenario.down["machine-of-c"]
    scenario.at(40)
    assert not scenario.asks
    scenario.down["machine-of-c"] = "is NotReady"
    assert lost_at(scenario) in range(50, 56)


def test_nor_does_one_that_may_not_be_read() -> None:
    scenario = running()
    scenario.may_read = False
    scenario.asked.clear()
    scenario.down["machine-of-c"] = "is NotReady"
    scenario.silent("c")
    assert lost_at(scenario) == 120
    assert scenario.asked == []


def test_a_member_whose_heartbeats_arrive_is_not_lost_with_its_machine() -> None:
    """Only the kubelet of its machine has stopped. Nobody even looks at the machine."""
    scenario = running(heartbeat_interval_seconds=5)
    scenario.down["machine-of-c"] = "is NotReady"
    for moment in range(0, 300, 5):
        scenario.at(moment)
        scenario.beat("c")
    assert not scenario.asks
    assert scenario.warning == ""
    assert {*scenario.asked} == {()}


def test_its_next_heartbeat_shows_that_it_lives() -> None:
    scenario = running()
    scenario.down["machine-of-c"] = "is NotReady"
    scenario.silent("c")
    scenario.at(24)
    scenario.beat("c")
    scenario.silent("c")
    # It is silent again 15 s later, and the time to confirm begins with that.
    assert lost_at(scenario) == 49


def test_an_agent_with_a_long_interval_has_its_time() -> None:
    """It does not know that its machine is reported as down, so it sends no heartbeat sooner."""
    scenario = running(heartbeat_interval_seconds=30, suspect_seconds=300)
    scenario.down["machine-of-c"] = "is out of service"
    scenario.silent("c")
    assert lost_at(scenario, 400) == 100


def test_a_short_time_to_suspect_holds_all_the_same() -> None:
    scenario = running(suspect_seconds=20)
    scenario.down["machine-of-c"] = "is NotReady"
    scenario.silent("c")
    assert lost_at(scenario) == 20
    assert scenario.detected["c"].evidence is LossEvidence.SILENCE


def test_no_machine_is_read_before_the_agent_is_silent_by_the_interval_that_it_keeps() -> None:
    scenario = running()
    scenario.interval_seconds = 30
    scenario.at(1)
    scenario.silent("c")
    scenario.at(90)
    assert machines.to_know(scenario.clock, scenario.world()) == ()
    scenario.at(92)
    assert machines.to_know(scenario.clock, scenario.world()) == ("machine-of-c",)


@pytest.mark.parametrize(("interval", "confirm", "seconds"), [(1, 30, 30), (30, 10, 90), (5, 10, 15)])
def test_a_machine_that_was_down_before_shortens_no_silence_further(interval: int, confirm: int, seconds: int) -> None:
    """Another member on it was silent long before."""
    scenario = running(heartbeat_interval_seconds=interval, suspect_seconds=300, confirm_seconds=confirm)
    world = replace(scenario.world(), machines={"machine-of-c": Machine("is NotReady")})
    began = scenario.clock
    since = {machines.fact("machine-of-c"): began - 1000.0}
    assert machines.lost_seconds(began + 1.0, began, scenario.seen["c"], world, since) == seconds


def test_a_member_is_read_before_it_is_lost() -> None:
    scenario = running()
    scenario.down["machine-of-c"] = "is NotReady"
    scenario.silent("c")
    scenario.at(24)
    scenario.reads.clear()
    scenario.at(25)
    assert [target.name for target in scenario.reads] == ["c"]


def test_an_isolated_round_is_kept_although_its_machines_are_down() -> None:
    """The kubelets report by the same path as the agents."""
    scenario = running(isolated_round_seconds=3600)
    scenario.down |= {f"machine-of-{name}": "is unreachable" for name in "abc"}
    scenario.silent("a", "b", "c")
    scenario.join("d")
    for moment in range(0, 600, 5):
        scenario.at(moment)
        scenario.beat("d")
    assert (scenario.status.round, scenario.asks) == (1, False)


def test_a_member_that_its_peers_hear_is_not_lost_with_its_machine() -> None:
    scenario = running(kind=WithPeersAndMachines)
    scenario.down["machine-of-c"] = "is unreachable"
    scenario.silent("c")
    scenario.at(300)
    assert not scenario.asks


def test_a_new_leader_begins_anew() -> None:
    scenario = running()
    scenario.down["machine-of-c"] = "is NotReady"
    scenario.silent("c")
    scenario.at(24)
    scenario.new_leader()
    assert lost_at(scenario) == 24 + 25


@pytest.mark.parametrize("why", ["it is gone", "it was never known"])
def test_a_member_without_a_known_machine(why: str) -> None:
    scenario = running()
    if why == "it was never known":
        seen = scenario.seen["c"]
        scenario.seen["c"] = replace(seen, object=replace(seen.object, spec=replace(seen.object.spec, node_name=None)))
    else:
        scenario.down["machine-of-c"] = "is gone"
    scenario.silent("c")
    assert lost_at(scenario) == (25 if why == "it is gone" else 120)


def test_few_machines_are_read_at_a_time_and_each_once() -> None:
    nodes = [f"n{number:02}" for number in range(16)]
    scenario = running(*nodes)
    for number, name in enumerate(nodes):
        seen = scenario.seen[name]
        spec = replace(seen.object.spec, node_name=f"m{number // 2}" if number < 4 else f"m{number}")
        scenario.seen[name] = replace(seen, object=replace(seen.object, spec=spec))
    scenario.silent(*nodes[1:])
    scenario.at(20)
    assert scenario.asked[-1] == ("m0", "m1", *(f"m{number}" for number in range(4, 12)))
    assert len(scenario.asked[-1]) == machines.MOST


def test_no_machine_is_read_of_who_has_said_its_last_word() -> None:
    scenario = running()
    scenario.down["machine-of-c"] = "is NotReady"
    scenario.leave("c")
    scenario.at(100)
    assert "machine-of-c" not in {name for asked in scenario.asked for name in asked}


@pytest.mark.parametrize("may_read", [True, False])
def test_once_the_round_has_ended_nobody_looks_again_for_its_machines(may_read: bool) -> None:
    scenario = running(replacement_seconds=600)
    scenario.silent("c")
    scenario.at(30)
    scenario.reenter("a")
    scenario.may_read = may_read
    looks = 0
    for moment in range(30, 300):
        looks += scenario.wake_at is not None and scenario.wake_at <= 1000 + moment
        scenario.at(moment)
    assert looks < 25  # else it would be each 5 s
