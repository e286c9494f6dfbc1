"""Who is silent (rule "liveness").

Silence is no change of a heartbeat *seen* on the operator's own monotonic clock; clocks of two machines are never
compared (compare client-go's leader election, which "only acts on timestamps captured locally"). Nobody is called
silent from what a watch has not said: the object is read from the API server first.

When all participants are silent, something between them and the operator is broken, and nobody is dropped. When one is
heard again, everybody gets a full period: to be heard, and to do what is waited for.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from rendezvous_api import names
from rendezvous_operator.core.agents import Agent, Silence
from rendezvous_operator.core.timers import Timer
from rendezvous_operator.core.verdict import earliest
from rendezvous_operator.core.world import Memory, Now, SeenParticipant, Target, World


@dataclass(frozen=True)
class Hearing:
    """What was heard, and what was not."""

    silences: Mapping[str, Silence]
    """Of those who are silent, by name; empty when all are."""
    all_silent: bool
    grace_from: float
    """Silence from before this moment does not count."""
    timers_floor: float
    """No timer starts before this moment: nobody could be heard, or could do what is waited for."""
    to_read: frozenset[Target]
    """Silent objects that must be read before they are called silent."""
    changes_at: float | None
    """When somebody will have been silent for the next limit."""


def listen(now: Now, world: World, memory: Memory, agents: Mapping[str, Agent]) -> Hearing:
    """Find out who is silent among those who have not left and are not dead for certain."""
    expected = [world.participants[agent.name] for agent in agents.values() if agent.left is None and not agent.dead]
    ear = _Ear(now.monotonic, world, memory.grace_from)
    silences = ear.listen(expected)
    to_read = frozenset(ear.to_read)
    if len(silences) == len(expected) >= 2:
        return Hearing({}, True, memory.grace_from, now.monotonic, to_read, ear.changes_at)
    if (Timer.ALL_SILENT, None) not in memory.since:
        floor = max(world.answering_since, memory.grace_from)
        return Hearing(silences, False, memory.grace_from, floor, to_read, ear.changes_at)
    # The first of all that were silent is heard: everybody's silence begins now.
    changes_at = now.monotonic + world.rendezvous.spec.keep_alive_seconds
    return Hearing({}, False, now.monotonic, now.monotonic, to_read, changes_at)


class _Ear:
    """Collects, while it listens to one after the other, what must be read and when to listen again."""

    def __init__(self, now: float, world: World, grace_from: float) -> None:
        spec = world.rendezvous.spec
        self._now = now
        self._not_before = max(world.answering_since, grace_from)
        self._limits = ((Silence.KEEP_ALIVE, spec.keep_alive_seconds), (Silence.SUSPECT, spec.suspect_seconds))
        self.to_read: set[Target] = set()
        self.changes_at: float | None = None

    def listen(self, expected: Sequence[SeenParticipant]) -> dict[str, Silence]:
        """Those who are silent, by name."""
        if not expected:
            return {}
        first = self._heard_at(min(expected, key=lambda seen: seen.heard_at)) + self._limits[0][1]
        if self._now < first:
            self.changes_at = first  # the usual case: all are heard
            return {}
        return {seen.object.metadata.name: silence for seen in expected if (silence := self._silence(seen))}

    def _silence(self, seen: SeenParticipant) -> Silence:
        silence = Silence.NONE
        for level, limit in self._limits:
            over_at = self._heard_at(seen) + limit
            if self._now < over_at:
                self.changes_at = earliest(self.changes_at, over_at)
                break
            if seen.read_at is None or seen.read_at < over_at:
                self.to_read.add(Target(names.PARTICIPANT_KIND, seen.object.metadata.name))
                break
            silence = level
        return silence

    def _heard_at(self, seen: SeenParticipant) -> float:
        return max(seen.heard_at, self._not_before)
