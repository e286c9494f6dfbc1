"""MemberTerminated: a signal has ended the agent of a member."""

from tests.unit.core.started import running

from rendezvous_api.reasons import LeaveReason

TERMINATED = LeaveReason.TERMINATED


def test_it_is_no_failure() -> None:
    scenario = running("a", "b", min_nodes=1, max_restarts=0)
    scenario.leave("a", reason=TERMINATED)
    assert scenario.asks
    assert scenario.ended_because == "MemberTerminated"
    scenario.all_join_again()
    scenario.after(60)
    assert scenario.group == ["b"]
    assert scenario.status.restarts == 0
