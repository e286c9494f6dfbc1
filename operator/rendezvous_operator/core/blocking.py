"""Which nodes may still run an older round, and so block the next one (rule "exclusivity")."""

from collections.abc import Hashable, Iterator

from rendezvous_operator.core.nodes import MemberView, Node
from rendezvous_operator.core.situation import Situation
from rendezvous_operator.core.timers import Timer, Timers


def blocking(s: Situation, timers: Timers) -> tuple[MemberView, ...]:
    """Members of the current round that must join again, leave or die before the next one may be published."""
    if members_are_asked(s) and timers.passed(overdue_at(s, timers)):
        return ()
    return s.blocking_members


def unlisted(s: Situation) -> Iterator[Node]:
    """Nodes that are heard and may still train in a round in which they are not listed."""
    return (node for node in may_run_unlisted(s) if node.present)


def may_run_unlisted(s: Situation) -> Iterator[Node]:
    """The same, whether they are heard or not: they report such a round, or have not asked this Rendezvous yet.

    These have asked a deleted one of the same name. It may have published a round of which no heartbeat has told yet.
    """
    for node in s.nodes.values():
        may_run = node.reported_round or (node.understood and not node.addressed)
        if may_run and not node.is_member(s.entries.get(node.name)):
            yield node


def unlisted_key(node: Node) -> Hashable:
    """The key of `Timer.UNLISTED`: one agent.

    Not one attempt of it: with its next attempt an agent asks for a round, and may run one only when it was listed.
    """
    return node.name, node.object.spec.incarnation


def blocking_unlisted(s: Situation, timers: Timers) -> list[Node]:
    """The `unlisted` nodes that block the next round: those seen for less than ``timeouts.reentrySeconds``."""
    return [node for node in unlisted(s) if not timers.passed(unlisted_overdue_at(s, timers, node))]


def members_are_asked(s: Situation) -> bool:
    """Whether the members of the current round are asked to join again, now or when the next one is formed.

    Those of a closed run are not, unless its restart budget is spent: they may finish, and block without a limit.
    """
    return s.run.has_round or s.run.called_back


def overdue_at(s: Situation, timers: Timers) -> float:
    """When the members of the current round stop to block the next one (monotonic seconds)."""
    return timers.began(Timer.ASKED, s.status.round) + s.spec.timeouts.reentry_seconds


def unlisted_overdue_at(s: Situation, timers: Timers, node: Node) -> float:
    """When one of the `unlisted` nodes stops to block the next round (monotonic seconds)."""
    return timers.began(Timer.UNLISTED, unlisted_key(node)) + s.spec.timeouts.reentry_seconds
