"""What the former core remembers and answers; what it sees is what the core sees."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from rendezvous_api.reasons import RoundEndReason
from rendezvous_api.rendezvous import RendezvousStatus
from rendezvous_operator.core.world import Deletion, Event, Now, Pod, SeenParticipant, Target, World

__all__ = [
    "Decision",
    "Deletion",
    "Event",
    "Fact",
    "FailedCheckIns",
    "Memory",
    "Now",
    "Pod",
    "SeenParticipant",
    "Target",
    "World",
]

Fact = tuple[str | int, ...]
"""Something that holds now and whose age matters, such as ``("asked", 7)``: round 7 has been asked to end."""


@dataclass(frozen=True)
class FailedCheckIns:
    """Check-ins that failed at one host of the store, in rounds without a good one in between."""

    host: str
    """Name of the member of rank 0."""
    count: int
    round: int
    """The last round that was counted; a decision that has to be taken again does not count it twice."""


@dataclass(frozen=True)
class Memory:
    """What one operator process remembers of a Rendezvous. Never stored: a new leader starts with an empty one."""

    since: Mapping[Fact, float] = field(default_factory=dict)
    """Since when, on the monotonic clock, each fact has held without a break."""
    grace_from: float = float("-inf")
    """Silence from before this moment does not count; see `liveness`."""
    failed_check_ins: FailedCheckIns | None = None


@dataclass(frozen=True)
class Decision:
    """The answer of the core for one turn."""

    status: RendezvousStatus
    """To be written with the resourceVersion of the object that was decided on; nothing to write where it is equal."""
    memory: Memory
    explanation: str
    """One line for people: what the Rendezvous is waiting for, or why this was decided."""
    confirm: frozenset[Target] = frozenset()
    """Read these from the API server, then decide again."""
    deletions: tuple[Deletion, ...] = ()
    events: tuple[Event, ...] = ()
    wake_at: float | None = None
    """Decide again at this moment (monotonic) even if nothing is seen to change."""
    lost: Mapping[str, RoundEndReason] = field(default_factory=dict)
    """Members of the last round that are lost, by name, and how: MemberLost, MemberEvicted or MemberFailed."""
