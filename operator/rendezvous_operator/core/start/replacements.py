"""Rule "replacements": a later round waits for a while for its lost members or for other nodes in their place.

It is published at once when as many nodes wait as were members, else ``timeouts.replacementSeconds`` after the last
member of the old round joined again or was lost. A group that has lost no member never waits, and none waits for a
node that is held out.
"""

from rendezvous_api.reasons import FormationReason
from rendezvous_operator.core.blocking import blocking
from rendezvous_operator.core.select.selection import Selection
from rendezvous_operator.core.situation import Situation
from rendezvous_operator.core.start.missing import missing
from rendezvous_operator.core.timers import Timer, Timers
from rendezvous_operator.core.verdict import Met, Verdict, Waits
from rendezvous_operator.core.words import with_listing


def verdict(s: Situation, timers: Timers, picked: Selection) -> Verdict:
    """Waits in a later round while fewer nodes wait than the round before had."""
    passed_over = {entry.name for entry in picked.held_out}
    members = sum(member.name not in passed_over for member in s.status.participants)
    wanted = s.sizes.fitting(members) or members
    if not s.run.has_round or len(picked.queue) >= wanted:
        return Met()
    joined = f"{len(picked.queue)} of {members} nodes have joined again"
    if blocking(s, timers):
        return Waits(FormationReason.WAITING_FOR_REPLACEMENTS, joined)
    until = timers.began(Timer.DRAINED, s.status.round) + s.spec.timeouts.replacement_seconds
    if timers.passed(until):
        return Met()
    absent = missing(s, picked)
    message = f"{joined}; waiting for replacements until {s.when(until)}"
    return Waits(
        FormationReason.WAITING_FOR_REPLACEMENTS,
        with_listing(message, absent),
        absent,
        until,
    )
