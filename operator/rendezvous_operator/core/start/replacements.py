"""Rule "replacements": a later round waits for those it has lost, or for others in their place, for a while.

It starts at once when as many wait as were members, else ``replacementTimeoutSeconds`` after the last member of the old
round came back or was lost. A group that has lost nobody never waits.
"""

from rendezvous_api.reasons import FormationReason
from rendezvous_operator.core.blocking import blocking
from rendezvous_operator.core.select.selection import Selection
from rendezvous_operator.core.situation import Situation
from rendezvous_operator.core.timers import Timer, Timers
from rendezvous_operator.core.verdict import Met, Verdict, Waits
from rendezvous_operator.core.words import with_listing


def verdict(s: Situation, timers: Timers, picked: Selection) -> Verdict:
    """Waits in a later round while fewer are there than in the round before."""
    members = len(s.status.participants)
    wanted = s.sizes.fitting(members) or members
    if not s.run.has_round or len(picked.queue) >= wanted:
        return Met()
    joined = f"{len(picked.queue)} of {members} nodes are back"
    if blocking(s, timers):
        return Waits(FormationReason.WAITING_FOR_REPLACEMENTS, joined)
    until = timers.began(Timer.DRAINED, s.status.round) + s.spec.replacement_timeout_seconds
    if timers.passed(until):
        return Met()
    missing = [*s.lost, *s.known_but_missing]
    message = f"{joined}; replacements are waited for until {s.when(until)}"
    return Waits(
        FormationReason.WAITING_FOR_REPLACEMENTS,
        with_listing(message, missing),
        missing,
        until,
    )
