"""One join of one agent: what ends it, and what follows from each answer of the operator."""

from dataclasses import replace
from types import SimpleNamespace
from typing import Any, cast

import pytest
from tests.unit.joins import INCARNATION, NAME, Place, play, refused, rendezvous, round_of

from rendezvous_api.participant import CheckIn
from rendezvous_api.reasons import AttemptReason, RefusalReason
from rendezvous_api.rendezvous import Member, Rendezvous, Store
from rendezvous_handler.join.answer import Membership
from rendezvous_handler.join.errors import BUDGET_IS_SPENT, DO_NOT_START_AGAIN, ClosedError, StateError, TimedOutError
from rendezvous_handler.join.join import Seen, as_check_in


def test_a_published_round_is_joined_when_all_have_checked_in() -> None:
    place = play(lambda place: [lambda: place.shows(round_of(1)), place.checks_in])
    assert place.attempts == [(1, AttemptReason.START, None)]
    assert place.participant.last_run_id == "run"


def test_what_has_come_without_being_shown_is_read_before_a_join_is_given_up() -> None:
    """A watch that has died without a word shows nothing any more."""
    play(
        lambda place: [
            lambda: place.passes(601),
            lambda: place.passes(1),
            lambda: place.passes(1),
            lambda: place.is_read(round_of(1)),
            place.checks_in,
        ]
    )


def test_a_join_is_given_up_once_that_was_read() -> None:
    place = Place()
    place.happens = iter([lambda: place.passes(601), lambda: None, lambda: place.is_read(rendezvous())])
    with pytest.raises(TimedOutError, match="within the join timeout of 600 s"):
        place.join.run()
    assert place.lists_wanted == 1


def test_an_attempt_that_was_dropped_is_followed_by_another_one() -> None:
    place = play(
        lambda place: [
            lambda: place.shows(refused(RefusalReason.JOIN_ANEW)),
            lambda: place.shows(round_of(2)),
            place.checks_in,
        ]
    )
    assert [number for number, _, _ in place.attempts] == [1, 2]


def test_an_object_that_is_gone_is_written_again() -> None:
    def comes_back(place: Place) -> Rendezvous:
        place.participant.gone = False
        place.shows(round_of(2))
        return rendezvous()

    def goes(place: Place) -> None:
        place.participant.gone = True
        place.join._finder = cast(Any, SimpleNamespace(find=lambda: comes_back(place)))

    place = play(lambda place: [lambda: goes(place), place.checks_in])
    assert [number for number, _, _ in place.attempts] == [1, 2]


def test_who_has_lost_its_name_ends() -> None:
    place = Place()
    place.happens = iter([lambda: setattr(place.participant, "taken", RuntimeError("another agent has the name"))])
    with pytest.raises(StateError, match="another agent has the name"):
        place.join.run()


@pytest.mark.parametrize(
    ("closed", "reason", "code"),
    [
        pytest.param("RestartBudgetExhausted", AttemptReason.WORKER_FAILURE, BUDGET_IS_SPENT, id="the budget is spent"),
        pytest.param("CloseRequested", AttemptReason.WORKER_FAILURE, DO_NOT_START_AGAIN, id="a person has closed it"),
        pytest.param("ClosedBySpec", AttemptReason.WORKER_FAILURE, DO_NOT_START_AGAIN, id="or its spec"),
        pytest.param("RunSucceeded", AttemptReason.START, DO_NOT_START_AGAIN, id="a start that comes too late"),
        pytest.param("RunSucceeded", AttemptReason.WORKER_FAILURE, 1, id="workers that have failed"),
    ],
)
def test_the_exit_code_says_whether_another_start_may_help(closed: str, reason: AttemptReason, code: int) -> None:
    place = Place(reason=reason)
    place.happens = iter([lambda: place.shows(refused(RefusalReason.RUN_CLOSED, closed))])
    with pytest.raises(ClosedError) as ended:
        place.join.run()
    assert ended.value.exit_code == code


def test_a_round_that_ends_while_its_members_check_in_is_left() -> None:
    place = play(
        lambda place: [
            lambda: place.shows(round_of(1)),
            lambda: place.shows(round_of(1, waiting_nodes=1)),
            lambda: place.shows(round_of(2, 2)),
            place.checks_in,
        ]
    )
    assert place.attempts == [(1, AttemptReason.START, None), (2, AttemptReason.CHECK_IN_FAILED, None)]


def test_who_is_about_to_see_that_a_check_in_fails_says_what_it_saw() -> None:
    """Another member was faster to say so, and the operator has ended the round."""

    def fails(place: Place) -> None:
        place.point.error = TimeoutError("1 of 2 members have come")
        place.point.seen = Seen(reached=True, missing=(1, 2))

    def almost(place: Place) -> None:
        place.point.ends_soon = True
        place.shows(round_of(1, waiting_nodes=1), rank_0=NAME, rank_1="train.b")

    place = play(
        lambda place: [
            lambda: place.shows(round_of(1), rank_0=NAME, rank_1="train.b"),
            lambda: almost(place),
            lambda: fails(place),
            lambda: place.shows(round_of(2, 2)),
            place.checks_in,
        ]
    )
    said = CheckIn(1, reached_store=True, missing=("train.b",))
    assert place.attempts[1] == (2, AttemptReason.CHECK_IN_FAILED, said), "the name of rank 2 is not known"


def test_who_had_no_time_to_see_anything_says_nothing() -> None:
    place = Place()
    membership = Membership("r-1", 3, 0, 1, Store("127.0.0.1", 1), "run", Member(NAME, INCARNATION, 1, 0))
    assert as_check_in(membership, {}, None) is None
    assert as_check_in(replace(membership, round=4), {1: "b"}, Seen(reached=False)) == CheckIn(4, reached_store=False)
    assert place.attempts == []
