"""Rule "replacement groups": how long one that has lost a member is kept."""

from typing import Any

from tests.unit.core.builders import now
from tests.unit.core.healths import stays_out
from tests.unit.core.racks import RACK, held_out, in_racks, join_together, labelled, lose, message, training
from tests.unit.core.worlds import Scenario

from rendezvous_api.reasons import FormationReason, LeaveReason
from rendezvous_api.rendezvous_spec import ESCALATE, ESCALATION_SECONDS, NodePolicies
from rendezvous_operator.core.decide import Steps, steps
from rendezvous_operator.core.verdict import Waits

KEPT: dict[str, Any] = {"group_mode": ESCALATE}


def test_one_node_may_replace_the_lost_one_before_its_replacement_group_is_left_out() -> None:
    scenario = training("a1", "a2", "b1", "b2", spares=("c1", "c2"), replacement_seconds=0, **KEPT)
    lose(scenario, "a1")
    assert scenario.condition("Running").reason == FormationReason.WAITING_FOR_REPLACEMENTS
    assert message(scenario).startswith(
        "replacement group 'a' waits for another node until 2030-01-01T00:21:40Z; a1 was lost (its pod a1 is gone), a2"
    )
    scenario.after(ESCALATION_SECONDS - 1)
    labelled(scenario, "a3")
    scenario.join_from_pods("a3")
    assert scenario.group == ["a3", "a2", "b1", "b2"]


def test_after_the_time_another_one_takes_the_ranks() -> None:
    scenario = training("a1", "a2", "b1", "b2", spares=("c1", "c2"), escalation_seconds=60, **KEPT)
    lose(scenario, "a1")
    scenario.after(59)
    assert scenario.status.round == 1
    scenario.after(1)
    assert scenario.group == ["c1", "c2", "b1", "b2"]
    assert scenario.status.spares == ("a2",)


def test_after_the_time_the_group_goes_on_without_it() -> None:
    scenario = training("a1", "a2", "b1", "b2", "c1", "c2", max_nodes=6, escalation_seconds=60, **KEPT)
    lose(scenario, "a1", "b1")
    assert "replacement group 'a' waits for another node until 2030-01-01T00:17:40Z (and 1 more)" in message(scenario)
    labelled(scenario, "b3")
    scenario.join_from_pods("b3")
    assert scenario.status.round == 1
    assert "(and 1 more)" not in message(scenario)
    scenario.after(60)
    assert {*scenario.group} == {"b2", "b3", "c1", "c2"}


def test_one_of_which_no_node_is_left_is_not_waited_for() -> None:
    scenario = training("a1", "a2", "b1", "b2", **KEPT)
    lose(scenario, "a1", "a2")
    assert scenario.group == ["b1", "b2"]


def test_one_of_which_a_member_is_unhealthy_is_not_waited_for() -> None:
    scenario = training("a1", "a2", "b1", "b2", **KEPT)
    stays_out(scenario, "a1")
    scenario.all_join_again()
    assert scenario.group == ["b1", "b2"]


def test_it_is_kept_only_after_a_loss() -> None:
    scenario = in_racks("a1", "a2", "b1", **KEPT)
    join_together(scenario, "a1", "a2", "b1")
    assert scenario.group == ["a1", "a2"], "a first round waits for the last call only"
    scenario.request_restart("now")
    scenario.all_join_again()
    assert scenario.status.round == 2, "b1 was no member"


def test_it_is_not_kept_for_the_members_of_another_run() -> None:
    scenario = training("a1", "a2", "b1", "b2", **KEPT)
    scenario.leave("a1", "a2", "b1", "b2", reason=LeaveReason.SUCCEEDED)
    scenario.complete = False
    for name in ("a1", "a2", "b1"):
        scenario.restart(name, run_id="second")
    scenario.complete = True
    scenario.settle()
    assert (scenario.status.run_id, scenario.group) == ("second", ["a1", "a2"])


def test_a_member_beyond_its_size_is_waited_for_by_nobody() -> None:
    scenario = Scenario(2, 4, last_call_seconds=0)
    labelled(scenario, "a1", "a2", "a3")
    join_together(scenario, "a1", "a2", "a3")
    scenario.edit(group_key=RACK, group_size=2, **KEPT)
    scenario.request_restart("now")
    scenario.all_join_again()
    assert scenario.group == ["a1", "a2"]


def test_a_member_without_one_is_waited_for_by_nobody() -> None:
    scenario = Scenario(2, 4, last_call_seconds=0)
    labelled(scenario, "a1", "a2")
    scenario.pod("x")
    join_together(scenario, "a1", "a2", "x")
    scenario.edit(group_key=RACK, group_size=2, **KEPT)
    scenario.request_restart("now")
    scenario.all_join_again()
    assert scenario.group == ["a1", "a2"]
    assert scenario.status.spares == ("x",)


def test_the_time_that_is_usual_counts_only_with_escalate() -> None:
    policy = NodePolicies(group_key=RACK, group_size=2, escalation_seconds=60)
    assert policy.kept_seconds == 0
    assert NodePolicies(mode=ESCALATE).kept_seconds == 0
    assert NodePolicies(RACK, 2, ESCALATE).kept_seconds == 300
    assert NodePolicies(RACK, 2, ESCALATE, 60).kept_seconds == 60
    assert NodePolicies(RACK, 2, "Later", 60).kept_seconds == 0, "of a later release"


def test_none_waits_for_a_node_that_is_held_out() -> None:
    scenario = training("a1", "a2", "b1", "b2", **KEPT)
    scenario.request_restart("now")
    held_out(scenario, "a1")
    scenario.all_join_again()
    assert scenario.group == ["b1", "b2"]


def test_what_escalate_waits_for_is_a_moment() -> None:
    scenario = training("a1", "a2", "b1", "b2", escalation_seconds=60, **KEPT)
    lose(scenario, "a1")
    seen = steps(now(scenario.clock), scenario.world(), scenario.memory)
    assert isinstance(seen, Steps)
    assert seen.outlook is not None
    assert isinstance(seen.outlook.waits, Waits)
    assert seen.outlook.until == scenario.clock + 60


def test_nobody_gives_up_since_the_end_of_the_round_took_long() -> None:
    """A member hangs until the reentry timeout; those that have joined again have as long as their join timeout."""
    scenario = training("a1", "a2", "b1", "b2", "c1", "c2", max_nodes=6, reentry_seconds=330, **KEPT)
    scenario.pod_gone("a1")
    scenario.reenter("a2", "b2", "c1", "c2")
    scenario.at(500)
    assert scenario.status.round == 1
    scenario.at(569)
    assert scenario.status.round == 1
    scenario.at(571)
    assert scenario.status.round == 2
