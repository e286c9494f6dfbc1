"""MemberFailed: the agent of a member has left without success."""

import pytest
from tests.unit.core.builders import now
from tests.unit.core.started import three

from rendezvous_api.reasons import LeaveReason
from rendezvous_operator.core.end import member_failed
from rendezvous_operator.core.facts import tick
from rendezvous_operator.core.observe import observe
from rendezvous_operator.core.situation import Situation


@pytest.mark.parametrize("reason", [LeaveReason.FAILED, LeaveReason.TIMED_OUT])
def test_who_left_without_success_ends_the_round(reason: LeaveReason) -> None:
    scenario = three()
    scenario.leave("b", reason=reason)
    assert scenario.ended_because == "MemberFailed"
    assert scenario.status.history[-1].message == f"b: it left: {reason}"
    scenario.all_join_again()
    assert scenario.group == ["a", "c"]
    assert scenario.status.restarts == 1


def test_who_was_no_member_may_leave() -> None:
    scenario = three()
    scenario.join("s")
    scenario.leave("s")
    assert not scenario.asks


def test_whoever_a_signal_has_ended_has_not_failed() -> None:
    scenario = three()
    scenario.complete = False
    scenario.leave("b", reason=LeaveReason.TERMINATED)
    scenario.leave("c", reason=LeaveReason.FAILED)
    s = observe(now(scenario.clock), scenario.world(), scenario.memory)
    assert isinstance(s, Situation)
    assert [cause.node for cause in member_failed.causes(s, tick(s, scenario.memory))] == ["c"]
