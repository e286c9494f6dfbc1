"""The end of a round: each cause alone, and two at the same time."""

from collections.abc import Callable
from itertools import combinations

import pytest
from tests.unit.core.builders import now
from tests.unit.core.healths import stays_out
from tests.unit.core.worlds import Scenario

from rendezvous_api.reasons import FAILURES, AttemptReason, LeaveReason, RoundEndReason
from rendezvous_operator.core.end import (
    member_evicted,
    member_failed,
    member_lost,
    member_reentered,
    member_terminated,
    member_unhealthy,
    restart_requested,
    scale_up,
    suspended,
    too_many_nodes,
)
from rendezvous_operator.core.end.rules import END_RULES, EndRule
from rendezvous_operator.core.observe import observe
from rendezvous_operator.core.situation import Situation
from rendezvous_operator.core.timers import Timers

CHECK_IN_FAILED = AttemptReason.CHECK_IN_FAILED
WORKER_FAILURE = AttemptReason.WORKER_FAILURE


@pytest.mark.parametrize(
    ("happening", "reason"),
    [
        ("a member is ended by a signal", "MemberTerminated"),
        ("a member asks again after a failure", "WorkerFailed"),
        ("a member's check-in failed", "CheckInFailed"),
        ("a member comes back by itself", "MemberReentered"),
        ("a member's health check failed", "MemberUnhealthy"),
        ("a member leaves with a failure", "MemberFailed"),
        ("a member's object is gone", "MemberLost"),
        ("a member is restarted", "MemberLost"),
        ("a member's pod is being deleted", "MemberEvicted"),
        ("a member's pod has failed", "MemberLost"),
        ("the spec is suspended", "Suspended"),
        ("the spec allows fewer", "TooManyNodes"),
        ("the user asks", "RestartRequested"),
    ],
)
def test_a_new_round_is_asked_for_when(happening: str, reason: str) -> None:
    scenario = Scenario(2, 3)
    scenario.pod("a", "b", "c", workload="run")
    scenario.join_from_pods("a", "b", "c")
    match happening:
        case "a member asks again after a failure":
            scenario.reenter("b", reason=WORKER_FAILURE)
        case "a member's check-in failed":
            scenario.reenter("b", reason=CHECK_IN_FAILED)
        case "a member comes back by itself":
            scenario.reenter("b")
        case "a member's health check failed":
            stays_out(scenario, "b")
        case "a member leaves with a failure":
            scenario.leave("b")
        case "a member is ended by a signal":
            scenario.leave("b", reason=LeaveReason.TERMINATED)
        case "a member's object is gone":
            scenario.gone("b")
        case "a member is restarted":
            scenario.restart("b")
        case "a member's pod is being deleted":
            scenario.pod("b", workload="run", leaving="its pod is being deleted")
        case "a member's pod has failed":
            scenario.pod("b", workload="run", phase="Failed")
        case "the spec is suspended":
            scenario.edit(suspend=True)
        case "the spec allows fewer":
            scenario.edit(max_nodes=2)
        case "the user asks":
            scenario.request_restart("today")
    assert scenario.asks
    assert scenario.ended_because == reason
    assert scenario.condition("Running").status == "False"


# What happens to a round of eight, each on another node, and the rule that answers to it.
HAPPENINGS: dict[EndRule, tuple[RoundEndReason, Callable[[Scenario], None]]] = {
    member_lost.causes: (RoundEndReason.MEMBER_LOST, lambda group: group.gone("a")),
    member_evicted.causes: (RoundEndReason.MEMBER_EVICTED, lambda group: group.pod("b", leaving="it is evicted")),
    member_failed.causes: (RoundEndReason.MEMBER_FAILED, lambda group: group.leave("c")),
    member_reentered.worker_failed: (
        RoundEndReason.WORKER_FAILED,
        lambda group: group.reenter("d", reason=AttemptReason.WORKER_FAILURE),
    ),
    member_reentered.check_in_failed: (
        RoundEndReason.CHECK_IN_FAILED,
        lambda group: group.reenter("e", reason=AttemptReason.CHECK_IN_FAILED),
    ),
    member_reentered.for_another_reason: (RoundEndReason.MEMBER_REENTERED, lambda group: group.reenter("f")),
    suspended.causes: (RoundEndReason.SUSPENDED, lambda group: group.edit(suspend=True)),
    member_terminated.causes: (
        RoundEndReason.MEMBER_TERMINATED,
        lambda group: group.leave("g", reason=LeaveReason.TERMINATED),
    ),
    member_unhealthy.causes: (RoundEndReason.MEMBER_UNHEALTHY, lambda group: stays_out(group, "h")),
    too_many_nodes.causes: (RoundEndReason.TOO_MANY_NODES, lambda group: group.edit(max_nodes=7)),
    restart_requested.causes: (RoundEndReason.RESTART_REQUESTED, lambda group: group.request_restart("now")),
    scale_up.causes: (RoundEndReason.SCALE_UP, lambda group: group.join("newcomer")),
}
NEVER_TOGETHER = {too_many_nodes.causes, scale_up.causes}
PAIRS = [pair for pair in combinations(END_RULES, 2) if {*pair} != NEVER_TOGETHER]
ORDERS = ["the first one first", "the second one first"]


def reason_of(rule: EndRule) -> RoundEndReason:
    return HAPPENINGS[rule][0]


NAMED_PAIRS = [pytest.param(*pair, id=" and ".join(str(reason_of(rule)) for rule in pair)) for pair in PAIRS]


def eight_to_whom_happens(*rules: EndRule, max_restarts: int | None = None) -> Scenario:
    """A round of eight to which all of this has happened, as the operator sees it at its next look."""
    group = Scenario(2, 9, last_call_seconds=1, max_restarts=max_restarts)
    group.pod(*"abcdefgh")
    group.join_from_pods(*"abcdefgh")
    group.after(5)
    assert group.group == [*"abcdefgh"]
    group.complete = False
    for rule in rules:
        HAPPENINGS[rule][1](group)
    assert group.ended_because is None
    group.complete = True
    return group


def both_in_one_turn(*rules: EndRule, max_restarts: int | None = None) -> Scenario:
    """The same, after that look."""
    group = eight_to_whom_happens(*rules, max_restarts=max_restarts)
    group.settle()
    return group


def test_every_reason_has_one_rule() -> None:
    assert set(HAPPENINGS) == set(END_RULES)
    assert len(END_RULES) == len(set(END_RULES))
    assert sorted(map(reason_of, END_RULES)) == sorted(RoundEndReason)


def test_the_order_is_the_priority() -> None:
    """A crash that follows from a loss is the loss's. One that follows from an eviction is the eviction's."""
    assert [str(reason_of(rule)) for rule in END_RULES] == [
        "MemberLost",
        "MemberEvicted",
        "MemberUnhealthy",
        "MemberTerminated",
        "MemberFailed",
        "WorkerFailed",
        "CheckInFailed",
        "MemberReentered",
        "Suspended",
        "TooManyNodes",
        "RestartRequested",
        "ScaleUp",
    ]


@pytest.mark.parametrize(("first", "second"), NAMED_PAIRS)
@pytest.mark.parametrize("order", ORDERS)
def test_of_two_causes_in_one_turn_the_first_is_in_the_history(first: EndRule, second: EndRule, order: str) -> None:
    group = both_in_one_turn(*((first, second) if order == ORDERS[0] else (second, first)))
    assert group.ended_because == reason_of(first)
    assert group.asks
    assert group.messages().count("RoundEnded") == 1


@pytest.mark.parametrize(("first", "second"), NAMED_PAIRS)
@pytest.mark.parametrize("order", ORDERS)
def test_of_two_causes_in_one_turn_the_first_decides_about_the_run(first: EndRule, second: EndRule, order: str) -> None:
    rules = (first, second) if order == ORDERS[0] else (second, first)
    group = both_in_one_turn(*rules, max_restarts=0)
    if reason_of(first) in FAILURES:
        assert group.closed_runs == {"run": "RestartBudgetExhausted"}
        message = group.status.history[-1].message
        assert message is not None
        assert message.startswith(f"{reason_of(first)}: ")
    else:
        assert group.closed_runs == {}
        assert group.ended_because == reason_of(first)


@pytest.mark.parametrize("rule", [pytest.param(rule, id=str(reason_of(rule))) for rule in END_RULES])
def test_a_cause_alone_closes_a_run_without_budget_if_it_is_a_failure(rule: EndRule) -> None:
    group = both_in_one_turn(rule, max_restarts=0)
    assert group.closed_runs == ({"run": "RestartBudgetExhausted"} if reason_of(rule) in FAILURES else {})


def test_a_round_that_is_too_large_takes_no_newcomers_in() -> None:
    """So these two are no pair."""
    group = eight_to_whom_happens(too_many_nodes.causes, scale_up.causes)
    situation = observe(now(group.clock), group.world(), group.memory)
    assert isinstance(situation, Situation)
    answers = [[*rule(situation, Timers(group.clock, {}))] for rule in (too_many_nodes.causes, scale_up.causes)]
    assert [len(causes) for causes in answers] == [1, 0]
