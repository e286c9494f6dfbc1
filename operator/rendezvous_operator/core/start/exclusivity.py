"""Rule "exclusivity": no two rounds run at the same time.

A new round is published only when every member of the running one has joined again, has left, is dead, or was asked to
join again ``timeouts.reentrySeconds`` ago. The same applies to every other node that may run a round.
"""

from rendezvous_api.reasons import FormationReason
from rendezvous_api.rendezvous import Missing
from rendezvous_operator.core.blocking import blocking, blocking_unlisted, members_are_asked, unlisted_overdue_at
from rendezvous_operator.core.nodes import Node
from rendezvous_operator.core.select.selection import Selection
from rendezvous_operator.core.situation import Situation
from rendezvous_operator.core.start.missing import away, missing
from rendezvous_operator.core.timers import Timers
from rendezvous_operator.core.verdict import Met, Verdict, Waits, earliest
from rendezvous_operator.core.words import listing, number_of_nodes


def _why(node: Node) -> str:
    if node.addressed:
        return f"still runs round {node.reported_round}"
    return "may run a round of the deleted Rendezvous of this name, and has not joined this one"


def verdict(s: Situation, timers: Timers, picked: Selection) -> Verdict:
    """Waits while a node may still run an older round."""
    members, others = blocking(s, timers), blocking_unlisted(s, timers)
    if not members and not others:
        return Met()
    asked = members_are_asked(s)
    blocked_by = []
    for view in members:
        why = f" ({view.why})" if view.why else ""
        text = f"has not joined again{why}" if asked else f"still runs round {s.status.round} of another run{why}"
        blocked_by.append(Missing(view.name, text))
    blocked_by += [Missing(node.name, _why(node)) for node in others]
    return Waits(
        FormationReason.WAITING_FOR_MEMBERS,
        f"{number_of_nodes(picked.joined)} joined; {listing([*blocked_by, *away(s, picked)])}",
        [*blocked_by, *missing(s, picked)],
        # `history` has the moment when the members are overdue, since that ends their round.
        until=earliest(*(unlisted_overdue_at(s, timers, node) for node in others)),
    )
