"""An attempt that was admitted and dropped never waits for a round again (rule "waiting")."""

from dataclasses import replace

import pytest
from tests.unit.core.builders import participant
from tests.unit.core.started import two
from tests.unit.core.worlds import Scenario

from rendezvous_api import names
from rendezvous_api.reasons import AttemptReason, LeaveReason, RefusalReason
from rendezvous_api.rendezvous import Refusal

JOIN_ANEW = {"m": RefusalReason.JOIN_ANEW}


class Blind(Scenario):
    """The agent of m joins and sends heartbeats, and never sees an answer; so no round with it checks in."""

    def _beat(self) -> None:
        self.meets = "m" not in self.group
        super()._beat()
        if "m" in self.seen:
            seen = self.seen["m"]
            blind = replace(seen.object.status, round=0, rank=None)
            self.seen["m"] = replace(seen, object=replace(seen.object, status=blind))

    def take_names(self, count: int, pods: int, run: str) -> None:
        """These pods take many names, and never act on an answer."""
        for number in range(count):
            self._put(participant(f"l{number}", pod=f"pod-{number % pods}", run=run, created=self.clock))
        self.settle()


class Overfull(Blind):
    """More attempts are dropped than the list has room for, so the others wait again, which is written next."""

    def settle(self) -> None:
        while self._turn():
            pass
        self._beat()


def with_m() -> Blind:
    """The round of a, b and c runs, and m has just become a member of the next one."""
    scenario = Blind(2, 5, last_call_seconds=0)
    scenario.complete = False
    scenario.join("a", "b", "c")
    scenario.complete = True
    scenario.settle()
    scenario.join("m")
    scenario.after(60)
    scenario.all_join_again()
    assert scenario.group == ["a", "b", "c", "m"]
    return scenario


def without_m() -> Blind:
    """The members have failed to check in with m, and have waited for it in vain."""
    scenario = with_m()
    scenario.after(61)
    scenario.reenter("a", "b", "c", reason=AttemptReason.CHECK_IN_FAILED)
    scenario.after(329)
    assert scenario.group == ["a", "b", "c", "m"]
    scenario.after(31)
    assert scenario.group == ["a", "b", "c"]
    return scenario


def test_a_blind_agent_costs_the_others_one_round() -> None:
    scenario = without_m()
    assert scenario.refused == JOIN_ANEW
    (refusal,) = scenario.status.refused
    message = "it was a member of round 2 and did not join again in time; it joins with a new attempt"
    assert refusal == Refusal("m", "first", 1, RefusalReason.JOIN_ANEW, message)
    scenario.after(7200)
    assert scenario.group == ["a", "b", "c"]
    assert scenario.status.round == 3
    assert scenario.status.history[-1].running


@pytest.mark.parametrize("pods", [1, 101], ids=["of one pod", "of as many pods"])
def test_no_other_answers_keep_it_from_its_own(pods: int) -> None:
    scenario = with_m()
    scenario.take_names(101, pods, run="another")
    assert len(scenario.refused) == names.MAX_REFUSED
    scenario.after(61)
    scenario.reenter("a", "b", "c", reason=AttemptReason.CHECK_IN_FAILED)
    scenario.after(360)
    assert scenario.group == ["a", "b", "c"]
    assert scenario.refused["m"] is RefusalReason.JOIN_ANEW
    assert len(scenario.refused) == names.MAX_REFUSED
    scenario.after(400)
    assert (scenario.group, scenario.status.round) == (["a", "b", "c"], 3)
    assert scenario.refused["m"] is RefusalReason.JOIN_ANEW


def test_a_pod_with_many_dropped_names_keeps_no_other_one_from_its_answer() -> None:
    scenario = Overfull(2, 150, last_call_seconds=0, replacement_seconds=0)
    scenario.complete = False
    scenario.take_names(110, pods=1, run="run")
    scenario.join("a", "b", "m")
    scenario.complete = True
    scenario.settle()
    assert len(scenario.group) == 113
    scenario.reenter("a", "b", reason=AttemptReason.CHECK_IN_FAILED)
    scenario.after(331)
    assert "m" not in scenario.group
    assert scenario.refused["m"] is RefusalReason.JOIN_ANEW


def test_people_learn_of_it() -> None:
    scenario = without_m()
    told = [event for event in scenario.events if str(event.reason) == "ParticipantRefused"]
    assert [event.message.split(":")[0] for event in told] == ["m"]


def test_an_agent_that_sees_the_answer_joins_with_a_new_attempt() -> None:
    scenario = without_m()
    scenario.reenter("m")
    assert scenario.refused == {}
    scenario.after(60)
    assert scenario.ended_because == "ScaleUp"
    scenario.all_join_again()
    assert scenario.group == ["a", "b", "c", "m"]


def test_an_agent_that_is_started_anew_joins() -> None:
    scenario = without_m()
    scenario.restart("m")
    assert scenario.refused == {}
    scenario.after(60)
    assert scenario.ended_because == "ScaleUp"


def test_the_answer_stands_while_the_node_is_silent_and_any_leader_knows_it() -> None:
    scenario = without_m()
    scenario.silent("m")
    scenario.after(300)
    assert scenario.refused == JOIN_ANEW
    scenario.new_leader()
    scenario.beat("m")
    scenario.after(300)
    assert scenario.refused == JOIN_ANEW
    assert scenario.status.round == 3


def test_the_answer_goes_with_the_agent() -> None:
    scenario = without_m()
    scenario.leave("m", reason=LeaveReason.TIMED_OUT)
    assert scenario.refused == {}


def test_a_member_that_was_only_slow_joins_again_by_itself() -> None:
    """Its workers did not stop in time. Its heartbeats say that they still run, so the answer is about nothing."""
    scenario = Scenario(2, 3, replacement_seconds=0)
    scenario.join("a", "b", "c")
    scenario.reenter("a", "b", reason=AttemptReason.WORKER_FAILURE)
    scenario.after(330)
    assert scenario.group == ["a", "b"]
    assert scenario.refused == {"c": RefusalReason.JOIN_ANEW}
    assert scenario.seen["c"].object.status.round == 1
    scenario.reenter("c")
    assert scenario.refused == {}
    scenario.all_join_again()
    assert scenario.group == ["a", "b", "c"]


def test_members_of_a_closed_run_get_no_answer_when_the_next_run_trains() -> None:
    """They may finish. When they ask again, they are told that their run is closed."""
    scenario = two("one", isolated_round_seconds=60)
    scenario.request_close("a")
    scenario.silent("a", "b")
    scenario.join("c", "d", run="two")
    scenario.after(200)
    assert scenario.group == ["c", "d"]
    assert scenario.refused == {}
