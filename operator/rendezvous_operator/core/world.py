"""The input and the output of the core; no decision is made here."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import Enum
from typing import NamedTuple

from rendezvous_api.meta import micro_time, timestamp
from rendezvous_api.participant import Participant
from rendezvous_api.reasons import EventReason, HostState, RoundEndReason
from rendezvous_api.rendezvous import Owner, Rendezvous, RendezvousStatus
from rendezvous_operator.core.timers import Fact


@dataclass(frozen=True)
class Now:
    """One moment on two clocks."""

    monotonic: float
    """Seconds on the operator's own clock, which stands still in an outage; all decisions but the ttl depend on it.
    Wherever the core says "monotonic seconds", they are those of this clock."""
    wall: datetime
    """Aware, UTC; for the times that people read, and for the few that are computed from one in the status."""

    @property
    def timestamp(self) -> str:
        """The wall time as ``metav1.Time`` (RFC 3339, whole seconds)."""
        return timestamp(self.wall)

    def micro_time(self, moment: float | None = None) -> str:
        """A moment of the monotonic clock, this one if none is given, as ``metav1.MicroTime`` of the wall clock."""
        return micro_time(self._wall_at(moment))

    def clock_time(self, moment: float) -> str:
        """A moment of the monotonic clock as the nearest whole second of the wall clock, for messages."""
        return timestamp(self._wall_at(moment) + timedelta(seconds=0.5))

    def _wall_at(self, moment: float | None) -> datetime:
        return self.wall if moment is None else self.wall + timedelta(seconds=moment - self.monotonic)


class ContainerEnd(NamedTuple):
    """The last end of a regular container of a pod, as its kubelet has told it."""

    container: str
    exit_code: int
    why: str
    """For people: ``OOMKilled, exit code 137``."""
    finished_at: str | None = None
    """``metav1.Time`` of the clock of its machine. None: its kubelet does not know it."""
    runs_since: str | None = None
    """The same of its next start. None: it has not started again."""
    over: bool = False
    """It is not started again."""
    seen_at: float | None = None
    """When this was first seen (monotonic seconds). None: it was so already when the pod was first seen."""


@dataclass(frozen=True)
class Pod:
    """A pod in the namespace of the Rendezvous: only what decisions depend on."""

    uid: str
    name: str
    known: bool = True
    """Has the label ``rdzv.dev/rendezvous`` with the name of this Rendezvous. Others are read only for their run."""
    phase: str = "Running"
    leaving: str | None = None
    """Why it will end soon (deletionTimestamp, condition DisruptionTarget); None: it will not."""
    grace_seconds: int | None = None
    """It is being deleted, and its containers have that long to end; None: it is not."""
    ends_by: float | None = None
    """When that time is over, counted from when the deletion was first seen (monotonic seconds)."""
    workload: str | None = None
    """Of which the runs of its agents are launches: label ``rdzv.dev/run-id``, else ``owner_uid``."""
    owner_uid: str | None = None
    """JobSet's UID, or that of its TrainJob, else the UID of the controller; None for a bare pod."""
    owner: Owner | None = None
    """Kind and name of the same."""
    addresses: frozenset[str] = frozenset()
    """IP addresses of the pod and its machine. Empty: not known yet, or it may have others, which its status lacks."""
    ended: tuple[ContainerEnd, ...] = ()
    """Of the containers that have ended, also if they run again since. Not of init containers and sidecars."""
    only_container: str | None = None
    """The name of its regular container, if there is only one."""
    problem: str | None = None
    """Why it is not running yet, for people: ``Pending (0/3 nodes are available: Insufficient nvidia.com/gpu)``."""
    unschedulable: bool = False
    """The scheduler has found no machine for it, and makes no room for it by preemption."""
    labels: Mapping[str, str] = field(default_factory=dict)
    """All of them: which one says something, the spec says (``nodes.groupKey``, ``ranks.keys``)."""
    unhealthy_device: str | None = None
    """The first device that its kubelet reports as Unhealthy, for people: ``nvidia.com/gpu GPU-7``. None: none is."""

    @property
    def over(self) -> bool:
        """All its containers have ended for good."""
        return self.phase in ("Succeeded", "Failed")

    @property
    def live(self) -> bool:
        """Neither ended nor about to end."""
        return not self.over and self.leaving is None


class Taint(NamedTuple):
    """A taint of a machine."""

    key: str
    value: str = ""
    effect: str = ""


@dataclass(frozen=True)
class Machine:
    """A machine, a Node of Kubernetes: only what decisions depend on."""

    problem: str | None = None
    """Why it is down, for people: ``is NotReady``. None: it is not."""
    labels: Mapping[str, str] = field(default_factory=dict)
    taints: tuple[Taint, ...] = ()
    conditions: Mapping[str, str] = field(default_factory=dict)
    """By type: ``True``, ``False`` or ``Unknown``."""
    cordoned: bool = False
    """``spec.unschedulable``."""


@dataclass(frozen=True, slots=True)
class SeenParticipant:
    """A participant, and when it last changed and was last read, on the operator's monotonic clock."""

    object: Participant
    beat_at: float
    """When its heartbeatTime, incarnation, attempt or state, or its UID, was last seen to change."""
    read_at: float | None = None
    """When it was last read from the API server, not shown by a watch; None: not since this round of its Rendezvous was
    seen first. Before that, it may be older than the round."""
    understood: bool = True
    """Whether `object` is its newest version. Otherwise that does not fit the API of this release: it is alive, and
    nothing else follows. `object` then has the metadata of that version, and the rest of the last one that fitted."""


@dataclass(frozen=True, order=True)
class Target:
    """An object to read from the API server before it counts as silent or gone, or to learn its run."""

    kind: str
    """``RendezvousParticipant`` or ``Pod``."""
    name: str
    uid: str = ""
    """Of the pod that is meant: if another pod has that name, this one is gone."""


@dataclass(frozen=True)
class World:
    """All that is seen of one Rendezvous at one moment."""

    rendezvous: Rendezvous
    participants: Mapping[str, SeenParticipant] = field(default_factory=dict)
    """By name."""
    pods: Mapping[str, Pod] = field(default_factory=dict)
    """By UID."""
    absent: frozenset[Target] = frozenset()
    """Objects that certainly do not exist: a read was answered with 404. Of participants: since this round is known."""
    vanished: frozenset[Target] = frozenset()
    """Pods of participants that no watch and no list shows any more: deleted, or running on without the label."""
    ended_at: Mapping[str, float] = field(default_factory=dict)
    """By the UID of a pod: when its last end, or that of one of its containers, was seen first; or, of a pod that does
    not exist, when that was known (monotonic seconds)."""
    machines: Mapping[str, Machine] | None = None
    """Those that the decision needs (`machines.to_know`) and that could be read, by name. None: none may be read."""
    complete: bool = True
    """Whether all kinds have been listed. Nothing is decided before."""


class Excused(NamedTuple):
    """Seconds that do not count as the silence of a member, because its round was cut off; see `liveness`."""

    beat_at: float
    """Its heartbeat before that (monotonic seconds). After another one this does not hold."""
    seconds: float


class Vouched(NamedTuple):
    """When the peers of a member that sends no heartbeats vouched for it last; see `peers`."""

    beat_at: float
    """Its heartbeat before that (monotonic seconds). After another one this does not hold."""
    at: float
    """Monotonic seconds."""


class Concluded(NamedTuple):
    """What was concluded of a member from what the others say of it; see `peers`."""

    beat_at: float
    """Its heartbeat before that (monotonic seconds). After another one this does not hold."""
    round: int
    word: HostState
    """Missed or Closed: it is dead. Left: its workers do not run the round any more."""
    why: str
    """For people."""

    @property
    def dead(self) -> bool:
        """Whether the member is lost."""
        return self.word is not HostState.LEFT


@dataclass(frozen=True)
class Told:
    """Of which suspects people were told in the round that runs."""

    suspects: Mapping[str, float] = field(default_factory=dict)
    """By name: time of the last heartbeat before (monotonic seconds)."""
    at: float = float("-inf")
    """When they were told last (monotonic seconds)."""


@dataclass(frozen=True)
class Memory:
    """What one operator process remembers of a Rendezvous. Never stored: a new leader starts with an empty one.

    It is adopted when the status of the same decision is written, is the same as before, or differs only in messages
    and counts, which are written later. So it is never ahead of the status.
    """

    since: Mapping[Fact, float] = field(default_factory=dict)
    """Since when each fact has been true without a break (monotonic seconds)."""
    grace_from: float = float("-inf")
    """Silence before this moment does not count (monotonic seconds); see `liveness`."""
    only_others: bool = False
    """Since that moment no node of the run that holds the Rendezvous has been heard, but nodes of other runs have."""
    excused: Mapping[str, Excused] = field(default_factory=dict)
    """Of members, by name."""
    told: Told = Told()
    vouched: Mapping[str, Vouched] = field(default_factory=dict)
    """Of members, by name."""
    concluded: Mapping[str, Concluded] = field(default_factory=dict)
    """The same."""


@dataclass(frozen=True)
class Event:
    """A Kubernetes Event about the Rendezvous, to be sent once the status is written."""

    reason: EventReason
    message: str
    warning: bool = False


@dataclass(frozen=True)
class Deletion:
    """An object to delete as it was seen: its UID and resourceVersion are preconditions."""

    kind: str
    name: str
    uid: str
    resource_version: str
    why: str


@dataclass(frozen=True)
class Evidence:
    """Objects that must be read from the API server before a decision is possible. The memory stays as it is."""

    targets: frozenset[Target]

    @property
    def explanation(self) -> str:
        """One line for people."""
        first, *others = sorted(self.targets)
        more = f" and {len(others)} more" if others else ""
        return f"reading {first.kind} {first.name}{more} before deciding"


class LossEvidence(Enum):
    """What has shown that a member is lost."""

    POD = "Pod"
    """Its pod or its container has ended."""
    CLOSED = "Closed"
    """Its connection to the host of the round was closed; of the host, those to all others."""
    MISSED = "Missed"
    """No beats of it arrived at the host; of the host, no answers at another member."""
    MACHINE = "Machine"
    """No heartbeat arrived, and its machine is down."""
    SILENCE = "Silence"
    """No heartbeat arrived."""


class Detection(NamedTuple):
    """How a loss was found."""

    evidence: LossEvidence
    seconds: float
    """Since the member was seen to live."""


@dataclass(frozen=True)
class Decision:
    """The answer of the core."""

    status: RendezvousStatus
    """To be written with the resourceVersion of the object that was decided on, unless it is the same as before."""
    memory: Memory
    explanation: str
    """One line for people: what the Rendezvous does or waits for."""
    deletions: tuple[Deletion, ...] = ()
    events: tuple[Event, ...] = ()
    wake_at: float | None = None
    """Decide again at this moment (monotonic seconds) even if nothing changes; None: only after a change."""
    lost: Mapping[str, RoundEndReason] = field(default_factory=dict)
    """Lost members of the last round, by name, with the reason: see `RoundEndReason`."""
    detected: Mapping[str, Detection] = field(default_factory=dict)
    """Of those of them that were seen to live by this operator."""
    suspects: int = 0
    """Members of the running round that may be lost soon."""
