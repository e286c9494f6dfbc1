"""Rule "exclusivity": no round beside another one."""

from dataclasses import replace

import pytest
from tests.unit.core.builders import now
from tests.unit.core.started import running, three, two
from tests.unit.core.worlds import Scenario

from rendezvous_api.participant import ParticipantStatus
from rendezvous_api.reasons import AttemptReason, FormationReason, LeaveReason

WORKER_FAILURE = AttemptReason.WORKER_FAILURE
SUCCEEDED = LeaveReason.SUCCEEDED


def test_no_round_while_a_member_has_not_come_back() -> None:
    scenario = running("a", "b", "c", replacement_seconds=0)
    scenario.reenter("a", "b", reason=WORKER_FAILURE)
    assert scenario.asks
    scenario.after(300)
    assert scenario.status.round == 1
    assert scenario.condition("Running").reason == FormationReason.WAITING_FOR_MEMBERS
    assert "c has not joined again" in scenario.explanation
    scenario.reenter("c")
    assert scenario.status.round == 2


@pytest.mark.parametrize("end", ["leaves", "is gone", "is restarted", "falls silent"])
def test_a_member_that_has_ended_blocks_no_round(end: str) -> None:
    scenario = running("a", "b", "c", replacement_seconds=0)
    scenario.reenter("a", "b", reason=WORKER_FAILURE)
    match end:
        case "leaves":
            scenario.leave("c")
        case "is gone":
            scenario.gone("c")
        case "is restarted":
            scenario.restart("c")
        case "falls silent":
            scenario.silent("c")
            scenario.after(16)
    assert scenario.status.round == 2
    assert set(scenario.group) == ({"a", "b", "c"} if end == "is restarted" else {"a", "b"})


def test_a_member_that_was_asked_long_ago_blocks_no_round() -> None:
    scenario = running("a", "b", "c", replacement_seconds=0, reentry_seconds=330)
    scenario.reenter("a", "b", reason=WORKER_FAILURE)
    scenario.after(329)
    assert scenario.status.round == 1
    scenario.after(1)
    assert set(scenario.group) == {"a", "b"}


def test_a_node_that_reports_a_round_in_which_it_is_not_listed_blocks_the_next_one() -> None:
    scenario = running("a", "b", "c", replacement_seconds=0)
    scenario.silent("c")
    scenario.reenter("a", "b", reason=WORKER_FAILURE)
    scenario.after(16)
    assert set(scenario.group) == {"a", "b"}
    # c wakes and still trains in round 1; then a fails once more.
    scenario.beat("c")
    scenario.reenter("a", "b", reason=WORKER_FAILURE)
    scenario.after(60)
    assert scenario.status.round == 2
    assert "c still runs round 1" in scenario.explanation
    scenario.reenter("c")
    assert set(scenario.group) == {"a", "b", "c"}


class Claiming(Scenario):
    """The agent x is of another run, and says that it runs a round, as each of its attempts."""

    def claim(self) -> None:
        seen = self.seen["x"].object
        spec = replace(seen.spec, attempt=seen.spec.attempt + 1)
        heartbeat = ParticipantStatus(spec.incarnation, spec.attempt, 1, 0, now(self.clock).timestamp)
        self._put(replace(seen, spec=spec, status=heartbeat))
        self.settle()


def test_who_reports_a_round_with_ever_new_attempts_holds_the_next_one_as_long_as_any_other() -> None:
    scenario = Claiming(2, 2)
    scenario.join("a", "b")
    scenario.join("x", run="another")
    scenario.claim()
    scenario.reenter("a", reason=WORKER_FAILURE)
    scenario.all_join_again()
    for _ in range(4):
        scenario.after(80)
        assert scenario.status.round == 1
        assert "x still runs round 1" in scenario.explanation
        scenario.claim()
    scenario.after(11)
    assert (scenario.status.round, scenario.group) == (2, ["a", "b"])


def test_members_of_a_deleted_rendezvous_of_the_same_name_hold_the_next_round_before_they_report_theirs() -> None:
    """It was made anew right after it had published their round."""
    scenario = Scenario(2, 2, reentry_seconds=330)
    scenario.join("a", "b", rendezvous_uid="of the deleted one")
    scenario.join("c", "d")
    assert scenario.status.round == 0
    assert "a may run a round of the deleted Rendezvous of this name" in scenario.explanation
    scenario.gone("a")
    scenario.after(329)
    assert scenario.status.round == 0
    scenario.after(1)
    assert scenario.group == ["c", "d"]


def test_who_joins_again_after_its_rendezvous_was_made_anew_holds_nobody() -> None:
    scenario = Scenario(2, 4, last_call_seconds=30)
    scenario.join("a", "b", rendezvous_uid="of the deleted one")
    scenario.join("c", "d")
    scenario.after(5)
    scenario.join("a", "b", attempt=2)
    assert set(scenario.group) == {"a", "b", "c", "d"}


def test_a_new_run_waits_for_members_of_the_old_one_that_still_run_and_does_not_ask_them() -> None:
    scenario = two("one")
    scenario.leave("a", reason=SUCCEEDED)
    scenario.join("c", "d", run="two")
    assert scenario.status.run_id == "two"
    assert scenario.status.round == 1
    assert not scenario.asks
    assert "b still runs round 1 of another run" in scenario.explanation
    scenario.leave("b", reason=SUCCEEDED)
    assert scenario.group == ["c", "d"]


@pytest.mark.parametrize("heard_after", [100, 400])
def test_the_time_of_a_member_begins_when_it_is_asked_although_it_is_silent(heard_after: int) -> None:
    """Otherwise a member that is heard now and then would begin it again each time."""
    scenario = Scenario(3, 3, replacement_seconds=0, reentry_seconds=330)
    scenario.join("a", "b", "c")
    scenario.silent("c")
    scenario.after(1)
    scenario.reenter("a", "b")
    scenario.after(heard_after)
    scenario.beat("c")
    scenario.join("n")
    if heard_after < 330:
        assert scenario.status.round == 1, "c trains"
        assert "c has not joined again" in scenario.explanation
        scenario.after(330 - heard_after - 1)
        assert scenario.status.round == 1
        scenario.after(1)
    assert set(scenario.group) == {"a", "b", "n"}


def test_members_that_were_lost_when_their_run_was_closed_are_asked_when_they_are_heard() -> None:
    scenario = Scenario(2, 3, max_restarts=0, last_call_seconds=0, reentry_seconds=330, isolated_round_seconds=130)
    scenario.join("x", run="zero")
    scenario.request_close("x")  # it sends a heartbeat, so not all are silent
    scenario.join("d", "e", run="one")
    scenario.silent("d", "e")
    scenario.after(150)
    assert scenario.closed_runs["one"] == "RestartBudgetExhausted"
    assert scenario.status.waiting_nodes == 0
    scenario.join("f", run="two")
    scenario.after(200)
    scenario.beat("d", "e")
    assert scenario.asks
    scenario.join("g", run="two")
    assert scenario.group == ["d", "e"], "they train"
    scenario.reenter("d", "e")
    assert set(scenario.group) == {"f", "g"}


def test_a_node_that_reports_another_round_is_waited_for_only_while_it_is_heard() -> None:
    scenario = running("a", "b", "c", replacement_seconds=0)
    scenario.silent("c")
    scenario.reenter("a", "b", reason=WORKER_FAILURE)
    scenario.after(16)
    scenario.beat("c")
    scenario.silent("c")
    scenario.reenter("a", "b", reason=WORKER_FAILURE)
    scenario.after(14)
    assert scenario.status.round == 2
    scenario.after(1)
    assert scenario.status.round == 3


def test_a_run_whose_budget_is_spent_holds_the_next_one_no_longer_than_a_re_entry_takes() -> None:
    scenario = three(max_restarts=0, reentry_seconds=330)
    scenario.leave("c")
    assert scenario.closed_runs == {"run": "RestartBudgetExhausted"}
    scenario.join("d", "e", run="two")
    scenario.after(329)
    assert scenario.status.round == 1
    scenario.after(1)
    assert scenario.group == ["d", "e"]


def test_the_end_of_a_re_entry_is_noticed_although_nothing_else_happens() -> None:
    """At another moment than a limit of silence."""
    scenario = running("a", "b", "c", replacement_seconds=0, reentry_seconds=337)
    scenario.reenter("a", "b", reason=WORKER_FAILURE)
    scenario.after(336)
    assert scenario.status.round == 1
    scenario.after(1)
    assert set(scenario.group) == {"a", "b"}
