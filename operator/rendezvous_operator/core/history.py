"""``status.history``: the last rounds, their times, and why they ended.

Earlier entries are only for people. The last one is state: decisions depend on its run and on whether it has a reason,
a check-in and an end. They never depend on the times themselves.
"""

from dataclasses import replace

from rendezvous_api import names
from rendezvous_api.rendezvous import RoundRecord
from rendezvous_operator.core.blocking import blocking, members_are_asked, overdue_at
from rendezvous_operator.core.situation import Situation
from rendezvous_operator.core.timers import Timer, Timers
from rendezvous_operator.core.words import cut


def continued(s: Situation, timers: Timers) -> tuple[RoundRecord, ...]:
    """The history with the present state of the current round."""
    if not s.status.history:
        return ()
    *earlier, last = s.status.history
    if timers.holds(Timer.CHECKED_IN, last.round):
        last = replace(last, checked_in=s.now.micro_time(timers.began(Timer.CHECKED_IN, last.round)))
    if last.running and s.run.ended is not None:
        heard = s.run.ended.last_heard
        last = replace(
            last,
            reason=s.run.ended.reason,
            message=cut(s.run.ended.message),
            asked=s.now.micro_time() if s.run.ended.asked else None,
            last_heard=None if heard is None else s.now.micro_time(heard),
        )
    if last.ended is None and not last.running and not blocking(s, timers):
        last = replace(last, ended=s.now.micro_time(timers.began(Timer.DRAINED, last.round)))
    return (*earlier, last)


def changes_at(s: Situation, timers: Timers) -> float | None:
    """When the last members stop to block, so that the round has ended (monotonic seconds); None: not by time."""
    ended = bool(s.status.history) and not s.status.history[-1].running
    return overdue_at(s, timers) if ended and members_are_asked(s) and blocking(s, timers) else None


def with_next(history: tuple[RoundRecord, ...], record: RoundRecord) -> tuple[RoundRecord, ...]:
    """The history with the round that is published now."""
    return (*history, record)[-names.MAX_HISTORY :]
