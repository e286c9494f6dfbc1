"""One turn of what concerns runs: close, claim, answer."""

from dataclasses import replace

from rendezvous_operator.core.runs import claim, close, refuse
from rendezvous_operator.core.situation import Situation
from rendezvous_operator.core.timers import Timers
from rendezvous_operator.core.world import Target


def close_claim_and_refuse(s: Situation, timers: Timers) -> Situation:
    """The situation when a run that is due was closed, a free Rendezvous was claimed, and everybody has an answer."""
    was_open = s.run.open
    s = s.with_run(close.close_if_due(s, timers))
    if was_open and not s.run.open:
        # Its spares get their answer here: once another run has claimed the Rendezvous, they are not known as such.
        s = s.with_run(refuse.answer_all(s))
    claimed = s.with_run(claim.claim_if_free(s))
    if claimed.run.id != s.run.id:
        claimed = replace(claimed, failed_check_ins=None)  # those were of nodes of the other run
    return claimed.with_run(refuse.answer_all(claimed))


def unread(s: Situation) -> frozenset[Target]:
    """The pods that must be read before a run is claimed or anybody is refused.

    Should this turn itself make an agent whose run is not certain the next to claim, or to be refused, then that waits
    for the next turn, which finds it here.
    """
    return frozenset((*claim.unread(s), *refuse.unread(s)))
