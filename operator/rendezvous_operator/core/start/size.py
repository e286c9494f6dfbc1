"""Rule "size": a round has an allowed size, at least ``minNodes`` and at most ``maxNodes``."""

from rendezvous_api.reasons import FormationReason
from rendezvous_operator.core.nodes import names_of
from rendezvous_operator.core.select.choose import fitting, in_whole_segments
from rendezvous_operator.core.select.selection import Selection
from rendezvous_operator.core.situation import Situation
from rendezvous_operator.core.start.missing import missing_and_left_out
from rendezvous_operator.core.timers import Timers
from rendezvous_operator.core.verdict import Met, Verdict, Waits
from rendezvous_operator.core.words import with_listing


def verdict(s: Situation, _: Timers, picked: Selection) -> Verdict:
    """Waits while fewer nodes have joined than the smallest allowed size."""
    if picked.chosen:
        return Met()
    absent = missing_and_left_out(s, picked)
    message = f"{len(picked.queue)} of at least {s.sizes.fewest} nodes"
    message += in_whole_segments(s, names_of(picked.queue))
    if picked.left_out:
        message += " may become members"
    joined = [*names_of(picked.queue), *(item.name for item in picked.left_out)]
    if s.unhealthy and fitting(s, [*joined, *s.unhealthy]):
        message += f", which would be enough with the unhealthy {'one' if len(s.unhealthy) == 1 else 'ones'}"
    return Waits(FormationReason.WAITING_FOR_NODES, with_listing(message, absent), absent)
