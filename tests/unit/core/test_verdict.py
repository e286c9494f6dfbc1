"""What rules answer together."""

from rendezvous_api.reasons import FAILURES, FormationReason, RoundEndReason
from rendezvous_operator.core.verdict import Cause, Found, Met, Outlook, Waits, earliest, first_cause, outlook

LOST = Cause(RoundEndReason.MEMBER_LOST, "a")
GROWS = Cause(RoundEndReason.SCALE_UP, "b", at=20.0)
ASKED = Cause(RoundEndReason.RESTART_REQUESTED, "c", at=30.0)


def test_the_first_cause_that_counts_wins() -> None:
    assert first_cause([[], [GROWS], [LOST]], now=10) == Found(LOST, None)
    assert first_cause([[], [GROWS], [LOST]], now=20) == Found(GROWS, None)


def test_causes_that_count_later_say_when() -> None:
    assert first_cause([[ASKED], [GROWS]], now=10) == Found(None, 20)
    assert first_cause([], now=10) == Found(None, None)


def test_a_failure_is_what_counts_against_the_budget() -> None:
    for reason in RoundEndReason:
        assert Cause(reason, "").failure == (reason in FAILURES)


def test_the_first_that_waits_has_the_words_and_the_earliest_has_the_moment() -> None:
    for_members = Waits(FormationReason.WAITING_FOR_MEMBERS, "members", until=30)
    for_more = Waits(FormationReason.LAST_CALL, "more", until=20)
    assert outlook([Met(), for_members, for_more]) == Outlook(for_members, 20)
    assert outlook([Met(), Met()]) == Outlook(None, None)


def test_never_is_later_than_any_moment() -> None:
    assert earliest(None, 3, 2, None) == 2
    assert earliest(None) is None
    assert earliest() is None
