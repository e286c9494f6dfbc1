"""``status.history``: who, why and when, for people."""

from collections.abc import Callable
from dataclasses import replace

import pytest
from tests.unit.core.builders import now
from tests.unit.core.started import running, three, two
from tests.unit.core.worlds import Scenario

from rendezvous_api import names
from rendezvous_api.participant import ParticipantStatus
from rendezvous_api.reasons import AttemptReason, LeaveReason
from rendezvous_api.rendezvous import RoundRecord

WORKER_FAILURE = AttemptReason.WORKER_FAILURE


def moment(seconds: float) -> str:
    """That many seconds after the beginning of a scenario, as it is written."""
    return now(1000 + seconds).micro_time()


def last(scenario: Scenario) -> RoundRecord:
    return scenario.status.history[-1]


def test_a_round_that_lost_a_silent_member_has_all_moments_in_order() -> None:
    scenario = three(suspect_seconds=120, replacement_seconds=30)
    assert last(scenario) == RoundRecord(1, "run", 3, moment(0))
    scenario.at(2)
    scenario.settle()
    assert last(scenario).checked_in == moment(2)
    scenario.silent("c")
    scenario.at(130)
    scenario.reenter("a")
    assert last(scenario).ended is None, "b still runs it"
    scenario.at(140)
    scenario.reenter("b")
    assert scenario.group == ["a", "b"], "c was given 30 s since its last heartbeat"
    assert scenario.status.history == (
        RoundRecord(
            round=1,
            run_id="run",
            nodes=3,
            formed=moment(0),
            checked_in=moment(2),
            last_heard=moment(2),
            asked=moment(122),
            ended=moment(140),
            reason="MemberLost",
            message="c: no heartbeat for more than 120 s",
        ),
        RoundRecord(2, "run", 2, moment(140)),
    )


HAPPENINGS: list[tuple[str, Callable[[Scenario], None]]] = [
    ("b asks to join again: WorkerFailure", lambda group: group.reenter("b", reason=WORKER_FAILURE)),
    ("b asks to join again: MembershipChange", lambda group: group.reenter("b")),
    ("b: it left: Failed", lambda group: group.leave("b")),
    ("b: its participant object is gone", lambda group: group.gone("b")),
    ("b: its agent restarted", lambda group: group.restart("b")),
    ("3 nodes, but spec.maxNodes is 2", lambda group: group.edit(max_nodes=2)),
    ("the annotation was set to 'today'", lambda group: group.request_restart("today")),
]


@pytest.mark.parametrize(("message", "happen"), [pytest.param(*each, id=each[0]) for each in HAPPENINGS])
def test_the_message_says_who_and_why(message: str, happen: Callable[[Scenario], None]) -> None:
    scenario = three()
    happen(scenario)
    assert last(scenario).message == message
    assert last(scenario).asked == moment(0)


def test_when_a_member_was_last_heard_is_said_of_a_loss_alone() -> None:
    scenario = three()
    scenario.at(10)
    scenario.reenter("b", reason=WORKER_FAILURE)
    assert last(scenario).last_heard is None
    scenario = Scenario(2, 2)
    scenario.pod("a", "b")
    scenario.join_from_pods("a", "b")
    scenario.at(10)
    scenario.silent("b")
    scenario.at(14)
    scenario.pod("b", phase="Failed")
    assert (last(scenario).reason, last(scenario).last_heard) == ("MemberLost", moment(10))


def test_of_a_member_that_restarted_the_last_heartbeat_is_not_known() -> None:
    scenario = three()
    scenario.at(10)
    scenario.restart("b")
    assert (last(scenario).reason, last(scenario).last_heard) == ("MemberLost", None)


def test_all_members_must_have_said_that_they_run_the_round() -> None:
    scenario = two()
    scenario.silent("b")
    seen = scenario.seen["b"]
    scenario.seen["b"] = replace(seen, object=replace(seen.object, status=ParticipantStatus()))
    scenario.after(5)
    scenario.settle()
    assert last(scenario).checked_in is None
    scenario.beat("b")
    assert last(scenario).checked_in == moment(5)
    scenario.after(5)
    scenario.settle()
    assert last(scenario).checked_in == moment(5), "a moment that is written is never changed"


def test_a_member_that_is_gone_has_not_said_so() -> None:
    scenario = two()
    scenario.gone("b")
    assert (last(scenario).reason, last(scenario).checked_in) == ("MemberLost", None)


def test_no_member_was_asked_when_a_run_was_closed() -> None:
    scenario = two(suspect_seconds=120)
    scenario.at(10)
    scenario.leave("a", reason=LeaveReason.SUCCEEDED)
    assert last(scenario).reason == "RunSucceeded"
    assert last(scenario).message == "a has finished"
    assert (last(scenario).asked, last(scenario).ended) == (None, None)
    scenario.at(20)
    scenario.leave("b", reason=LeaveReason.SUCCEEDED)
    assert (last(scenario).asked, last(scenario).ended) == (None, moment(20))


def test_all_were_asked_when_the_restart_budget_was_spent() -> None:
    scenario = two(max_restarts=0)
    scenario.at(10)
    scenario.reenter("a", reason=WORKER_FAILURE)
    assert last(scenario).reason == "RestartBudgetExhausted"
    assert last(scenario).message == "WorkerFailed: a asks to join again: WorkerFailure"
    assert (last(scenario).asked, last(scenario).ended) == (moment(10), None)
    scenario.at(20)
    scenario.reenter("b")
    assert last(scenario).ended == moment(20)


def test_a_run_that_is_closed_while_its_members_are_asked_keeps_why_they_were() -> None:
    scenario = three()
    scenario.reenter("a", reason=WORKER_FAILURE)
    scenario.at(10)
    scenario.request_close("b")
    assert scenario.closed_runs == {"run": "CloseRequested"}
    assert (last(scenario).reason, last(scenario).asked) == ("WorkerFailed", moment(0))


def test_a_new_leader_keeps_all_of_it() -> None:
    scenario = three(replacement_seconds=100)
    scenario.at(2)
    scenario.settle()
    scenario.new_leader()
    assert last(scenario).checked_in == moment(2)
    scenario.at(10)
    scenario.leave("c")
    asked = last(scenario)
    scenario.at(20)
    scenario.new_leader()
    assert last(scenario) == asked
    scenario.reenter("a", "b")
    ended = last(scenario)
    assert ended.ended == moment(20)
    scenario.at(30)
    scenario.new_leader()
    assert last(scenario) == ended
    scenario.at(131)
    assert scenario.status.history == (ended, RoundRecord(2, "run", 2, moment(130)))


def test_a_round_that_follows_at_once_ends_the_one_before() -> None:
    scenario = two()
    scenario.at(10)
    scenario.reenter("a", reason=WORKER_FAILURE)
    scenario.at(20)
    scenario.reenter("b")
    first, second = scenario.status.history
    assert (first.ended, second.formed) == (moment(20), moment(20))


def test_only_the_last_rounds_are_kept() -> None:
    scenario = running("a", "b")
    for _ in range(names.MAX_HISTORY + 3):
        scenario.reenter("a", "b", reason=WORKER_FAILURE)
    rounds = [record.round for record in scenario.status.history]
    assert rounds == [*range(scenario.status.round - names.MAX_HISTORY + 1, scenario.status.round + 1)]


@pytest.mark.parametrize("closed_by", ["the budget", "the user"])
def test_a_round_of_a_closed_run_is_over_when_the_last_member_was_asked_for_too_long(closed_by: str) -> None:
    scenario = three(reentry_seconds=330, max_restarts=0 if closed_by == "the budget" else None)
    if closed_by == "the budget":
        scenario.leave("c")
        scenario.leave("b")
    else:
        scenario.request_restart("now")
        scenario.edit(closed=True)
    scenario.at(329)
    assert last(scenario).ended is None
    scenario.at(331)
    assert last(scenario).ended == moment(330)


def test_a_round_has_no_end_before_a_reason_for_it() -> None:
    """While the user keeps the Rendezvous closed, no rule ends the round, whatever its members do."""
    scenario = running("a", "b")
    scenario.edit(closed=True)
    scenario.reenter("a", "b", reason=WORKER_FAILURE)
    assert last(scenario).reason is None
    assert last(scenario).ended is None
    scenario.edit(closed=False)
    assert scenario.status.history[0].reason == "WorkerFailed"
