"""Rule "last call": the first round of a run waits for more nodes for a while, since their number is not known.

It is published at once when the largest size is reached; `SETTLED_SECONDS` after the waiting nodes have become exactly
the known pods of the run; else ``timeouts.lastCallSeconds`` after the smallest size was reached. Later joins do not
extend the last call, and a number below the smallest size cancels it.
"""

from rendezvous_api.reasons import FormationReason
from rendezvous_operator.core.select.selection import Selection
from rendezvous_operator.core.situation import Situation
from rendezvous_operator.core.timers import Timer, Timers
from rendezvous_operator.core.verdict import Met, Verdict, Waits
from rendezvous_operator.core.words import with_listing

SETTLED_SECONDS = 5
"""A first round of known pods is published before the last call has ended if nothing changed for this time."""


def verdict(s: Situation, timers: Timers, picked: Selection) -> Verdict:
    """Waits in a first round while more nodes may join. The rule `size` waits for the smallest number."""
    if s.run.has_round or not picked.chosen or len(picked.chosen) == s.sizes.most:
        return Met()
    until = timers.began(Timer.ENOUGH, s.run.id) + s.spec.timeouts.last_call_seconds
    others = f"more nodes may join until {s.when(until)}"
    if s.all_known_wait:
        settled_at = timers.began(Timer.SETTLED, s.names_waiting) + SETTLED_SECONDS
        if settled_at < until:
            until = settled_at
            others = f"all known pods have joined, so more nodes may join only until {s.when(until)}"
    if timers.passed(until):
        return Met()
    message = f"{len(picked.queue)} of at most {s.sizes.most} nodes; {others}"
    missing = [*picked.left_out, *s.known_but_missing]
    return Waits(FormationReason.LAST_CALL, with_listing(message, missing), missing, until)
