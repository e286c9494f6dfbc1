"""What the members of the current round know of each other by their connections to its host (rule "peers").

The second path of evidence beside the heartbeats. A member that the host receives beats from is not silent, however
long the API server gets no heartbeat of it: the host *vouches* for it. A member that the host gets no beats from is
*accused*, and its next heartbeat *contradicts* that. If none comes in time, the operator *concludes* that it is dead. The
same holds for the host, of which all other members say whether it answers their beats.

What an agent writes counts only as long as its own heartbeats arrive, and only if they are of its entry in the round.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from typing import NamedTuple

from rendezvous_api import names, ranks
from rendezvous_api.participant import PeerReport
from rendezvous_api.reasons import HostState
from rendezvous_api.rendezvous import Member
from rendezvous_operator.core.nodes import Node, interval_seconds, silent_seconds
from rendezvous_operator.core.timers import Fact, Timer
from rendezvous_operator.core.verdict import earliest
from rendezvous_operator.core.world import Concluded, Memory, Now, SeenParticipant, Target, World

MISSED_BEATS_SECONDS = 3
"""Without a beat, or an answer to one, before an agent says that it misses them."""
CLOSED_SECONDS = 1.0
"""How long a heartbeat may contradict a closed connection; the agents have tried for as long to open it again."""
HEARTBEATS_PER_SECOND = 200
"""How many the agents of a large group send at most when all of them have the same news (the handler's
``FIRST_BEATS_PER_SECOND``)."""
_STILL_SECONDS = 3.0
"""How old the last heartbeat of an accuser may be in any case; half of the time to confirm, if that is longer."""
_LOOK_AGAIN_SECONDS = 1.0
"""While an accuser sends no heartbeats, until it counts as silent. They cause no decisions."""

_ACCUSES = frozenset({HostState.MISSED, HostState.CLOSED})
_SAYS_SOMETHING = _ACCUSES | {HostState.LEFT}


class Accused(NamedTuple):
    """A member of which another one says that it gets no beats, or no answers; or that it has said farewell."""

    name: str
    words: tuple[HostState, ...]
    """Missed; both Closed and Missed; or Left. Each has a timer of its own."""
    by: str
    """Name of the member that says it, or of the host if that is passed on. Of several the one heard of last."""
    since: float
    """When the operator saw that first (monotonic seconds)."""
    contradicted: bool
    """A heartbeat came since then; of the host it may also be that of a member that gets answers."""
    is_host: bool = False

    @property
    def left(self) -> bool:
        """Whether it has said farewell, so that nothing is wrong with it."""
        return HostState.LEFT in self.words


@dataclass(frozen=True)
class Peers:
    """What follows from what the members of the current round say of each other."""

    accused: Mapping[str, Accused] = field(default_factory=dict)
    """By name. Not those of which something else is known."""
    concluded: Mapping[str, Concluded] = field(default_factory=dict)
    """By name: those that are dead, or do not run the round any more."""
    doubted: bool = False
    """More than half of those that the host accuses contradict it, so what it says of the others does not count."""
    host_not_reached: bool = False
    """More than half of the other members get no answers from the host."""
    to_read: frozenset[Target] = frozenset()
    """Participants that must be read before something is concluded."""
    changes_at: float | None = None
    """When something is concluded if no heartbeat comes (monotonic seconds)."""

    def facts(self, number: int) -> Iterator[Fact]:
        """The facts that are timed, of the round with that number."""
        for accused in self.accused.values():
            for word in accused.words:
                yield fact(accused.name, word, number)
            if accused.contradicted:
                yield Timer.CONTRADICTED, (accused.name, number)
        if self.host_not_reached:
            yield Timer.HOST_NOT_REACHED, number

    def suspects(self, name: str) -> Accused | None:
        """What is said of a member that is suspected therefore; None: it is not."""
        accused = self.accused.get(name)
        if accused is None or accused.left or accused.contradicted or (self.doubted and not accused.is_host):
            return None
        return accused


def fact(name: str, word: HostState, number: int) -> Fact:
    """The fact that a member of that round is accused with that word."""
    return Timer.ACCUSED, (name, word.value, number)


class Words:
    """What counts of what the members of the current round say now."""

    def __init__(self, now: float, world: World, nodes: Mapping[str, Node], grace_from: float) -> None:
        """Look at each member once; in a healthy group there is nothing more to do.

        Args:
            now: monotonic seconds.
            world: what is seen.
            nodes: by name.
            grace_from: see `Memory`.
        """
        self._now = now
        self._world = world
        self._nodes = nodes
        self._grace_from = grace_from
        self.members = world.rendezvous.status.participants
        self.of_host: list[tuple[HostState, SeenParticipant]] = []
        """What other members than the host say of it if that is not that it answers."""
        self.report: PeerReport | None = None
        """Of the host; None: none counts."""
        self.writer: SeenParticipant | None = None
        """Whose heartbeat has that report."""
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
            if not self._counts(member, seen):
                continue
            if member.rank > 0 and said.host is not None and said.host in _SAYS_SOMETHING:
                self.of_host.append((said.host, seen))
            if said.report is not None and (member.rank == 0 or self._passes_on(seen, said.host)):
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
        node, spec = self._nodes[member.name], seen.object.spec
        return (
            node.understood
            and node.lives
            and node.reported_round == self._world.rendezvous.status.round
            and (spec.incarnation, spec.attempt) == (member.incarnation, member.attempt)
            and self._now < self.until(seen)
        )

    def until(self, seen: SeenParticipant) -> float:
        """Until when what a participant says counts if no other heartbeat of it comes (monotonic seconds)."""
        return max(seen.beat_at, self._grace_from) + silent_seconds(seen.object, self._world.rendezvous.spec)

    @cached_property
    def ranks(self) -> Mapping[str, int]:
        """The rank of each member, by name."""
        return {member.name: member.rank for member in self.members}

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
        rank = self.ranks.get(name)
        if rank is None or not self._nodes[name].is_member(self.members[rank]):
            return None
        if rank == 0:
            return self.answered
        if self.report is None or self.report.too_many or rank in _named(self.report):
            return None
        return self.writer

    def accusations(self) -> Iterator[tuple[str, tuple[HostState, ...], SeenParticipant]]:
        """Who is accused, with which words, and by whom."""
        if self.report is not None and self.writer is not None and not self.report.too_many:
            for rank, word in _named(self.report).items():
                if 0 < rank < len(self.members) and word in _SAYS_SOMETHING:
                    yield self.members[rank].name, _words(word), self.writer
        accusing = [seen for word, seen in self.of_host if word in _ACCUSES]
        left = [seen for word, seen in self.of_host if word is HostState.LEFT]
        if accusing:
            word = HostState.CLOSED if self._all_have_lost_the_host() else HostState.MISSED
            yield self.members[0].name, _words(word), _newest(accusing)
        elif left:
            yield self.members[0].name, (HostState.LEFT,), _newest(left)

    def _all_have_lost_the_host(self) -> bool:
        """Whether the connection of a member to the host was closed, and all that are heard get no answers."""
        if not any(word is HostState.CLOSED for word, _ in self.of_host):
            return False
        lost = {seen.object.metadata.name for word, seen in self.of_host if word in _ACCUSES}
        heard = (member.name for member, seen in self._others() if self._counts(member, seen))
        return lost.issuperset(heard)

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
        return 2 * sum(_answers(seen) and self._counts(member, seen) for member, seen in self._others()) < others


def _answers(seen: SeenParticipant) -> bool:
    said = seen.object.status.peers
    return said is not None and said.host is HostState.ANSWERS


def _newest(found: Sequence[SeenParticipant]) -> SeenParticipant:
    return max(found, key=lambda seen: seen.beat_at)


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


def judge(now: float, world: World, nodes: Mapping[str, Node], memory: Memory, words: Words) -> Peers:
    """What follows from the words of the members, and from what was concluded before.

    Args:
        now: monotonic seconds.
        world: what is seen.
        nodes: by name; their silence is not known yet.
        memory: has since when the members are accused, and what was concluded before.
        words: of the members.
    """
    return _Judgement(now, world, nodes, memory, words).given()


class _Judgement:
    """Judges one accused member after the other, and collects what must be read and when a result changes."""

    def __init__(
        self, now: float, world: World, nodes: Mapping[str, Node], memory: Memory, words: Words
    ) -> None:
        self._now = now
        self._world = world
        self._nodes = nodes
        self._memory = memory
        self._words = words
        self._number = world.rendezvous.status.round
        self._confirm = world.rendezvous.spec.timeouts.confirm_seconds
        self._to_read: set[Target] = set()
        self._changes_at: float | None = None

    def given(self) -> Peers:
        concluded = {name: found for name, found in self._memory.concluded.items() if self._still_holds(name, found)}
        accusers = {name: by for name, _, by in self._words.accusations() if self._may_run(name)}
        accused = {
            name: self._accused(name, words, by)
            for name, words, by in self._words.accusations()
            if name in accusers and name not in concluded
        }
        doubted = self._is_doubted(list(accused.values()))
        for one in accused.values():
            if doubted and not one.left and not one.is_host:
                continue
            found = self._conclusion(one, accusers[one.name])
            if found is not None:
                concluded[one.name] = found
        return Peers(
            accused,
            concluded,
            doubted,
            self._words.host_not_reached(self._memory),
            frozenset(self._to_read),
            self._changes_at,
        )

    def _may_run(self, name: str) -> bool:
        """Whether it is the member of the round, as far as is known by its own word and its pod."""
        node, rank = self._nodes.get(name), self._words.ranks.get(name)
        return node is not None and rank is not None and node.lives and node.is_member(self._words.members[rank])

    def _still_holds(self, name: str, found: Concluded) -> bool:
        """Until its next heartbeat, or a word that beats of it arrive. Who has said so may be in no round any more."""
        if found.round != self._number or not self._may_run(name):
            return False
        return self._world.participants[name].beat_at == found.beat_at and self._words.voucher(name) is None

    def _accused(self, name: str, words: tuple[HostState, ...], by: SeenParticipant) -> Accused:
        since, host = self._since(name, words[-1]), self._words.members[0].name
        contradicted = self._heard_at(name) > since and not (HostState.LEFT in words and self._has_stopped(name))
        accuser = by.object.metadata.name if name == host else host
        return Accused(name, words, accuser, since, contradicted, name == host)

    def _has_stopped(self, name: str) -> bool:
        """Whether its last heartbeat does not report the round."""
        return self._nodes[name].reported_round != self._number

    def _since(self, name: str, word: HostState) -> float:
        return min(self._memory.since.get(fact(name, word, self._number), self._now), self._now)

    def _heard_at(self, name: str) -> float:
        """When a heartbeat was last seen that shows that it lives."""
        beat_at = self._world.participants[name].beat_at
        if self._words.ranks[name] > 0 or self._words.answered is None:
            return beat_at
        return max(beat_at, self._words.answered.beat_at)

    def _is_doubted(self, accused: Sequence[Accused]) -> bool:
        """Whether more than half of those that the host accuses have contradicted it lately."""
        by_host = [one for one in accused if not one.left and not one.is_host]
        until = [self._heard_at(one.name) + self._confirm for one in by_host if one.contradicted]
        lately = [moment for moment in until if self._now < moment]
        self._changes_at = earliest(self._changes_at, *lately)
        return 2 * len(lately) > len(by_host)

    def _conclusion(self, one: Accused, by: SeenParticipant) -> Concluded | None:
        """What is concluded of a member now; None: nothing yet."""
        seen = self._world.participants[one.name]
        if one.left:
            heard_at = one.since if self._has_stopped(one.name) else self._heard_at(one.name)
            return self._after(self._confirm, max(one.since, heard_at), one, seen, by)
        if HostState.CLOSED in one.words:
            since = self._since(one.name, HostState.CLOSED)
            if self._heard_at(one.name) <= since:
                seconds = CLOSED_SECONDS + len(self._words.members) / HEARTBEATS_PER_SECOND
                found = self._after(min(seconds, self._confirm), since, one, seen, by)
                if found is not None:
                    return found
        return self._after(self._confirm, max(one.since, self._heard_at(one.name)), one, seen, by)

    def _after(
        self, seconds: float, began: float, one: Accused, seen: SeenParticipant, by: SeenParticipant
    ) -> Concluded | None:
        """A conclusion if no heartbeat has come for that time, as a read shows, and the accuser's own ones still come.

        An accuser whose path to the API server has broken since cannot take back what it said.
        """
        due_at = began + seconds
        if self._now < due_at:
            self._changes_at = earliest(self._changes_at, due_at)
            return None
        unread = [found for found in (seen, by) if found.read_at is None or found.read_at < due_at]
        if unread:
            self._to_read.update(Target(names.PARTICIPANT_KIND, found.object.metadata.name) for found in unread)
            return None
        if by.beat_at < due_at - max(seconds / 2, _STILL_SECONDS):
            self._changes_at = earliest(self._changes_at, self._now + _LOOK_AGAIN_SECONDS)
            return None
        return Concluded(seen.beat_at, self._number, one.words[0], self._why(one, seen))

    def _why(self, one: Accused, seen: SeenParticipant) -> str:
        """For people."""
        heartbeat = f"no heartbeat for {self._now - seen.beat_at:.0f} s"
        by = one.by if one.is_host else f"{one.by} (rank 0)"
        if one.left:
            return f"it has said to {by} that its workers have stopped"
        if one.words[0] is HostState.CLOSED:
            if one.is_host:
                return f"its connections to all other members were closed, and {heartbeat}"
            return f"its connection to {by} was closed, and {heartbeat}"
        missed = f"{self._now - one.since + MISSED_BEATS_SECONDS:.0f} s"
        if one.is_host:
            return f"{by} has had no answers from it for {missed}, and {heartbeat}"
        return f"no beats at {by} for {missed}, and {heartbeat}"


def suspicion(now: Now, peers: Peers, name: str) -> str:
    """Why a member may be dead, for people; empty: it is not suspected."""
    one = peers.suspects(name)
    if one is None:
        return ""
    since = now.clock_time(one.since - MISSED_BEATS_SECONDS)
    if one.is_host:
        return f"does not answer the beats of {one.by} since {since}"
    if HostState.CLOSED in one.words:
        return f"has no connection to {one.by} (rank 0) since {since}"
    return f"sends no beats to {one.by} (rank 0) since {since}"
