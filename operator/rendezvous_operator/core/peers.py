"""What follows from what the members of the current round say of each other (rule "peers").

A second path of evidence beside the heartbeats. A member of which beats arrive at the host of the round is not silent,
however long the API server gets no heartbeat of it: the host *vouches* for it. A member of which no beats arrive is
*accused*, and its next heartbeat *contradicts* that. If none comes in time, the operator *concludes* that it is dead.
The same holds for the host, of which all other members say whether it answers their beats.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from rendezvous_api import names
from rendezvous_api.participant import MISSED_SECONDS, NEWS_PER_SECOND
from rendezvous_api.reasons import HostState
from rendezvous_operator.core.nodes import Node
from rendezvous_operator.core.peer_words import Accusation, Words
from rendezvous_operator.core.timers import Fact, Timer
from rendezvous_operator.core.verdict import earliest
from rendezvous_operator.core.world import Concluded, Memory, Now, SeenParticipant, Target, World

CLOSED_SECONDS = 1.0
"""How long a heartbeat may contradict a closed connection; the agents have tried for as long to open it again."""
_STILL_SECONDS = 3.0
"""How old the last heartbeat of an accuser may be in any case; half of the time to confirm, if that is longer."""
_LOOK_AGAIN_SECONDS = 1.0
"""While an accused member has not contradicted, or an accuser sends no heartbeats: most cause no decision."""


class Accused(NamedTuple):
    """The same, and what follows from it."""

    name: str
    words: tuple[HostState, ...]
    by: str
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

    def __init__(self, now: float, world: World, nodes: Mapping[str, Node], memory: Memory, words: Words) -> None:
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
        accusations = {found.name: found for found in self._words.accusations() if self._may_run(found.name)}
        accused = {name: self._accused(found) for name, found in accusations.items() if name not in concluded}
        doubted = self._is_doubted(list(accused.values()))
        if any(not one.contradicted and not one.left for one in accused.values()):
            self._changes_at = earliest(self._changes_at, self._now + _LOOK_AGAIN_SECONDS)
        for one in accused.values():
            if doubted and not one.left and not one.is_host:
                continue
            found = self._conclusion(one, accusations[one.name].newest)
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
        return self._words.rank_of(name) is not None and self._nodes[name].lives

    def _still_holds(self, name: str, found: Concluded) -> bool:
        """Until its next heartbeat, or a word that beats of it arrive. Who has said so may be in no round any more."""
        if found.round != self._number or not self._may_run(name):
            return False
        return self._world.participants[name].beat_at == found.beat_at and self._words.voucher(name) is None

    def _accused(self, found: Accusation) -> Accused:
        name, words = found.name, found.words
        since = self._since(name, words[-1])
        contradicted = self._heard_at(name) > since and not (HostState.LEFT in words and self._has_stopped(name))
        return Accused(name, words, found.by, since, contradicted, is_host=self._words.ranks[name] == 0)

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
            # A new leader, or a watch that is late, may show the contradiction in the same moment as the accusation.
            if self._heard_at(one.name) <= since and not self._words.has_lived_on(one.name):
                # Members spread such heartbeats. The host does not: it says at once whose connections were closed.
                spread = 0.0 if one.is_host else len(self._words.members) / NEWS_PER_SECOND
                found = self._after(min(CLOSED_SECONDS + spread, self._confirm), since, one, seen, by)
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
        # A member that gets answers from the host may have said so since, which shows that the host lives.
        witness = self._words.answered if one.is_host else None
        asked = (seen, by) if witness is None else (seen, by, witness)
        unread = [found for found in asked if found.read_at is None or found.read_at < due_at]
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
        missed = f"{self._now - one.since + MISSED_SECONDS:.0f} s"
        if one.is_host:
            return f"{by} has had no answers from it for {missed}, and {heartbeat}"
        return f"no beats at {by} for {missed}, and {heartbeat}"


def suspicion(now: Now, peers: Peers, name: str) -> str:
    """Why a member may be dead, for people; empty: it is not suspected."""
    one = peers.suspects(name)
    if one is None:
        return ""
    before = CLOSED_SECONDS if HostState.CLOSED in one.words else MISSED_SECONDS
    since = now.clock_time(one.since - before)
    if one.is_host:
        return f"does not answer the beats of {one.by} since {since}"
    if HostState.CLOSED in one.words:
        return f"has no connection to {one.by} (rank 0) since {since}"
    return f"sends no beats to {one.by} (rank 0) since {since}"
