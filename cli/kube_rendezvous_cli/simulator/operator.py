"""The operator of a simulation: what it sees, and the decisions that it takes on it. No time passes here."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import Enum

from rendezvous_api import names
from rendezvous_api.participant import Participant
from rendezvous_api.rendezvous import Rendezvous, RendezvousStatus
from rendezvous_operator.core.decide import decide
from rendezvous_operator.core.world import (
    Decision,
    Deletion,
    Evidence,
    Memory,
    Now,
    Pod,
    SeenParticipant,
    Target,
    World,
)

_MOST_TURNS = 50
"""Decisions at one moment. More would be a fault of the simulation: its answers to reads do not change anything."""
_SOONEST_SECONDS = 0.05
"""From a decision to one that it has asked for, as in the operator."""


class Rest(Enum):
    """Whether decisions are left out that would change nothing."""

    NONE = "none"
    POSSIBLE = "possible"
    """The last decision was made since its time had come, and has changed nothing."""
    SLEEPS = "sleeps"
    IMPOSSIBLE = "impossible"
    """Nothing would be left out. Or heartbeats change what is remembered, as while members vouch for one by theirs."""


@dataclass(frozen=True)
class Written:
    """A status that was written."""

    before: RendezvousStatus
    decision: Decision


@dataclass
class Operator:
    """One Rendezvous with all its objects, and one operator that has always seen all of them.

    Objects are put into it as the API server would show them. Where the real operator reads an object before it
    decides, it finds what is here.
    """

    rendezvous: Rendezvous
    epoch: datetime
    """The wall clock at 0 s."""
    seen: dict[str, SeenParticipant] = field(default_factory=dict)
    pods: dict[str, Pod] = field(default_factory=dict)
    """By UID."""
    memory: Memory = field(default_factory=Memory)
    wake_at: float | None = None
    """It decides again at this moment (seconds of the simulation)."""
    away: bool = False
    """No operator leads: nothing is decided."""
    finished: bool = False
    """The Rendezvous was deleted."""
    news: bool = True
    """Something has changed since the last decision."""
    rest: Rest = Rest.NONE
    _absent: set[Target] = field(default_factory=set)
    _ended_at: dict[str, float] = field(default_factory=dict)

    @property
    def status(self) -> RendezvousStatus:
        """As it was written last."""
        return self.rendezvous.status

    def participant(self, name: str) -> Participant | None:
        """As the API server has it; None: there is none of that name."""
        seen = self.seen.get(name)
        return seen.object if seen is not None else None

    def wall(self, at: float) -> datetime:
        """That moment of the simulation on the clock that people read."""
        return self.epoch + timedelta(seconds=at)

    def show_rendezvous(self, rendezvous: Rendezvous) -> None:
        """The user has changed the Rendezvous."""
        self.rendezvous, self.news = rendezvous, True

    def show(self, participant: Participant, at: float) -> None:
        """The agent has written its participant."""
        self.news = True
        name = participant.metadata.name
        self._absent.discard(Target(names.PARTICIPANT_KIND, name))
        before = self.seen.get(name)
        self.seen[name] = SeenParticipant(participant, at, before.read_at if before is not None else None)

    def show_pod(self, pod: Pod, at: float) -> None:
        """A pod is made, or is another one."""
        self.news = True
        before, self.pods[pod.uid] = self.pods.get(pod.uid), pod
        if pod.over and (before is None or before.phase != pod.phase):
            self._ended_at[pod.uid] = at

    def drop_pod(self, pod: Pod, at: float) -> None:
        """A pod is gone."""
        self.news = True
        self.pods.pop(pod.uid, None)
        self._pod_is_absent(Target(names.POD_KIND, pod.name, pod.uid), at)

    def begins_again(self, at: float) -> None:
        """Another process leads: it remembers nothing, and has just listed all objects."""
        self.memory, self.away, self.news = Memory(), False, True
        self.seen = {name: SeenParticipant(seen.object, at) for name, seen in self.seen.items()}

    def sleep(self, at: float, beating: Mapping[str, SeenParticipant]) -> None:
        """Decide again only when something else than a missing heartbeat would change the decision.

        A heartbeat that comes in time changes none: the real operator decides on none, either (`core.relevance`). It
        looks at all nodes again when the next heartbeat would be missing. That is some thousand times a day, and here
        it is known which heartbeats come.

        Args:
            at: now.
            beating: all participants, those whose heartbeats come with one at the end of all times that are played.
        """
        self.rest = Rest.IMPOSSIBLE
        decision = decide(Now(at, self.wall(at)), replace(self._world(), participants=beating), self.memory)
        if not isinstance(decision, Decision) or self._changes(decision) or decision.memory != self.memory:
            return
        before, wakes = self.wake_at, decision.wake_at
        if before is not None and (wakes is None or wakes > before):
            self.wake_at, self.rest = wakes, Rest.SLEEPS

    def stir(self, at: float) -> None:
        """Other heartbeats come than when it fell asleep: it looks again."""
        if self.rest is Rest.SLEEPS:
            self.wake_at, self.rest = at, Rest.NONE

    def _changes(self, decision: Decision) -> bool:
        return bool(decision.status != self.status or decision.deletions or decision.events)

    def decide(self, at: float) -> list[Written]:
        """Decide if there is a reason to, until nothing more is to be written. Returns all that was written."""
        written: list[Written] = []
        due = self.news or (self.wake_at is not None and self.wake_at <= at)
        if self.away or self.finished or not due:
            return written
        woken, self.news = not self.news, False
        for _ in range(_MOST_TURNS):
            decision = decide(Now(at, self.wall(at)), self._world(), self.memory)
            if isinstance(decision, Evidence):
                self._read(decision.targets, at)
                continue
            self.memory = decision.memory
            self.wake_at = None if decision.wake_at is None else max(decision.wake_at, at + _SOONEST_SECONDS)
            if not woken or written or self._changes(decision):
                self.rest = Rest.NONE
            elif self.rest is not Rest.IMPOSSIBLE:
                self.rest = Rest.POSSIBLE
            self._delete(decision.deletions)
            before = self.status
            if decision.status == before:
                return written
            version = str(int(self.rendezvous.metadata.resource_version or "0") + 1)
            metadata = replace(self.rendezvous.metadata, resource_version=version)
            self.rendezvous = replace(self.rendezvous, metadata=metadata, status=decision.status)
            written.append(Written(before, decision))
        raise RuntimeError(f"at {at:g} s the simulation decides again and again: {written or 'it reads'}")

    def _world(self) -> World:
        return World(
            self.rendezvous,
            self.seen,
            self.pods,
            absent=frozenset(self._absent),
            ended_at=self._ended_at,
            complete=True,
        )

    def _read(self, targets: Iterable[Target], at: float) -> None:
        for target in targets:
            seen = self.seen.get(target.name)
            if target.kind == names.PARTICIPANT_KIND and seen is not None:
                self.seen[target.name] = replace(seen, read_at=at)
            elif target.kind == names.PARTICIPANT_KIND:
                self._absent.add(target)
            elif target.uid not in self.pods:
                self._pod_is_absent(target, at)

    def _pod_is_absent(self, target: Target, at: float) -> None:
        self._absent.add(target)
        self._ended_at.setdefault(target.uid, at)

    def _delete(self, deletions: Iterable[Deletion]) -> None:
        for deletion in deletions:
            if deletion.kind == names.PARTICIPANT_KIND:
                self.seen.pop(deletion.name, None)
                self._absent.add(Target(names.PARTICIPANT_KIND, deletion.name))
            else:
                self.finished = True
