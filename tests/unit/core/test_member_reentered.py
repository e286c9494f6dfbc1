"""WorkerFailed, CheckInFailed, MemberReentered: a member asks to join again by itself."""

import pytest
from tests.unit.core.started import running

from rendezvous_api.reasons import AttemptReason
from rendezvous_operator.core.world import Memory

CHECK_IN_FAILED = AttemptReason.CHECK_IN_FAILED


def test_a_failed_check_in_of_one_brings_all_back_and_drops_who_is_silent() -> None:
    scenario = running("a", "b", "c", replacement_seconds=0)
    scenario.silent("c")
    scenario.after(60)
    scenario.reenter("a", reason=CHECK_IN_FAILED)
    assert scenario.ended_because == "MemberLost"
    scenario.reenter("b", reason=CHECK_IN_FAILED)
    assert set(scenario.group) == {"a", "b"}


@pytest.mark.parametrize("reason", [AttemptReason.WORKER_FAILURE, CHECK_IN_FAILED])
def test_a_failure_in_a_round_that_a_restore_has_lost_is_none_of_the_round_that_is_back(reason: AttemptReason) -> None:
    """What ends the workers of one, as it notices the restore first, lets those of the others fail."""
    scenario = running("a", "b")
    snapshot, before = scenario.status, dict(scenario.seen)
    scenario.request_restart("today")
    scenario.reenter("a", "b")
    assert scenario.status.round == snapshot.round + 1
    scenario.reenter("b", reason=reason)
    after = scenario.seen["b"]
    scenario.status, scenario.memory, scenario.seen = snapshot, Memory(), {**before, "b": after}
    scenario.settle()
    assert scenario.ended_because == "MemberReentered"
    assert "after a round that the status does not have" in str(scenario.status.history[-1].message)
    scenario.reenter("a")
    assert (scenario.status.restarts, scenario.status.failures) == (0, ())
