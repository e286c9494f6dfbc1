"""What the host of a round knows of the other members, by their beats. Pure: each moment is given."""

from __future__ import annotations

from dataclasses import dataclass

from rendezvous_api import ranks
from rendezvous_api.participant import PeerReport
from rendezvous_handler.peers.signs import OwnTime, Presence, Signs


@dataclass(slots=True)
class _Member:
    signs: Signs
    arrives: bool
    """Its heartbeats reach the API server, as its last beat has said."""
    unanswered: bool
    """It gets no answers, as its last beat has said."""


@dataclass(frozen=True)
class _Sets:
    missed: str
    closed: str
    left: str
    not_connected: str


class Judge:
    """Keeps the last sign of life of each member but the host. All moments are of one monotonic clock, in seconds."""

    def __init__(self, nodes: int):
        """No member has connected yet.

        Args:
            nodes: number of members of the round, with the host, whose rank is 0.
        """
        self._nodes = nodes
        self._time = OwnTime()
        self._members: dict[int, _Member] = {}
        self._was_connected = False
        self._number = 0
        self._sets: _Sets | None = None

    def beat(self, rank: int, now: float, arrives: bool, unanswered: bool = False) -> None:
        """A beat has come, or the first line of a connection. After a farewell it means nothing.

        Args:
            rank: of the member.
            now: the moment.
            arrives: whether its own heartbeats reach the API server.
            unanswered: whether it gets no answers.
        """
        self._was_connected = True
        own = self._time.of(now)
        if rank not in self._members:
            self._members[rank] = _Member(Signs(own), arrives, unanswered)
        member = self._members[rank]
        member.signs.came(own)
        member.arrives = arrives
        member.unanswered = unanswered

    def closed(self, rank: int, now: float) -> None:
        """The kernel of a member's machine has closed its only connection, without a farewell; see `Signs.closed`."""
        if rank in self._members:
            self._members[rank].signs.closed(self._time.of(now))

    def farewell(self, rank: int, now: float) -> None:
        """The workers of a member do not run this round any more. That is so from then on."""
        if rank in self._members:
            self._members[rank].signs.left(self._time.of(now))

    def retired(self, rank: int, now: float) -> None:
        """A member has no connections any more, by its own fault; that says nothing about its workers."""
        member = self._members.get(rank)
        if member is not None and member.signs.presence(self._time.of(now)) is not Presence.LEFT:
            del self._members[rank]

    def cannot_accept(self, now: float) -> None:
        """No connection can be opened, and that is the fault of the host: say nothing of who needs one now."""
        own = self._time.of(now)
        for rank, member in tuple(self._members.items()):
            if member.signs.is_closed and member.signs.presence(own) is Presence.HERE:
                del self._members[rank]

    def paused(self, now: float, seconds: float) -> None:
        """The thread of the host was stopped: that time counts against no member, and each gets three beats again.

        It is called before the beats are reported that have come meanwhile.

        Args:
            now: the moment at which it runs again.
            seconds: for how long.
        """
        self._time.leave_out(seconds)
        own = self._time.of(now)
        for member in self._members.values():
            member.signs.excuse(own)

    def report(self, now: float) -> PeerReport | None:
        """What to write about the members; None while none has ever connected."""
        if not self._was_connected:
            return None
        sets = self._judged(self._time.of(now))
        if sets != self._sets:
            self._sets = sets
            self._number += 1
        if max(map(len, (sets.missed, sets.closed, sets.left, sets.not_connected))) > ranks.MAX_LENGTH:
            return PeerReport(self._number, too_many=True)
        return PeerReport(self._number, sets.missed, sets.closed, sets.left, sets.not_connected)

    def accusers(self, now: float) -> tuple[int, ...]:
        """The ranks of the members whose beats come, and that get no answers: they accuse the host."""
        own = self._time.of(now)
        return tuple(
            rank
            for rank, member in self._members.items()
            if member.unanswered and member.signs.presence(own) is Presence.HERE
        )

    def passes_on(self, now: float, arrives: bool) -> int | None:
        """The rank that is to write the report, too: the lowest one whose heartbeats reach the API server.

        One that gets no answers would not learn of it.

        Args:
            now: the moment.
            arrives: whether the heartbeats of the host itself do: then there is no need for it.
        """
        own = self._time.of(now)
        if arrives:
            return None
        able = (
            rank
            for rank, member in self._members.items()
            if member.arrives and not member.unanswered and member.signs.presence(own) is Presence.HERE
        )
        return min(able, default=None)

    def changes_at(self, now: float) -> float | None:
        """The next moment at which the report is another one if no event comes; None: never."""
        own = self._time.of(now)
        moments = (member.signs.changes_at(own) for member in self._members.values())
        first = min((moment for moment in moments if moment is not None), default=None)
        return None if first is None else self._time.back(first)

    def _judged(self, own: float) -> _Sets:
        found: dict[Presence | None, list[int]] = {}
        for rank in range(1, self._nodes):
            member = self._members.get(rank)
            found.setdefault(member.signs.presence(own) if member is not None else None, []).append(rank)
        kinds = (Presence.MISSED, Presence.CLOSED, Presence.LEFT, None)
        return _Sets(*(ranks.to_text(found.get(kind, ())) for kind in kinds))
