"""Rule "bad machines": who has a mark is kept out of rounds, and ends none."""

from typing import Any

import pytest
from tests.unit.core.machine_worlds import MachineScenario
from tests.unit.core.started import together

from rendezvous_api.reasons import AttemptReason, FormationReason, LeaveReason
from rendezvous_api.rendezvous import PassedOver
from rendezvous_api.rendezvous_spec import AllowedSizes, Exclude
from rendezvous_operator.core.machines import LOOK_AGAIN_SECONDS
from rendezvous_operator.core.select.bad_machines import RARELY_SECONDS
from rendezvous_operator.core.world import Machine, Taint

SLOW = {"heartbeat_interval_seconds": 100, "suspect_seconds": 300}
"""The operator looks again for the sake of heartbeats only after five minutes."""
NO_MARK_OF_A_MACHINE = Exclude(cordoned=False, known_marks=False, names=("gpu-7",))
CORDONED = Machine(cordoned=True)
SICK = Machine(labels={"dgxc.nvidia.com/nvsentinel-state": "quarantined"})
SICK_AND_CORDONED = Machine(labels=SICK.labels, cordoned=True)


def trains(*nodes: str, most: int = 4, least: int = 2, **spec: Any) -> MachineScenario:
    """A round of these nodes runs."""
    times = {"last_call_seconds": 0, "replacement_seconds": 30, "scale_up_interval_seconds": 0, **SLOW}
    return together(MachineScenario(least, most, **{**times, **spec}), *nodes)


def kept_out(scenario: MachineScenario) -> list[str]:
    """Who is passed over, whether as a spare or not at all."""
    return [entry.name for entry in scenario.status.passed_over]


def fail(scenario: MachineScenario, *nodes: str) -> None:
    """The round ends, since workers of the first one have failed, and these join again."""
    scenario.reenter(nodes[0], reason=AttemptReason.WORKER_FAILURE)
    scenario.reenter(*nodes[1:])


@pytest.mark.parametrize("machine", [CORDONED, SICK])
def test_a_newcomer_on_a_bad_machine_ends_no_round_and_is_no_spare(machine: Machine) -> None:
    scenario = trains("a", "b")
    scenario.machines["machine-of-c"] = machine
    scenario.join("c")
    scenario.after(3600)
    assert (scenario.status.round, scenario.asks, scenario.status.spares) == (1, False, ())
    assert kept_out(scenario) == ["c"]
    assert scenario.status.formation is None


def test_people_read_who_is_kept_out_and_why() -> None:
    scenario = trains("a", "b")
    scenario.machines["machine-of-c"] = CORDONED
    scenario.join("c")
    message = "its machine machine-of-c is cordoned"
    assert scenario.status.passed_over == (PassedOver("c", "Cordoned", message, "machine-of-c"),)  # type: ignore[arg-type]
    assert scenario.explanation == f"Running: round 1 runs with 2 nodes; c is kept out: {message}"
    assert scenario.condition("Degraded").status == "False", "nothing is wrong with the round"
    told = [event for event in scenario.events if event.reason == "NodePassedOver"]
    assert [(event.message, event.warning) for event in told] == [(f"c is passed over: {message}", False)]
    scenario.after(600)
    assert scenario.messages().count("NodePassedOver") == 1


def test_an_event_names_the_first_of_several() -> None:
    scenario = trains("a", "b")
    scenario.machines |= {"machine-of-c": CORDONED, "machine-of-d": SICK}
    scenario.complete = False
    scenario.join("c", "d")
    scenario.complete = True
    scenario.settle()
    (told,) = (event.message for event in scenario.events if event.reason == "NodePassedOver")
    assert told == "c is passed over: its machine machine-of-c is cordoned (and 1 more)"


def test_it_is_taken_in_soon_after_the_mark_is_gone() -> None:
    scenario = trains("a", "b")
    scenario.machines["machine-of-c"] = CORDONED
    scenario.join("c")
    scenario.after(100)
    del scenario.machines["machine-of-c"]
    scenario.after(RARELY_SECONDS)
    assert scenario.ended_because == "ScaleUp"
    scenario.all_join_again()
    assert scenario.group == ["a", "b", "c"]
    assert kept_out(scenario) == []


def test_a_spare_on_a_bad_machine_is_not_promoted() -> None:
    scenario = trains("a", "b", most=2)
    scenario.join("c", "d")
    spares = scenario.status.spares
    assert spares == ("c", "d")
    scenario.machines["machine-of-c"] = CORDONED
    scenario.leave("a")
    scenario.all_join_again()
    assert scenario.group == ["d", "b"]
    assert kept_out(scenario) == ["c"]
    assert scenario.status.spares == ()


def test_a_mark_that_comes_ends_no_running_round() -> None:
    scenario = trains("a", "b", "c")
    scenario.machines |= {f"machine-of-{name}": SICK_AND_CORDONED for name in "abc"}
    scenario.after(3600)
    scenario.machines["machine-of-d"] = SICK
    scenario.join("d")
    scenario.after(3600)
    assert (scenario.status.round, scenario.ended_because) == (1, None)


def test_a_member_with_a_mark_is_kept_out_of_the_next_round_and_not_waited_for() -> None:
    scenario = trains("a", "b", "c")
    scenario.machines["machine-of-b"] = SICK
    fail(scenario, "a", "b", "c")
    assert scenario.group == ["a", "c"]
    assert scenario.status.passed_over == (
        PassedOver(
            "b",
            "Labelled",  # type: ignore[arg-type]
            "its machine machine-of-b has the label dgxc.nvidia.com/nvsentinel-state=quarantined",
            "machine-of-b",
        ),
    )
    scenario.after(600)
    assert scenario.status.round == 2
    del scenario.machines["machine-of-b"]
    scenario.after(RARELY_SECONDS)
    scenario.all_join_again()
    assert scenario.group == ["a", "b", "c"], "it has its rank again"


def test_a_member_that_is_only_cordoned_stays_if_nobody_waits_for_its_place() -> None:
    scenario = trains("a", "b", "c")
    scenario.machines["machine-of-b"] = CORDONED
    fail(scenario, "a", "b", "c")
    assert scenario.group == ["a", "b", "c"]
    assert kept_out(scenario) == []
    assert "NodePassedOver" not in scenario.messages()


def test_it_gives_way_to_a_spare() -> None:
    scenario = trains("a", "b", "c", most=3)
    scenario.join("d")
    scenario.machines["machine-of-b"] = CORDONED
    fail(scenario, "a", "b", "c")
    assert scenario.group == ["a", "d", "c"]
    assert scenario.status.passed_over == (
        PassedOver("b", "Cordoned", "its machine machine-of-b is cordoned", "machine-of-b"),  # type: ignore[arg-type]
    )
    assert scenario.explanation.endswith("with 3 nodes; b is kept out: its machine machine-of-b is cordoned")
    assert scenario.status.spares == (), "it is kept out, since it is no member any more"
    scenario.leave("a")
    scenario.all_join_again()
    scenario.after(30)
    assert scenario.group == ["c", "d"]


def test_a_mark_beside_the_cordon_keeps_a_member_out() -> None:
    scenario = trains("a", "b", "c")
    scenario.machines["machine-of-b"] = SICK_AND_CORDONED
    fail(scenario, "a", "b", "c")
    assert scenario.group == ["a", "c"]


def test_a_first_round_waits_for_enough_nodes_without_a_mark() -> None:
    scenario = MachineScenario(2, 3, last_call_seconds=10)
    scenario.machines |= {"machine-of-b": CORDONED, "machine-of-c": SICK}
    scenario.join("a", "b", "c")
    scenario.after(3600)
    formation = scenario.status.formation
    assert formation is not None
    assert (scenario.status.round, formation.reason, formation.joined) == (0, FormationReason.WAITING_FOR_NODES, 1)
    b, c = "is kept out: its machine machine-of-b is cordoned", "is kept out: its machine machine-of-c has the label "
    assert formation.message.startswith(f"1 of at least 2 nodes; b {b}, c {c}")
    assert {item.name: item.message for item in formation.missing}["b"] == b
    assert scenario.closed_runs == {}, "it waits without an end"
    del scenario.machines["machine-of-b"]
    scenario.after(LOOK_AGAIN_SECONDS)
    assert scenario.status.formation is not None
    assert scenario.status.formation.reason is FormationReason.LAST_CALL
    scenario.after(10)
    assert scenario.group == ["a", "b"]


def test_too_few_close_the_run_only_where_the_spec_says_so() -> None:
    scenario = MachineScenario(2, 3, last_call_seconds=0, too_few_seconds=60)
    scenario.machines["machine-of-b"] = CORDONED
    scenario.join("a", "b")
    scenario.after(59)
    assert scenario.closed_runs == {}
    scenario.after(1)
    assert scenario.closed_runs == {"run": "TooFewEligible"}
    closed = scenario.events[-1] if scenario.events[-1].reason == "RunClosed" else scenario.events[-2]
    said = "marks leave 1 node of at least 2; b is kept out: its machine machine-of-b is cordoned"
    assert closed.message == f"run 'run' is closed: TooFewEligible: {said}"
    assert {*scenario.refused} == {"a", "b"}


def test_that_time_begins_again_when_a_mark_goes() -> None:
    scenario = MachineScenario(2, 3, last_call_seconds=600, too_few_seconds=60)
    scenario.machines["machine-of-b"] = CORDONED
    scenario.join("a", "b")
    scenario.after(50)
    del scenario.machines["machine-of-b"]
    scenario.after(LOOK_AGAIN_SECONDS)
    scenario.machines["machine-of-b"] = CORDONED
    scenario.join("x")
    scenario.leave("x", reason=LeaveReason.TIMED_OUT)
    scenario.after(59)
    assert scenario.closed_runs == {}
    scenario.after(1)
    assert scenario.closed_runs == {"run": "TooFewEligible"}


@pytest.mark.parametrize("why", ["others are missing, too", "a round runs", "it is suspended", "members may come"])
def test_where_marks_are_not_the_cause_the_run_goes_on(why: str) -> None:
    if why == "others are missing, too":
        scenario = MachineScenario(3, 3, last_call_seconds=0, too_few_seconds=60)
        scenario.machines["machine-of-b"] = CORDONED
        scenario.join("a", "b")
    else:
        scenario = trains("a", "b", "c", too_few_seconds=60, reentry_seconds=3600)
        scenario.machines["machine-of-d"] = CORDONED
        scenario.join("d")
        if why == "it is suspended":
            scenario.machines |= {f"machine-of-{name}": SICK for name in "abc"}
            scenario.edit(suspend=True)
            scenario.all_join_again()
        elif why == "members may come":
            scenario.reenter("a", reason=AttemptReason.WORKER_FAILURE)
    scenario.after(120)
    assert scenario.closed_runs == {}


def test_only_sizes_that_are_allowed_count_as_enough() -> None:
    scenario = MachineScenario(2, 4, last_call_seconds=0, too_few_seconds=60, sizes=AllowedSizes(list=(2, 4)))
    scenario.machines |= {"machine-of-b": SICK, "machine-of-c": SICK}
    scenario.join("a", "b", "c")
    scenario.after(60)
    assert scenario.closed_runs == {"run": "TooFewEligible"}


def test_known_pods_that_are_kept_out_are_not_waited_for() -> None:
    """All known pods have joined, so the round starts after five seconds, not after the last call."""
    scenario = MachineScenario(2, 4, last_call_seconds=600)
    scenario.machines["machine-of-c"] = SICK
    scenario.pod("a", "b", "c")
    scenario.join_from_pods("a", "b", "c", run=None)
    scenario.after(5)
    assert scenario.group == ["a", "b"]


def test_a_pod_that_people_keep_out_needs_no_machine() -> None:
    scenario = trains("a", "b")
    scenario.may_read = False
    scenario.pod("c", labels={"rdzv.dev/exclude": "true"})
    scenario.join_from_pods("c")
    assert kept_out(scenario) == ["c"]
    scenario.pod("c")
    assert scenario.ended_because == "ScaleUp"


def test_a_round_is_the_larger_one_that_is_left() -> None:
    """Newcomers with a mark do not fill the group, and others do."""
    scenario = trains("a", "b", most=3, scale_up_interval_seconds=300)
    scenario.machines["machine-of-c"] = Machine(taints=(Taint("readiness.k8s.io/gpu", "", "NoSchedule"),))
    scenario.join("c")
    scenario.after(299)
    assert not scenario.asks
    scenario.join("d")
    assert scenario.ended_because == "ScaleUp"
    scenario.all_join_again()
    assert scenario.group == ["a", "b", "d"]


def test_a_group_in_which_nobody_waits_costs_no_reads() -> None:
    scenario = trains("a", "b", "c")
    scenario.asked.clear()
    scenario.after(3600)
    scenario.settle()
    assert {*scenario.asked} == {()}
    assert len(scenario.asked) < 3600 / RARELY_SECONDS


def test_a_spec_without_marks_of_machines_costs_no_reads() -> None:
    scenario = trains("a", "b", most=2, exclude=NO_MARK_OF_A_MACHINE)
    scenario.join("c")
    scenario.after(60)
    assert {*scenario.asked} == {()}
    assert scenario.wake_at is not None
    assert scenario.wake_at > scenario.clock + RARELY_SECONDS


def test_while_a_round_runs_only_the_machines_of_those_that_wait_are_read() -> None:
    scenario = trains("a", "b", most=2)
    scenario.join("c")
    scenario.asked.clear()
    scenario.after(10 * RARELY_SECONDS)
    assert {*scenario.asked} == {("machine-of-c",)}
    assert len(scenario.asked) in range(10, 25)


def test_while_a_round_is_formed_the_machines_of_all_are_read() -> None:
    scenario = trains("a", "b", "c")
    scenario.asked.clear()
    scenario.reenter("a", reason=AttemptReason.WORKER_FAILURE)
    assert {*scenario.asked} >= {("machine-of-a", "machine-of-b", "machine-of-c")}
    scenario.leave("c")
    scenario.asked.clear()
    scenario.settle()
    assert {*scenario.asked} == {("machine-of-a", "machine-of-b")}


def test_after_the_end_of_a_run_no_machine_of_its_members_is_read() -> None:
    scenario = trains("a", "b", "c")
    scenario.leave("a", reason=LeaveReason.SUCCEEDED)
    scenario.asked.clear()
    scenario.settle()
    assert {*scenario.asked} == {()}


@pytest.mark.parametrize("spec", [{"exclude": NO_MARK_OF_A_MACHINE}, {"suspend": True}])
def test_nobody_looks_again_without_a_reason(spec: dict[str, Any]) -> None:
    scenario = MachineScenario(2, 3, last_call_seconds=0, **SLOW)
    scenario.machines["machine-of-b"] = CORDONED
    scenario.join("b")
    assert scenario.wake_at == scenario.clock + LOOK_AGAIN_SECONDS
    scenario.edit(**spec)
    assert scenario.wake_at is not None
    assert scenario.wake_at >= scenario.clock + RARELY_SECONDS


def test_nobody_looks_again_while_a_round_is_formed_and_nobody_is_kept_out() -> None:
    scenario = MachineScenario(2, 3, **SLOW)
    scenario.join("a")
    assert scenario.wake_at is not None
    assert scenario.wake_at > scenario.clock + RARELY_SECONDS


def test_a_member_of_an_earlier_run_is_a_newcomer() -> None:
    scenario = trains("a", "b")
    scenario.leave("a", "b", reason=LeaveReason.SUCCEEDED)
    scenario.machines["machine-of-a"] = CORDONED
    scenario.restart("a", run_id="next")
    assert scenario.status.run_id == "next"
    assert kept_out(scenario) == ["a"]


def test_a_long_list_of_marks_is_cut() -> None:
    scenario = trains("a", "b", exclude=Exclude(labels=("*",)), most=2)
    scenario.machines["machine-of-c"] = Machine(labels={f"example.com/label-{number}": "x" for number in range(50)})
    scenario.join("c")
    (entry,) = scenario.status.passed_over
    assert len(entry.message) == 256


def test_without_the_right_to_read_machines_nobody_looks_again() -> None:
    scenario = trains("a", "b", most=2)
    scenario.may_read = False
    scenario.join("c")
    assert scenario.wake_at is not None
    assert scenario.wake_at > scenario.clock + RARELY_SECONDS


def test_who_is_kept_out_of_a_closed_rendezvous_is_not_listed() -> None:
    scenario = trains("a", "b")
    scenario.machines["machine-of-c"] = CORDONED
    scenario.join("c")
    assert kept_out(scenario) == ["c"]
    scenario.edit(closed=True)
    assert kept_out(scenario) == []
