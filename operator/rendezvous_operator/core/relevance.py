"""What need not be decided, or written, at once.

Most events of the watches are heartbeats, and most of those cannot change a decision. And each write of a Rendezvous is
sent to all of its agents, so what is only of interest to people may wait a little.
"""

from dataclasses import replace

from rendezvous_api.participant import Participant
from rendezvous_api.rendezvous import RendezvousSpec, RendezvousStatus
from rendezvous_operator.core.world import SeenParticipant

_DEFAULT_SPEC = RendezvousSpec(1, 1)
"""Of a Rendezvous that is not there: its participants are kept for a while, and may find it again."""


def matters(before: SeenParticipant | None, after: Participant, spec: RendezvousSpec | None, now: float) -> bool:
    """Whether to decide again because of a newer version of a participant.

    Args:
        before: the participant as it was seen the last time; None: never.
        after: the participant as it is now.
        spec: of its Rendezvous; None: there is no such Rendezvous.
        now: monotonic seconds.
    """
    if before is None or not _says_the_same(before.object, after):
        return True
    # It may have been marked silent: that has to be taken back.
    keep_alive = (spec or _DEFAULT_SPEC).keep_alive_seconds
    return is_heartbeat(before.object, after) and now - before.heard_at >= keep_alive


def is_heartbeat(before: Participant, after: Participant) -> bool:
    """Whether an agent has written between two versions; others may write, too, and that is no sign of its life."""
    return _beat(before) != _beat(after)


def _beat(participant: Participant) -> tuple[object, ...]:
    spec, status = participant.spec, participant.status
    return (participant.metadata.uid, spec.incarnation, spec.attempt, spec.state, status.heartbeat_time)


def _says_the_same(before: Participant, after: Participant) -> bool:
    """Whether nothing but the time of the heartbeat differs."""
    return (
        after.metadata.uid == before.metadata.uid
        and after.spec == before.spec
        and replace(after.status, heartbeat_time=None) == replace(before.status, heartbeat_time=None)
    )


def is_urgent(before: RendezvousStatus, after: RendezvousStatus) -> bool:
    """Whether two states differ in more than counts, messages and the moment at which a round was over.

    Those may be written a little later: agents watch the Rendezvous, so each write of it is sent to all of them.
    """
    return _without_details(before) != _without_details(after)


def _without_details(status: RendezvousStatus) -> RendezvousStatus:
    return replace(
        status,
        waiting_nodes=min(status.waiting_nodes, 1),
        formation=None if status.formation is None else replace(status.formation, message="", joined=0, missing=()),
        conditions=tuple(replace(condition, message="") for condition in status.conditions),
        history=tuple(replace(record, ended=None) for record in status.history),
    )
