"""One join of one agent: what ends it, and what follows from each answer of the operator."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from types import SimpleNamespace
from typing import Any, cast

import pytest

from rendezvous_api.codec import decode
from rendezvous_api.meta import ObjectMeta
from rendezvous_api.participant import CheckIn, ParticipantSpec
from rendezvous_api.reasons import AttemptReason, ParticipantState, RefusalReason
from rendezvous_api.rendezvous import Member, Refusal, Rendezvous, RendezvousStatus, RoundRecord, RunReference, Store
from rendezvous_api.rendezvous_spec import RendezvousSpec
from rendezvous_handler.agent.agent import Agent
from rendezvous_handler.agent.rendezvous_watch import WatchState
from rendezvous_handler.join.answer import Membership
from rendezvous_handler.join.clock import JoinClock
from rendezvous_handler.join.errors import BUDGET_IS_SPENT, DO_NOT_START_AGAIN, ClosedError, StateError, TimedOutError
from rendezvous_handler.join.join import Join, Seen, as_check_in
from rendezvous_handler.join.wait import JoinWait
from rendezvous_handler.kube.contact import Contact

NAME, INCARNATION = "train.a", "abcd1234"
SPEC = decode(RendezvousSpec, {"minNodes": 1, "maxNodes": 4, "timeouts": {"joinSeconds": 600}})


def rendezvous(**status: Any) -> Rendezvous:
    run = RunReference("run", None)
    return Rendezvous(ObjectMeta("train", "team", uid="r-1"), SPEC, RendezvousStatus(run=run, **status))


def round_of(attempt: int, number: int = 1, **status: Any) -> Rendezvous:
    """A round of this attempt of the agent runs."""
    return rendezvous(
        round=number,
        nodes=1,
        participants=(Member(NAME, INCARNATION, attempt, 0),),
        store=Store("127.0.0.1", 1),
        history=(RoundRecord(number, "run", 1, formed="2030-01-01T00:00:00.000000Z"),),
        **status,
    )


class Point:
    """A meeting point of which a test says what happens."""

    complete = False
    error: Exception | None = None
    progress = ""
    seen: Seen | None = None
    ends_soon = False

    def __init__(self, membership: Membership) -> None:
        self.membership = membership

    def ends_within(self, seconds: float) -> bool:
        return self.ends_soon

    def start_check_in(self) -> None:
        """It goes on as the test says."""

    def close(self) -> None:
        """There is no port."""


class Place:
    """An agent that joins. At each pause the next thing happens, and when there is none, it would wait for ever."""

    def __init__(self, *happens: Callable[[], object], reason: AttemptReason = AttemptReason.START) -> None:
        self.happens: Iterator[Callable[[], object]] = iter(happens)
        self.now = 100.0
        self.attempts: list[tuple[int, AttemptReason, CheckIn | None]] = []
        self.points: list[Point] = []
        self.lists_wanted = self.list_version = 0
        self.participant = SimpleNamespace(
            name=NAME, taken=None, gone=False, lost=False, last_run_id=None, took_over=False
        )
        self.watch = SimpleNamespace(
            state=WatchState(rendezvous(), read=True), listed=0, changed=SimpleNamespace(get=self._pause)
        )
        self.watch.list_again = self._list_again
        agent = SimpleNamespace(
            reference="team/train",
            client=SimpleNamespace(url="", contact=Contact()),
            settings=SimpleNamespace(join_timeout=600, store_ports=range(0, 1)),
            participant=self.participant,
            watch=self.watch,
            stopped=False,
            notice_pause=lambda: None,
            address=lambda: "127.0.0.1",
            next_attempt=self._next_attempt,
            join=lambda attempt, rendezvous: None,
            leave=lambda reason, seconds: None,
        )
        wait = JoinWait(cast(Agent, agent))
        wait.clock = JoinClock(lambda: self.now)
        wait.pause_for = lambda seconds: None  # type: ignore[method-assign]
        self.join: Join[Point] = Join(cast(Agent, agent), reason, self._meeting_point, wait=wait)
        self.join._finder = cast(Any, SimpleNamespace(find=rendezvous))

    def shows(self, found: Rendezvous | None, **members: str) -> None:
        """The watch shows this."""
        ranks = {int(rank.removeprefix("rank_")): name for rank, name in members.items()}
        entries = [{"rank": rank, "name": name, "incarnation": "i", "attempt": 1} for rank, name in ranks.items()]
        self.watch.state = WatchState(found, read=True, participants=entries)

    def passes(self, seconds: float) -> None:
        """Time passes."""
        self.now += seconds

    def is_read(self, found: Rendezvous) -> None:
        """A list that was asked for is answered."""
        self.watch.listed = self.lists_wanted
        self.shows(found)

    def _pause(self, timeout: float) -> None:
        step = next(self.happens, None)
        assert step is not None, "it waits for what never comes"
        step()

    def _list_again(self) -> int:
        self.lists_wanted += 1
        return self.lists_wanted

    def _next_attempt(
        self, found: Rendezvous, reason: AttemptReason, address: str, port: int, check_in: CheckIn | None
    ) -> ParticipantSpec:
        self.attempts.append((len(self.attempts) + 1, reason, check_in))
        number = len(self.attempts)
        return ParticipantSpec("train", "r-1", "a", INCARNATION, number, reason, address, port, ParticipantState.JOINED)

    def _meeting_point(self, membership: Membership, port: Any) -> Point:
        port.close()
        self.points.append(Point(membership))
        return self.points[-1]

    @property
    def point(self) -> Point:
        return self.points[-1]

    def checks_in(self) -> None:
        """All members have come."""
        self.point.complete = True


def play(steps: Callable[[Place], Sequence[Callable[[], object]]]) -> Place:
    place = Place()
    place.happens = iter(steps(place))
    assert place.join.run() is place.point
    return place


def refused(reason: RefusalReason, closed: str | None = None, attempt: int = 1) -> Rendezvous:
    return rendezvous(refused=(Refusal(NAME, INCARNATION, attempt, reason, "because", closed),))


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
