"""Rule "store host": a node whose store cannot be reached does not stay rank 0.

After `FAILED_CHECK_INS` failed check-ins in a row at one host of the store, it changes ranks with the member of rank 1.
"""

from rendezvous_api.reasons import RoundEndReason
from rendezvous_api.rendezvous import Member
from rendezvous_operator.core.situation import Situation
from rendezvous_operator.core.world import FailedCheckIns

FAILED_CHECK_INS = 2
"""Failed check-ins in a row at one host of the store, after which another member becomes rank 0."""


def count_failed_check_ins(s: Situation, reason: RoundEndReason) -> FailedCheckIns | None:
    """The failed check-ins in a row after the current round has ended for that reason.

    A round in which all members checked in starts the count again. A round that lost a member does not change it: the
    loss makes the check-in fail, whatever the host.
    """
    before = s.failed_check_ins if s.status.history[-1].checked_in is None else None
    if reason is RoundEndReason.CHECK_IN_FAILED:
        host = s.status.participants[0].name
        earlier = before.count if before is not None and before.host == host else 0
        return FailedCheckIns(host, earlier + 1)
    return before if reason is RoundEndReason.MEMBER_LOST else None


def moved_if_unfit(ranked: tuple[Member, ...], failed: FailedCheckIns | None) -> tuple[Member, ...]:
    """The members, with another rank 0 if check-ins failed too often at this one."""
    unfit = failed is not None and failed.count >= FAILED_CHECK_INS and ranked[0].name == failed.host
    if not unfit or len(ranked) == 1:
        return ranked
    host, other, *others = ranked
    return (_at(other, 0), _at(host, 1), *others)


def _at(member: Member, rank: int) -> Member:
    return Member(member.name, member.incarnation, member.attempt, rank, member.pod_index)
