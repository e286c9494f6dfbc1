"""Which events need a decision, and which statuses must be written at once.

Most events of the watches are heartbeats that cannot change a decision. And every write of a Rendezvous is sent to all
of its agents, so what no agent waits for may wait: else each coming and going of one node would be a write.
"""

from dataclasses import replace

from rendezvous_api.participant import Participant
from rendezvous_api.rendezvous import RendezvousStatus
from rendezvous_api.rendezvous_spec import RendezvousSpec
from rendezvous_operator.core.nodes import late_seconds
from rendezvous_operator.core.world import SeenParticipant

_DEFAULT_SPEC = RendezvousSpec(1, 1)
"""For a Rendezvous that does not exist: its participants are kept for a while, and it may be created again."""


def matters(before: SeenParticipant | None, after: Participant, spec: RendezvousSpec | None, now: float) -> bool:
    """Whether a newer version of a participant needs a decision.

    Args:
        before: the participant as it was last seen; None: never.
        after: the participant as it is now.
        spec: of its Rendezvous; None: it does not exist.
        now: monotonic seconds.
    """
    if before is None or not before.understood or not _is_same_but_time(before.object, after):
        return True
    return is_heartbeat(before.object, after) and ends_a_silence(before, spec, now)


def ends_a_silence(before: SeenParticipant, spec: RendezvousSpec | None, now: float) -> bool:
    """Whether a heartbeat comes so late that the participant may count as silent; arguments as of `matters`.

    One that is rare since peers hear its agent is not late. While nobody vouches for it, it is looked at now and then.
    """
    return now - before.beat_at >= late_seconds(before.object, spec or _DEFAULT_SPEC)


def is_heartbeat(before: Participant, after: Participant) -> bool:
    """Whether the agent wrote between two versions. A write of another client is no sign of life of the agent."""
    return _beat(before) != _beat(after)


def _beat(participant: Participant) -> tuple[object, ...]:
    spec, status = participant.spec, participant.status
    return (participant.metadata.uid, spec.incarnation, spec.attempt, spec.state, status.heartbeat_time)


def _is_same_but_time(before: Participant, after: Participant) -> bool:
    """Whether only the time of the heartbeat differs."""
    return (
        after.metadata.uid == before.metadata.uid
        and after.spec == before.spec
        and replace(after.status, heartbeat_time=None) == replace(before.status, heartbeat_time=None)
    )


def is_urgent(before: RendezvousStatus, after: RendezvousStatus) -> bool:
    """Whether somebody waits for the newer one: for a round, the end of one, that of a run, or a new refusal.

    The spares, who is unhealthy, what the next round waits for, conditions and counts may be written later. Conditions
    that say how a round or a run ended come with its end.
    """
    answers = set(after.refused).difference(before.refused)
    return bool(answers) or _without_details(before) != _without_details(after)


def _without_details(status: RendezvousStatus) -> RendezvousStatus:
    return replace(
        status,
        heartbeat_interval_seconds=None,
        waiting_nodes=min(status.waiting_nodes, 1),
        refused=(),
        unhealthy=(),
        spares=(),
        passed_over=(),
        summary=None,
        formation=None,
        conditions=(),
        history=tuple(replace(record, ended=None) for record in status.history),
    )
