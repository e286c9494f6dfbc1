"""Rule "replacement groups": how long a replacement group that has lost a member is kept.

With the mode Together it is left out at once, and nobody waits for it. With Escalate, a later round waits for one node
in the place of the lost one, for ``nodes.escalationSeconds``, also if another replacement group could take the ranks at
once. A replacement group of which no node is left has nothing to keep, so it is not waited for.

The name, and the time that is usual, are those of DLRover, which starts one node again before all of its rack.
"""

from rendezvous_api.reasons import FormationReason
from rendezvous_operator.core.select.replacement_groups import to_wait_for
from rendezvous_operator.core.select.selection import Selection
from rendezvous_operator.core.situation import Situation
from rendezvous_operator.core.start.missing import missing_and_left_out
from rendezvous_operator.core.start.replacements import away_since
from rendezvous_operator.core.timers import Timer, Timers
from rendezvous_operator.core.verdict import Met, Verdict, Waits
from rendezvous_operator.core.words import first_of, with_listing

_PART_OF_JOIN_TIMEOUT = 0.95
"""Since the members were asked to join again. Who joined first would give up soon after, and the round would begin
without it."""


def verdict(s: Situation, timers: Timers, picked: Selection) -> Verdict:
    """Waits in a later round while members wait in a replacement group that one node may make whole again."""
    kept_seconds = s.spec.nodes.kept_seconds
    if not s.run.has_round or not kept_seconds:
        return Met()
    groups = to_wait_for(s, picked)
    until = away_since(s, timers, s.names_unhealthy | picked.names_out) + kept_seconds
    asked = timers.began(Timer.ASKED, s.status.round)
    until = min(until, asked + _PART_OF_JOIN_TIMEOUT * s.spec.timeouts.join_seconds)
    if not groups or timers.passed(until):
        return Met()
    waits = first_of(len(groups), f"replacement group {groups[0]!r} waits for another node until {s.when(until)}")
    absent = missing_and_left_out(s, picked)
    return Waits(FormationReason.WAITING_FOR_REPLACEMENTS, with_listing(waits, absent), absent, until)
