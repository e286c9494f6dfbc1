"""Rule "store host": a node whose store cannot be reached does not stay rank 0.

The member with the fewest failed check-ins at its store changes ranks with it, and of equals one that reached the last
store, if half of the others did. It does so at once if the others say that they did
not reach the store, else after the second failure. `status.failures` has them, so a new leader counts them, too. A host
from which most of the others got no answers in the last round is not taken again either: that is nobody's fault.
"""

from collections import Counter
from math import gcd

from rendezvous_api.reasons import RoundEndReason
from rendezvous_api.rendezvous import Member
from rendezvous_operator.core import check_in, failures
from rendezvous_operator.core.rank.stable import moved
from rendezvous_operator.core.situation import Situation

_CHECKED_IN = RoundEndReason.WORKER_FAILED.value
"""Workers that failed have run, so all members had checked in."""


def failed_check_ins(s: Situation) -> Counter[str]:
    """The failed check-ins of which the host was at fault, by its name, since all members of a round have met."""
    history = s.status.history
    met = [record.round for record in history if record.checked_in is not None or record.reason == _CHECKED_IN]
    # Nobody knows whether all have met in a round that is older than the history.
    since = max(met, default=history[0].round - 1 if history else 0)
    return Counter(
        failure.node
        for failure in s.run.failures
        if failure.reason is RoundEndReason.CHECK_IN_FAILED and failure.round > since
    )


def moved_if_unfit(s: Situation, ranked: tuple[Member, ...]) -> tuple[Member, ...]:
    """The members, with another rank 0 if check-ins failed too often at this one."""
    failed = failed_check_ins(s)
    host, *others = ranked
    if not others or not _is_unfit(s, host, failed[host.name]):
        return ranked
    # Those that have failed are not tried again before the others, also if there are more than are remembered: the
    # host before this one has the rank from which this one came.
    ranks = {member.name: member.rank for member in ranked}
    before = [failure.node for failure in s.run.failures if failure.node in failed and failure.node != host.name]
    came_from = ranks.get(before[-1], 0) if before else 0
    step = _step(len(ranked))
    steps = {(came_from + number * step) % len(ranked): number for number in range(1, len(ranked) + 1)}
    cut_off = _cut_off(s)
    other = min(others, key=lambda member: (failed[member.name], member.name in cut_off, steps[member.rank]))
    if failed[other.name] > failed[host.name]:
        return ranked
    changed = {0: moved(other, 0), other.rank: moved(host, other.rank)}
    return tuple(changed.get(member.rank, member) for member in ranked)


def _cut_off(s: Situation) -> tuple[str, ...]:
    """Who did not reach the last store, if half of the others did, and so most of the group reach each other.

    If fewer did, more nodes may meet at a store that is elsewhere.
    """
    seen = check_in.seen_together(s)
    return seen.not_reached if 2 * seen.reached >= seen.others else ()


def _step(size: int) -> int:
    """How many ranks lie between a host and the next one: neighbours often share a rack or a switch.

    About a quarter of the group, and such that each rank is reached.
    """
    return next(step for step in range(max(1, size // 4), size) if gcd(step, size) == 1)


def _is_unfit(s: Situation, host: Member, failed: int) -> bool:
    """Whether another host is taken, after so many failed check-ins in a row at this one.

    The second one decides where the others say nothing, as agents of earlier releases do, or nothing that is clear: a
    check-in may fail for other causes.
    """
    if host.name != s.status.participants[0].name:
        return failed > 0
    if s.liveness.peers.host_not_reached:
        return True
    failure = failures.of_current(s)
    if failure is None or (failure.node, failure.reason) != (host.name, RoundEndReason.CHECK_IN_FAILED):
        return False
    seen = check_in.seen_together(s)
    at_fault = seen.not_reached and 2 * len(seen.not_reached) >= seen.others
    return failed > (0 if at_fault else 1)
