"""What counts of what the members of the current round say of each other (rule "peers").

Each of them says whether the host, the member of rank 0, answers its beats. The host says in a report of which members
no beats arrive. What an agent says counts only as long as its own heartbeats arrive, and only if they are of its entry
in the round.
"""

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property, lru_cache
from typing import NamedTuple

from rendezvous_api import ranks
from rendezvous_api.participant import PeerReport
from rendezvous_api.reasons import HostState
from rendezvous_api.rendezvous import Member
from rendezvous_operator.core.nodes import Node, interval_seconds, late_seconds, silent_seconds
from rendezvous_operator.core.timers import Timer
from rendezvous_operator.core.world import Memory, SeenParticipant, World

_ACCUSES = frozenset({HostState.MISSED, HostState.CLOSED})
_SAYS_SOMETHING = _ACCUSES | {HostState.LEFT}


class Accusation(NamedTuple):
    """A member says of another one that it gets no beats, or no answers; or that it has said farewell."""

    name: str
    """Of whom it says so."""
    words: tuple[HostState, ...]
    """Missed; both Closed and Missed; or Left. Each has a timer of its own."""
    by: str
    """Name of the member that says it, or of the host if that is passed on. Of several the first, for people."""
    newest: SeenParticipant
    """The participant whose heartbeat has it; of several the newest."""


class Words:
    """What counts of what the members of the current round say now."""

    def __init__(self, now: float, world: World, nodes: Mapping[str, Node]) -> None:
        """Look at each member once; in a healthy group there is nothing more to do.

        Args:
            now: monotonic seconds.
            world: what is seen.
            nodes: by name.
        """
        self._now = now
        self._world = world
        self._nodes = nodes
        self.members = world.rendezvous.status.participants
        self.of_host: list[tuple[HostState, SeenParticipant]] = []
        """What other members than the host say of it if that is not that it answers."""
        self.report: PeerReport | None = None
        """Of the host; None: none counts."""
        self.writer: SeenParticipant | None = None
        """Whose heartbeat has that report."""
        self._reports: list[tuple[PeerReport, SeenParticipant]] = []
        """All that are there, also those that do not count any more."""
        if len(self.members) > 1:
            self._read()

    def _read(self) -> None:
        participants = self._world.participants
        found: list[tuple[PeerReport, SeenParticipant]] = []
        for member in self.members:
            seen = participants.get(member.name)
            said = seen.object.status.peers if seen is not None else None
            if seen is None or said is None or (said.report is None and said.host is HostState.ANSWERS):
                continue
            if not self._has_run(member, seen):
                continue
            counts = self._is_heard(member, seen)
            if counts and member.rank > 0 and said.host is not None and said.host in _SAYS_SOMETHING:
                self.of_host.append((said.host, seen))
            if said.report is not None and (member.rank == 0 or self._passes_on(seen, said.host)):
                self._reports.append((said.report, seen))
                if counts:
                    found.append((said.report, seen))
        if found:
            self.report, self.writer = max(found, key=lambda one: (one[0].number, one[1].beat_at))

    def _passes_on(self, seen: SeenParticipant, host: HostState | None) -> bool:
        """Whether a report of another member counts: it gets answers, and the host's own heartbeat is late.

        So no member can speak for a host that reaches the API server.
        """
        if host is not HostState.ANSWERS:
            return False
        own = self._world.participants.get(self.members[0].name)
        if own is None:
            return True
        return seen.beat_at > own.beat_at + interval_seconds(own.object, self._world.rendezvous.spec)

    def _counts(self, member: Member, seen: SeenParticipant) -> bool:
        """Whether it runs the round, as far as is known, and its own heartbeats arrive."""
        return self._has_run(member, seen) and self._is_heard(member, seen)

    def _stands(self, member: Member, seen: SeenParticipant) -> bool:
        """Whether what it says of the host stands: it counts, or its heartbeats are rare as long as that is so."""
        late_at = seen.beat_at + late_seconds(seen.object, self._world.rendezvous.spec)
        return self._has_run(member, seen) and self._nodes[member.name].lives and self._now < late_at

    def _is_heard(self, member: Member, seen: SeenParticipant) -> bool:
        """Whether its own heartbeats arrive."""
        return self._nodes[member.name].lives and self._now < self.until(seen)

    def _has_run(self, member: Member, seen: SeenParticipant) -> bool:
        """Whether its last heartbeat is of its entry in the round."""
        node, spec = self._nodes[member.name], seen.object.spec
        return (
            node.understood
            and node.reported_round == self._world.rendezvous.status.round
            and (spec.incarnation, spec.attempt) == (member.incarnation, member.attempt)
        )

    def until(self, seen: SeenParticipant) -> float:
        """Until when what a participant says counts if no other heartbeat of it comes (monotonic seconds)."""
        return seen.beat_at + silent_seconds(seen.object, self._world.rendezvous.spec)

    @cached_property
    def ranks(self) -> Mapping[str, int]:
        """The rank of each member, by name."""
        return {member.name: member.rank for member in self.members}

    def rank_of(self, name: str) -> int | None:
        """The rank of a node whose present attempt is a member of the round; None: it is none."""
        node, rank = self._nodes.get(name), self.ranks.get(name)
        return rank if node is not None and rank is not None and node.is_member(self.members[rank]) else None

    @cached_property
    def answered(self) -> SeenParticipant | None:
        """Of the members that get answers from the host, the one whose heartbeat is the newest."""
        found = (seen for member, seen in self._others() if _answers(seen) and self._counts(member, seen))
        return max(found, key=lambda seen: seen.beat_at, default=None)

    def _others(self) -> Iterator[tuple[Member, SeenParticipant]]:
        for member in self.members[1:]:
            seen = self._world.participants.get(member.name)
            if seen is not None:
                yield member, seen

    def voucher(self, name: str) -> SeenParticipant | None:
        """Whose word it is that a member's beats, or the host's answers, arrive; None: no word is there that counts."""
        rank = self.rank_of(name)
        if rank is None:
            return None
        if rank == 0:
            return self.answered
        if self.report is None or self.report.too_many or rank in _named(self.report):
            return None
        return self.writer

    def vouched_at(self, name: str) -> float:
        """When the newest heartbeat came that says that a member's beats, or the host's answers, arrive.

        Also if it does not count any more: it was true then (monotonic seconds). Perhaps no decision was made while it
        did count.
        """
        rank = self.rank_of(name)
        if rank is None:
            return float("-inf")
        if rank == 0:
            found = (seen.beat_at for member, seen in self._others() if _answers(seen) and self._has_run(member, seen))
        else:
            reports = self._reports
            found = (seen.beat_at for report, seen in reports if not report.too_many and rank not in _named(report))
        return max(found, default=float("-inf"))

    def accusations(self) -> Iterator[Accusation]:
        """Who is accused now."""
        if self.report is not None and self.writer is not None and not self.report.too_many:
            for rank, word in _named(self.report).items():
                if 0 < rank < len(self.members) and word in _SAYS_SOMETHING:
                    yield Accusation(self.members[rank].name, _words(word), self.members[0].name, self.writer)
        accusing = [seen for word, seen in self.of_host if word in _ACCUSES]
        left = [seen for word, seen in self.of_host if word is HostState.LEFT]
        if accusing:
            word = HostState.CLOSED if self._all_have_lost_the_host() else HostState.MISSED
            yield self._of_host(_words(word), accusing)
        elif left:
            yield self._of_host((HostState.LEFT,), left)

    def _of_host(self, words: tuple[HostState, ...], found: Sequence[SeenParticipant]) -> Accusation:
        newest = max(found, key=lambda seen: seen.beat_at)
        return Accusation(self.members[0].name, words, found[0].object.metadata.name, newest)

    def _all_have_lost_the_host(self) -> bool:
        """Whether the connection of a member to the host was closed, and all that are heard get no answers."""
        if not any(word is HostState.CLOSED for word, _ in self.of_host):
            return False
        lost = {seen.object.metadata.name for word, seen in self.of_host if word in _ACCUSES}
        heard = (member.name for member, seen in self._others() if self._stands(member, seen))
        return lost.issuperset(heard)

    def has_lived_on(self, name: str) -> bool:
        """Whether a member's own words show that it was alive after its connection was closed: it could not reopen it.

        Of the host: it says so of all members that say it of the host.
        """
        seen, rank = self._world.participants[name], self.ranks[name]
        said = seen.object.status.peers
        if said is None or self._nodes[name].reported_round != self._world.rendezvous.status.round:
            return False
        if rank > 0:
            return said.host in _ACCUSES
        closed = [self.ranks[by.object.metadata.name] for word, by in self.of_host if word is HostState.CLOSED]
        return said.report is not None and all(_named(said.report).get(by) in _ACCUSES for by in closed)

    def host_not_reached(self, memory: Memory) -> bool:
        """Whether more than half of the other members get no answers from the host.

        Once that is so, it is until half of them get answers: when the round ends, one after the other says no more.
        """
        others = len(self.members) - 1
        number = self._world.rendezvous.status.round
        if 2 * sum(word in _ACCUSES for word, _ in self.of_host) > others > 0:
            return True
        if (Timer.HOST_NOT_REACHED, number) not in memory.since:
            return False
        return 2 * sum(_answers(seen) and self._stands(member, seen) for member, seen in self._others()) < others


def _answers(seen: SeenParticipant) -> bool:
    said = seen.object.status.peers
    return said is not None and said.host is HostState.ANSWERS


def _words(word: HostState) -> tuple[HostState, ...]:
    return (HostState.CLOSED, HostState.MISSED) if word is HostState.CLOSED else (word,)


@lru_cache(maxsize=256)
def _named(report: PeerReport) -> Mapping[int, HostState]:
    """The ranks in the sets of a report, and in which. It is read again only when it changes."""
    sets = (
        (HostState.NOT_CONNECTED, report.not_connected),
        (HostState.MISSED, report.missed),
        (HostState.CLOSED, report.closed),
        (HostState.LEFT, report.left),
    )
    return {rank: word for word, text in sets for rank in ranks.from_text(text)}
