"""Which nodes are silent (rule "liveness").

A node is silent when the operator has not *seen* its heartbeat change for some time, on the operator's own monotonic
clock. Clocks of two machines are never compared (compare client-go's leader election, which "only acts on timestamps
captured locally"). A watch may be late, so a participant is read from the API server before it counts as silent.

If all participants, two or more, are silent, the path between them and the operator is broken, and no node counts as
silent. After the next heartbeat every node gets a full period again: for its heartbeat, and for what the operator waits
for. If that heartbeat was of another run than the one that holds the Rendezvous, the nodes that stay silent are *left
behind* until a node of the run is heard: they are no sign of a broken path. Else nodes that are gone would be protected
without an end by nodes of another run, which come, are refused and go. A last word of a node of the run leaves none of
the others behind: in an outage it may be the only one that came through.

Otherwise, if all members of the current round are silent, whatever else is heard, the round is *cut off*. A round that
is cut off is *isolated* if its members may train on together: then none of them is lost by silence. The time in which a
round is cut off is not counted as the silence of a member that stays silent after it.

A member that is silent, and whose machine is down, is lost sooner (see `machines`). If its pod ought to have ended as
well, it is dead (see `overdue`), and not one of those that are silent.

A member for which its peers vouch is not silent. Its silence begins with the last heartbeat of the one that vouched for
it. A member that is dead by what its peers say counts as one that was silent for too long (see `peers`).
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from rendezvous_api import names
from rendezvous_api.reasons import ClosedReason, RoundEndReason
from rendezvous_operator.core import machines, overdue
from rendezvous_operator.core.nodes import (
    Node,
    Silence,
    interval_seconds,
    late_seconds,
    silence_begins,
    silent_seconds,
    suspect_seconds,
)
from rendezvous_operator.core.peer_words import Words
from rendezvous_operator.core.peers import Peers, judge
from rendezvous_operator.core.timers import Timer
from rendezvous_operator.core.verdict import earliest
from rendezvous_operator.core.world import Excused, Memory, Now, SeenParticipant, Target, Vouched, World

ISOLATED_ROUND_SECONDS = 600
"""How long an isolated round is kept if the spec does not say it, and a member has no known pod. Pods give evidence."""

_KEEPS_ITS_MEMBERS = (
    RoundEndReason.SCALE_UP,
    RoundEndReason.TOO_MANY_NODES,
    RoundEndReason.MEMBER_EVICTED,
    RoundEndReason.SUSPENDED,
)
"""Why a round may be asked to end whose members all run. If the user has asked for a restart, the round is given up."""
_MAY_TRAIN_ON = frozenset({None, ClosedReason.CLOSE_REQUESTED.value, *(reason.value for reason in _KEEPS_ITS_MEMBERS)})
"""Members of a closed run go on."""


@dataclass(frozen=True)
class Liveness:
    """Which nodes are silent now, and what follows for the timers."""

    silences: Mapping[str, Silence]
    """Of the silent nodes, by name; empty if all are silent."""
    all_silent: bool
    """Two or more are, and not all of them are left behind."""
    grace_from: float
    """Silence from before this moment does not count."""
    timers_floor: float
    """No timer starts before this moment (monotonic seconds): the first heartbeat after all were silent."""
    to_read: frozenset[Target]
    """Participants that must be read before they count as silent."""
    changes_at: float | None
    """When the next node reaches a limit of silence if it sends no heartbeat (monotonic seconds)."""
    cut_off: bool = False
    """All members of the current round are silent, and nothing else is known of any of them."""
    isolated: bool = False
    """They are cut off and may train on: none of them is lost by its silence."""
    only_others: bool = False
    """See `Memory`."""
    excused: Mapping[str, Excused] = field(default_factory=dict)
    """Of members, by name."""
    peers: Peers = field(default_factory=Peers)
    """What follows from what members say of each other."""
    by_peers_only: tuple[str, ...] = ()
    """The members that send no heartbeats and are not silent, since their peers vouch for them."""
    rare: tuple[str, ...] = ()
    """The members that send rare heartbeats, as they have said, and are not silent for the same reason."""
    vouched: Mapping[str, Vouched] = field(default_factory=dict)
    """When that was last, by name; also of those for which that has ended."""
    by_machine: Mapping[str, str] = field(default_factory=dict)
    """The nodes that are silent for too long only since their machines are down, by name, and why, for people."""
    overdue: Mapping[str, str] = field(default_factory=dict)
    """The members that are dead since their pods ought to have ended, by name, and why, for people; see `overdue`."""


def assess(now: Now, world: World, memory: Memory, nodes: Mapping[str, Node]) -> Liveness:
    """Measure the silence of all nodes that have not left and are not certainly dead."""
    words = Words(now.monotonic, world, nodes)
    ended = overdue.judge(now.monotonic, world, nodes, memory, words)
    if ended.dead:
        nodes = with_dead(nodes, ended.dead)
    expected = [world.participants[node.name] for node in nodes.values() if node.left is None and not node.dead]
    found = _assess(now, world, memory, nodes, words, expected)
    return replace(
        found,
        to_read=found.to_read | ended.to_read,
        changes_at=earliest(found.changes_at, ended.changes_at),
        overdue=ended.dead,
    )


def with_dead(nodes: Mapping[str, Node], dead: Mapping[str, str]) -> dict[str, Node]:
    """The nodes, of which these are dead, too, and why."""
    return {**nodes, **{name: nodes[name]._replace(dead=why) for name, why in dead.items()}}


def _assess(
    now: Now,
    world: World,
    memory: Memory,
    nodes: Mapping[str, Node],
    words: Words,
    expected: Sequence[SeenParticipant],
) -> Liveness:
    measured = _Measurement(now.monotonic, world, memory, memory.excused, words)
    silences = measured.silences(expected)
    only_others = memory.only_others and not _is_heard(world, nodes, memory.grace_from)
    left_behind = only_others and all(map(measured.is_left_behind, expected))
    if len(silences) == len(expected) >= 2 and not left_behind:
        # Also of those of which something was concluded: they may have been received since.
        to_read = frozenset(measured.to_read)
        return Liveness(
            {}, True, memory.grace_from, now.monotonic, to_read, measured.changes_at, only_others=only_others
        )
    peers = judge(now.monotonic, world, nodes, memory, words)
    lost = dict.fromkeys(peers.concluded, Silence.LOST)
    if (Timer.ALL_SILENT, None) in memory.since:
        # All were silent, and the first heartbeat has arrived: the silence of every node starts now.
        changes_at = now.monotonic + measured.shortest(expected) if expected else None
        return Liveness(
            lost,
            False,
            now.monotonic,
            now.monotonic,
            frozenset(measured.to_read) | peers.to_read,
            earliest(changes_at, peers.changes_at),
            only_others=not _is_heard(world, nodes, memory.since[Timer.ALL_SILENT, None]),
            peers=peers,
        )
    silences |= lost
    cut_off = not lost and _is_cut_off(world, nodes, silences)
    excused = memory.excused
    began = memory.since.get((Timer.CUT_OFF, world.rendezvous.status.round))
    if began is not None and not cut_off:
        excused = _excused(world, memory, began, now.monotonic)
        measured = _Measurement(now.monotonic, world, memory, excused, words)
        silences = measured.silences(expected) | lost
    isolated, until = _is_isolated(now.monotonic, world, nodes, silences, began) if cut_off else (False, None)
    return Liveness(
        silences,
        False,
        memory.grace_from,
        memory.grace_from,
        frozenset(measured.to_read) | peers.to_read,
        earliest(measured.changes_at, until, peers.changes_at),
        cut_off,
        isolated,
        only_others,
        excused,
        peers,
        tuple(measured.by_peers_only),
        tuple(measured.rare),
        _vouched(world, memory, measured.vouched),
        measured.by_machine,
    )


def _is_heard(world: World, nodes: Mapping[str, Node], since: float) -> bool:
    """Whether a node of the run that holds the Rendezvous was heard since then. It may have been its last word."""
    run = world.rendezvous.status.run_id
    return any(node.run_id == run and world.participants[node.name].beat_at >= since for node in nodes.values())


def _is_cut_off(world: World, nodes: Mapping[str, Node], silences: Mapping[str, Silence]) -> bool:
    members = world.rendezvous.status.participants
    return bool(members) and all(member.name in silences and nodes[member.name].is_member(member) for member in members)


def _is_isolated(
    now: float, world: World, nodes: Mapping[str, Node], silences: Mapping[str, Silence], began: float | None
) -> tuple[bool, float | None]:
    """Whether a round that is cut off is kept; and when that may end by time (monotonic seconds)."""
    status, limit = world.rendezvous.status, world.rendezvous.spec.timeouts.isolated_round_seconds
    last = status.history[-1] if status.history else None
    if last is None or last.reason not in _MAY_TRAIN_ON:
        return False, None
    if limit is None and all(_pod_is_known(nodes[member.name]) for member in status.participants):
        return True, None
    members = {member.name for member in status.participants}
    somebody_waits = any(node.present and node.name not in members for node in nodes.values())
    until = (now if began is None else began) + (ISOLATED_ROUND_SECONDS if limit is None else limit)
    if not somebody_waits:
        return True, None
    return now < until, until if now < until else None


def _pod_is_known(node: Node) -> bool:
    return node.pod is not None and node.pod.known


def _excused(world: World, memory: Memory, began: float, now: float) -> Mapping[str, Excused]:
    """After a round was cut off from then until now: that time does not count for the members that are silent still."""
    excused = {}
    for member in world.rendezvous.status.participants:
        seen = world.participants.get(member.name)
        if seen is not None and seen.beat_at < began:
            before = silence_begins(seen, memory.excused.get(member.name), memory.vouched.get(member.name))
            # Silence from before `grace_from` does not count anyway, so this time comes after it.
            counts_from = max(before, memory.grace_from) + now - began
            excused[member.name] = Excused(seen.beat_at, counts_from - seen.beat_at)
    return excused


def _vouched(world: World, memory: Memory, now: Mapping[str, Vouched]) -> Mapping[str, Vouched]:
    """Those of now, and those from before that still count."""
    seen = world.participants
    before = {
        name: vouched
        for name, vouched in memory.vouched.items()
        if name in seen and seen[name].beat_at == vouched.beat_at
    }
    return {**before, **now}


class _Measurement:
    """Measures one node after the other, and collects what must be read and when a result changes."""

    def __init__(self, now: float, world: World, memory: Memory, excused: Mapping[str, Excused], words: Words) -> None:
        spec = world.rendezvous.spec
        self._now = now
        self._words = words
        self._excused = excused
        self._not_before = memory.grace_from
        self._before = memory.vouched
        self._spec = spec
        self._world = world
        self._since = memory.since
        self._round_runs = world.rendezvous.status.running
        self.to_read: set[Target] = set()
        self.changes_at: float | None = None
        self.vouched: dict[str, Vouched] = {}
        self.by_machine: dict[str, str] = {}
        self.by_peers_only: list[str] = []
        self.rare: list[str] = []

    def silences(self, expected: Sequence[SeenParticipant]) -> dict[str, Silence]:
        """Of the silent ones, by name."""
        if not expected:
            return {}
        first = self._began(min(expected, key=lambda seen: seen.beat_at), None) + self.shortest(expected)
        if self._now < first:
            self.changes_at = first  # the usual case: none is silent
            return {}
        return {seen.object.metadata.name: silence for seen in expected if (silence := self._silence(seen))}

    def shortest(self, expected: Sequence[SeenParticipant]) -> int:
        """The shortest time after which one of them is silent, in seconds."""
        return min(silent_seconds(seen.object, self._spec) for seen in expected)

    def is_left_behind(self, seen: SeenParticipant) -> bool:
        """Whether it was silent already when all were, and has not been heard since another node was."""
        return seen.beat_at + silent_seconds(seen.object, self._spec) <= self._not_before

    def _silence(self, seen: SeenParticipant) -> Silence:
        silence, name = Silence.NONE, seen.object.metadata.name
        began = self._began(seen, None)
        silent_at = began + silent_seconds(seen.object, self._spec)
        if self._now >= silent_at:
            if self._now < began + late_seconds(seen.object, self._spec) and self._is_vouched_for(seen):
                self.rare.append(name)
                return Silence.NONE
            # It is read before its peers vouch for it, too: what it says itself counts only until it is silent.
            if seen.read_at is None or seen.read_at < silent_at:
                self.to_read.add(Target(names.PARTICIPANT_KIND, name))
                return Silence.NONE
            if self._is_vouched_for(seen):
                self.by_peers_only.append(name)
                return Silence.NONE
            began = max(self._began(seen, self._before.get(name)), self._words.vouched_at(name))
        for level, limit in self._limits(seen, began):
            limit_at = began + limit
            if self._now < limit_at:
                self.changes_at = earliest(self.changes_at, limit_at)
                break
            if seen.read_at is None or seen.read_at < limit_at:
                self.to_read.add(Target(names.PARTICIPANT_KIND, name))
                break
            silence = level
        if silence is not Silence.NONE and late_seconds(seen.object, self._spec) > self._now - began:
            # Its next heartbeat causes no decision, since it is not late.
            again_at = self._now + interval_seconds(seen.object, self._spec)
            self.changes_at = earliest(self.changes_at, again_at)
        if self._world.machines is None:
            return silence
        if silence is Silence.SILENT and self._round_runs and self._words.rank_of(name) is not None:
            self.changes_at = earliest(self.changes_at, self._now + machines.LOOK_AGAIN_SECONDS)
        if silence is Silence.LOST and self._now < began + suspect_seconds(seen.object, self._spec):
            self.by_machine[name] = machines.why_down(self._world, seen)
        return silence

    def _limits(self, seen: SeenParticipant, began: float) -> Iterator[tuple[Silence, float]]:
        yield Silence.SILENT, silent_seconds(seen.object, self._spec)
        # Most are not silent, and never ask for it.
        yield Silence.LOST, machines.lost_seconds(self._now, began, seen, self._world, self._since)

    def _is_vouched_for(self, seen: SeenParticipant) -> bool:
        name = seen.object.metadata.name
        voucher = self._words.voucher(name)
        if voucher is None:
            return False
        self.vouched[name] = Vouched(seen.beat_at, voucher.beat_at)
        # When they do so no more, its silence begins with what is noted here.
        again_at = self._now + interval_seconds(voucher.object, self._spec)
        self.changes_at = earliest(self.changes_at, self._words.until(voucher), again_at)
        return True

    def _began(self, seen: SeenParticipant, vouched: Vouched | None) -> float:
        excused = self._excused.get(seen.object.metadata.name)
        return max(silence_begins(seen, excused, vouched), self._not_before)
