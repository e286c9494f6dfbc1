"""MemberTerminated: the agent of a member was ended by a signal, which is no failure.

Somebody, or something, has stopped it: a person, a supervisor, a machine that shuts down.
"""

from collections.abc import Iterator

from rendezvous_api.reasons import RoundEndReason
from rendezvous_operator.core.situation import Situation
from rendezvous_operator.core.timers import Timers
from rendezvous_operator.core.verdict import Cause


def causes(s: Situation, _: Timers) -> Iterator[Cause[RoundEndReason]]:
    """One for each member whose agent was ended so."""
    for view in s.members_not_running:
        if view.terminated:
            yield Cause(RoundEndReason.MEMBER_TERMINATED, f"{view.name}: {view.why}")
