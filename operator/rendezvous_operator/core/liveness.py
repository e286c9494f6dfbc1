"""Which nodes are silent (rule "liveness").

A node is silent when the operator has not *seen* its heartbeat change for some time, on the operator's own monotonic
clock. Clocks of two machines are never compared (compare client-go's leader election, which "only acts on timestamps
captured locally"). A watch may be late, so a participant is read from the API server before it counts as silent.

If all participants are silent, the path between them and the operator is broken, and no node counts as silent. After
the next heartbeat every node gets a full period again: for its heartbeat, and for what the operator waits for.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from rendezvous_api import names
from rendezvous_operator.core.nodes import Node, Silence
from rendezvous_operator.core.timers import Timer
from rendezvous_operator.core.verdict import earliest
from rendezvous_operator.core.world import Memory, Now, SeenParticipant, Target, World


@dataclass(frozen=True)
class Liveness:
    """Which nodes are silent now, and what follows for the timers."""

    silences: Mapping[str, Silence]
    """Of the silent nodes, by name; empty if all are silent."""
    all_silent: bool
    grace_from: float
    """Silence from before this moment does not count."""
    timers_floor: float
    """No timer starts before this moment (monotonic seconds): the first heartbeat after all were silent."""
    to_read: frozenset[Target]
    """Participants that must be read before they count as silent."""
    changes_at: float | None
    """When the next node reaches a limit of silence if it sends no heartbeat (monotonic seconds)."""


def assess(now: Now, world: World, memory: Memory, nodes: Mapping[str, Node]) -> Liveness:
    """Measure the silence of all nodes that have not left and are not certainly dead."""
    expected = [world.participants[node.name] for node in nodes.values() if node.left is None and not node.dead]
    measured = _Measurement(now.monotonic, world, memory.grace_from)
    silences = measured.silences(expected)
    to_read = frozenset(measured.to_read)
    if len(silences) == len(expected) >= 2:
        return Liveness({}, True, memory.grace_from, now.monotonic, to_read, measured.changes_at)
    if (Timer.ALL_SILENT, None) not in memory.since:
        return Liveness(silences, False, memory.grace_from, memory.grace_from, to_read, measured.changes_at)
    # All were silent, and the first heartbeat has arrived: the silence of every node starts now.
    changes_at = now.monotonic + world.rendezvous.spec.silent_seconds
    return Liveness({}, False, now.monotonic, now.monotonic, to_read, changes_at)


class _Measurement:
    """Measures one node after the other, and collects what must be read and when a result changes."""

    def __init__(self, now: float, world: World, grace_from: float) -> None:
        spec = world.rendezvous.spec
        self._now = now
        self._not_before = grace_from
        self._limits = ((Silence.KEEP_ALIVE, spec.silent_seconds), (Silence.SUSPECT, spec.suspect_seconds))
        self.to_read: set[Target] = set()
        self.changes_at: float | None = None

    def silences(self, expected: Sequence[SeenParticipant]) -> dict[str, Silence]:
        """Of the silent ones, by name."""
        if not expected:
            return {}
        first = self._beat_at(min(expected, key=lambda seen: seen.beat_at)) + self._limits[0][1]
        if self._now < first:
            self.changes_at = first  # the usual case: none is silent
            return {}
        return {seen.object.metadata.name: silence for seen in expected if (silence := self._silence(seen))}

    def _silence(self, seen: SeenParticipant) -> Silence:
        silence = Silence.NONE
        for level, limit in self._limits:
            limit_at = self._beat_at(seen) + limit
            if self._now < limit_at:
                self.changes_at = earliest(self.changes_at, limit_at)
                break
            if seen.read_at is None or seen.read_at < limit_at:
                self.to_read.add(Target(names.PARTICIPANT_KIND, seen.object.metadata.name))
                break
            silence = level
        return silence

    def _beat_at(self, seen: SeenParticipant) -> float:
        return max(seen.beat_at, self._not_before)
