"""Rule "exclusivity": no round beside another one.

A new round is published only when every member of the running one has re-entered, left, is dead, or was asked
``reentryTimeoutSeconds`` ago; and the same for every other agent whose heartbeat says that it runs some round.
"""

from rendezvous_api.reasons import FormationReason
from rendezvous_api.rendezvous import Missing
from rendezvous_operator.core.blocking import (
    blocking,
    blocking_others,
    claim_overdue_at,
    members_are_asked,
    overdue_at,
)
from rendezvous_operator.core.select.selection import Selection
from rendezvous_operator.core.situation import Situation
from rendezvous_operator.core.timers import Timers
from rendezvous_operator.core.verdict import Met, Verdict, Waits, earliest
from rendezvous_operator.core.words import listing, nodes


def verdict(s: Situation, timers: Timers, picked: Selection) -> Verdict:
    """Waits while anybody may still run an older round."""
    members, others = blocking(s, timers), blocking_others(s, timers)
    if not members and not others:
        return Met()
    asked = members_are_asked(s)
    held_by = []
    for view in members:
        why = f" ({view.why})" if view.why else ""
        text = f"has not come back{why}" if asked else f"still runs round {s.status.round} of another run{why}"
        held_by.append(Missing(view.name, text))
    held_by += [Missing(agent.name, f"still runs round {agent.claimed_round}") for agent in others]
    return Waits(
        FormationReason.WAITING_FOR_MEMBERS,
        f"{nodes(len(picked.queue))} joined; {listing([*held_by, *s.lost])}",
        [*held_by, *s.lost, *s.known_but_missing],
        until=earliest(
            overdue_at(s, timers) if members and asked else None,
            *(claim_overdue_at(s, timers, agent) for agent in others),
        ),
    )
