"""The steps of a decision that concern runs: close, claim, refuse."""

from rendezvous_operator.core.runs import claim, close, refuse
from rendezvous_operator.core.situation import Situation
from rendezvous_operator.core.timers import Timer, Timers
from rendezvous_operator.core.world import Target


def close_claim_and_refuse(s: Situation, timers: Timers) -> Situation:
    """The situation after a run was closed if a cause counts, a free Rendezvous was claimed, and nodes were refused."""
    s = s.with_run(close.close_if_due(s, timers))
    if not s.run.open:
        # Its spares get their answers here: after another run has claimed the Rendezvous they are not listed any more.
        s = s.with_run(refuse.answer_all(s))
        until = timers.began(Timer.OWES_ANSWERS, s.run.id) + refuse.ANSWER_SECONDS
        if refuse.owes_answers(s) and not timers.passed(until):
            return s.with_run(s.run.checked_again_at(until))
    claimed = s.with_run(claim.claim_if_free(s, timers))
    return claimed.with_run(refuse.answer_all(claimed))


def unread(s: Situation) -> frozenset[Target]:
    """The pods that must be read before a run claims the Rendezvous or a node is refused.

    If this decision itself makes a node whose run is not certain the next one to claim or to be refused, the next
    decision finds it here.
    """
    return frozenset((*claim.unread(s), *refuse.unread(s)))
