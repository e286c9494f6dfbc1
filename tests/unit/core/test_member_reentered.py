"""WorkerFailed, CheckInFailed, MemberReentered: a member asks to join again by itself."""

from tests.unit.core.started import running

from rendezvous_api.reasons import AttemptReason

CHECK_IN_FAILED = AttemptReason.CHECK_IN_FAILED


def test_a_failed_check_in_of_one_brings_all_back_and_drops_who_is_silent() -> None:
    scenario = running("a", "b", "c", replacement_seconds=0)
    scenario.silent("c")
    scenario.after(60)
    scenario.reenter("a", reason=CHECK_IN_FAILED)
    assert scenario.ended_because == "MemberLost"
    scenario.reenter("b", reason=CHECK_IN_FAILED)
    assert set(scenario.group) == {"a", "b"}
