"""Rule "last call": the first round of a run gathers nodes for a while, since it does not know who will come.

It starts at once when as many wait as fit. It starts `SETTLED_SECONDS` after those who wait have become exactly the
known pods of the run. Else it starts ``lastCallTimeoutSeconds`` after enough were there; later joins do not extend
that, and falling below the smallest size cancels it.
"""

from rendezvous_api.reasons import FormationReason
from rendezvous_operator.core.select.selection import Selection
from rendezvous_operator.core.situation import Situation
from rendezvous_operator.core.timers import Timer, Timers
from rendezvous_operator.core.verdict import Met, Verdict, Waits
from rendezvous_operator.core.words import with_listing

SETTLED_SECONDS = 5
"""A first round of known pods starts before the last call when nothing has changed for this long."""


def verdict(s: Situation, timers: Timers, picked: Selection) -> Verdict:
    """Waits in a first round while others may still come. Whether enough are there is the question of `size`."""
    if s.run.has_round or not picked.chosen or len(picked.queue) >= s.sizes.most:
        return Met()
    until = timers.began(Timer.ENOUGH, s.run.id) + s.spec.last_call_timeout_seconds
    others = f"others may join until {s.when(until)}"
    if s.all_known_wait:
        settled_at = timers.began(Timer.SETTLED, s.who_waits) + SETTLED_SECONDS
        if settled_at < until:
            until = settled_at
            others = f"all known pods have joined, so others may join only until {s.when(until)}"
    if timers.passed(until):
        return Met()
    message = f"{len(picked.queue)} of at most {s.sizes.most} nodes; {others}"
    missing = s.known_but_missing
    return Waits(FormationReason.LAST_CALL, with_listing(message, missing), missing, until)
