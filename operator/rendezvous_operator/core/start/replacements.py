"""Rule "replacements": a later round waits for a while for its lost members or for other nodes in their place.

It is published at once when as many nodes wait as were members, else ``timeouts.replacementSeconds`` after the last
member of the old round joined again or was lost. If all that are missing were lost by their silence, the last heartbeat
of any of them counts instead: who restarts agents has had that time. Not so if a pod of theirs is evicted, as from a
machine that is lost: its owner makes another one only then. It is published sooner if for
``timeouts.replacementPodSeconds`` no pod was on its way that could bring a replacement. A group that has lost no member
never waits, and none waits for a node that is held out, kept out by a mark, or says that it is unhealthy. With
replacement groups, the rule `escalation` holds instead.
"""

from collections.abc import Container

from rendezvous_api.reasons import FormationReason
from rendezvous_operator.core.blocking import blocking
from rendezvous_operator.core.nodes import MemberState, names_of
from rendezvous_operator.core.select.choose import fitting, in_whole_segments
from rendezvous_operator.core.select.selection import Selection
from rendezvous_operator.core.situation import Situation
from rendezvous_operator.core.start.missing import missing_and_left_out
from rendezvous_operator.core.timers import Timer, Timers
from rendezvous_operator.core.verdict import Met, Verdict, Waits
from rendezvous_operator.core.words import with_listing


def verdict(s: Situation, timers: Timers, picked: Selection) -> Verdict:
    """Waits in a later round while fewer nodes wait than the round before had."""
    nobody_waits_for = s.names_unhealthy | picked.names_out
    members = [member.name for member in s.status.participants if member.name not in nobody_waits_for]
    if not s.run.has_round or len(picked.chosen) >= fitting(s, members) or s.spec.nodes.groups is not None:
        return Met()
    joined = f"{len(picked.queue)} of {len(members)} nodes have joined again"
    joined += in_whole_segments(s, names_of(picked.queue))
    if blocking(s, timers):
        return Waits(FormationReason.WAITING_FOR_REPLACEMENTS, joined)
    until = away_since(s, timers, nobody_waits_for) + s.spec.timeouts.replacement_seconds
    wait = "waiting for replacements until"
    lost = s.names_lost
    if timers.holds(Timer.NO_POD_COMES, lost):
        sooner = timers.began(Timer.NO_POD_COMES, lost) + s.spec.timeouts.replacement_pod_seconds
        if sooner < until:
            until, wait = sooner, "no pod is on its way that could replace a lost one, so waiting only until"
    if timers.passed(until):
        return Met()
    absent = missing_and_left_out(s, picked)
    message = f"{joined}; {wait} {s.when(until)}"
    return Waits(
        FormationReason.WAITING_FOR_REPLACEMENTS,
        with_listing(message, absent),
        absent,
        until,
    )


def away_since(s: Situation, timers: Timers, nobody_waits_for: Container[str]) -> float:
    """Since when the members that are not there have been away (monotonic seconds): the last one of them counts."""
    drained = timers.began(Timer.DRAINED, s.status.round)
    waiting = s.names_waiting
    away = [view for view in s.members if view.name not in waiting and view.name not in nobody_waits_for]
    silent = [view for view in away if view.silent and view.state is MemberState.LOST and not view.evicted]
    heard = [s.silent_since(view.node) for view in silent if view.node]
    return min(drained, max(heard)) if heard and len(heard) == len(away) else drained
