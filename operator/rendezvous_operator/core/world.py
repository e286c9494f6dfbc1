"""What the core sees and what it answers; nothing in here decides anything."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from rendezvous_api.participant import Participant
from rendezvous_api.reasons import EventReason, RoundEndReason
from rendezvous_api.rendezvous import Rendezvous, RendezvousStatus
from rendezvous_operator.core.timers import Fact


@dataclass(frozen=True)
class Now:
    """One moment on two clocks."""

    monotonic: float
    """Seconds on the operator's own clock; everything but the ttl is decided on it."""
    wall: datetime
    """Aware, UTC; for the times that people read, and for ``ttlSecondsAfterClosed``."""

    @property
    def timestamp(self) -> str:
        """The wall time as ``metav1.Time`` (RFC 3339, whole seconds)."""
        return self.wall.strftime("%Y-%m-%dT%H:%M:%SZ")

    def micro_time(self, moment: float | None = None) -> str:
        """A moment of the monotonic clock, this one if none is given, as ``metav1.MicroTime`` of the wall clock."""
        return self._wall_at(moment).strftime("%Y-%m-%dT%H:%M:%S.%fZ")

    def clock_time(self, moment: float) -> str:
        """A moment of the monotonic clock as the nearest whole second of the wall clock, for messages."""
        return (self._wall_at(moment) + timedelta(seconds=0.5)).strftime("%Y-%m-%dT%H:%M:%SZ")

    def _wall_at(self, moment: float | None) -> datetime:
        return self.wall if moment is None else self.wall + timedelta(seconds=moment - self.monotonic)


@dataclass(frozen=True)
class Pod:
    """A pod in the namespace of the Rendezvous, reduced to what decisions depend on."""

    uid: str
    name: str
    known: bool = True
    """Carries the label ``rdzv.dev/rendezvous`` with this Rendezvous' name. Others are read only to learn their run."""
    phase: str = "Running"
    leaving: str | None = None
    """Why it will end soon (deletionTimestamp, condition DisruptionTarget), else None."""
    run_id: str | None = None
    """Label ``rdzv.dev/run-id``, else JobSet's UID, else the UID of the controller; None for a bare pod."""
    workload: str | None = None
    """JobSet's UID, else the UID of the controller: what all pods of one piece of work share."""
    problem: str | None = None
    """Why it does not run yet, for people: ``Pending (0/3 nodes are available: Insufficient nvidia.com/gpu)``."""

    @property
    def live(self) -> bool:
        """Neither ended nor about to end."""
        return self.phase not in ("Succeeded", "Failed") and self.leaving is None


@dataclass(frozen=True, slots=True)
class SeenParticipant:
    """A participant and when it was last seen to change, on the operator's monotonic clock."""

    object: Participant
    heard_at: float
    """When its heartbeatTime, incarnation, attempt or state, or its UID, was last seen to change."""
    read_at: float | None = None
    """When the API server itself, not a watch, last gave this object."""


@dataclass(frozen=True, order=True)
class Target:
    """One object to read from the API server before it is called silent or gone, or to learn its run."""

    kind: str
    """``RendezvousParticipant`` or ``Pod``."""
    name: str
    uid: str = ""
    """Of a pod: the one that is meant; another pod of that name means that this one is gone."""


@dataclass(frozen=True)
class World:
    """Everything that is known about one Rendezvous at one moment."""

    rendezvous: Rendezvous
    participants: Mapping[str, SeenParticipant] = field(default_factory=dict)
    """By name."""
    pods: Mapping[str, Pod] = field(default_factory=dict)
    """By UID."""
    absent: frozenset[Target] = frozenset()
    """Objects that are known not to be there: deleted, missing in a complete list, or answered with 404."""
    complete: bool = True
    """All kinds have been listed once. Nothing is decided before."""
    answering_since: float = 0.0
    """Since when the API server has answered the operator; silence from before says nothing about an agent."""


@dataclass(frozen=True)
class FailedCheckIns:
    """Check-ins that failed at one host of the store, in rounds without a good one in between."""

    host: str
    """Name of the member of rank 0."""
    count: int


@dataclass(frozen=True)
class Memory:
    """What one operator process remembers of a Rendezvous. Never stored: a new leader starts with an empty one.

    It is adopted when the status that was decided with it is written, differs in nothing from the one before, or in
    nothing but words and counts that are written later. So it never runs ahead of the status.
    """

    since: Mapping[Fact, float] = field(default_factory=dict)
    """Since when, on the monotonic clock, each fact has held without a break."""
    grace_from: float = float("-inf")
    """Silence from before this moment does not count; see `silence`."""
    failed_check_ins: FailedCheckIns | None = None


@dataclass(frozen=True)
class Event:
    """A Kubernetes Event about the Rendezvous, to be sent once the status is written."""

    reason: EventReason
    message: str
    warning: bool = False


@dataclass(frozen=True)
class Deletion:
    """An object to delete, exactly as it was seen: both the UID and the resourceVersion are preconditions."""

    kind: str
    name: str
    uid: str
    resource_version: str
    why: str


@dataclass(frozen=True)
class Evidence:
    """What must be read from the API server before anything is decided. The memory stays, and nothing else follows."""

    targets: frozenset[Target]

    @property
    def explanation(self) -> str:
        """One line for people."""
        first, *others = sorted(self.targets)
        more = f" and {len(others)} more" if others else ""
        return f"reading {first.kind} {first.name}{more} before deciding"


@dataclass(frozen=True)
class Decision:
    """The answer of the core for one turn."""

    status: RendezvousStatus
    """To be written with the resourceVersion of the object that was decided on; nothing to write where it is equal."""
    memory: Memory
    explanation: str
    """One line for people: what the Rendezvous is waiting for, or why this was decided."""
    deletions: tuple[Deletion, ...] = ()
    events: tuple[Event, ...] = ()
    wake_at: float | None = None
    """Decide again at this moment (monotonic) even if nothing is seen to change."""
    lost: Mapping[str, RoundEndReason] = field(default_factory=dict)
    """Members of the last round that are lost, by name, and how: MemberLost, MemberEvicted or MemberFailed."""
