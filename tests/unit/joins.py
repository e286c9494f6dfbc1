"""One join of one agent, of which a test says what happens."""

from collections.abc import Callable, Iterator, Sequence
from types import SimpleNamespace
from typing import Any, cast

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
from rendezvous_handler.join.health import Health
from rendezvous_handler.join.join import Join, Seen
from rendezvous_handler.join.wait import JoinWait
from rendezvous_handler.kube.contact import Contact

NAME, INCARNATION = "train.a", "abcd1234"
SPEC = decode(RendezvousSpec, {"minNodes": 1, "maxNodes": 4, "timeouts": {"joinSeconds": 600}})


def rendezvous(**status: Any) -> Rendezvous:
    """No round was published yet."""
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

    def __init__(
        self,
        *happens: Callable[[], object],
        reason: AttemptReason = AttemptReason.START,
        health: Callable[["Place"], Health] | None = None,
    ) -> None:
        self.happens: Iterator[Callable[[], object]] = iter(happens)
        self.now = 100.0
        self.attempts: list[tuple[int, AttemptReason, CheckIn | None]] = []
        self.written: list[ParticipantSpec] = []
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
            join=lambda attempt, rendezvous: self.written.append(attempt),
            leave=lambda reason, seconds: None,
        )
        wait = JoinWait(cast(Agent, agent))
        wait.clock = JoinClock(lambda: self.now)
        wait.pause_for = lambda seconds: None  # type: ignore[method-assign]
        self.join: Join[Point] = Join(
            cast(Agent, agent), reason, self._meeting_point, wait=wait, health=health(self) if health else None
        )
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
    """A place where a join has succeeded after these steps."""
    place = Place()
    place.happens = iter(steps(place))
    assert place.join.run() is place.point
    return place


def refused(reason: RefusalReason, closed: str | None = None, attempt: int = 1) -> Rendezvous:
    """The attempt of the agent is refused."""
    return rendezvous(refused=(Refusal(NAME, INCARNATION, attempt, reason, "because", closed),))
