"""How a run claims a free Rendezvous: by its earliest waiting participant."""

import math
from collections.abc import Iterator
from dataclasses import replace

from rendezvous_api.reasons import ClosedReason, EventReason
from rendezvous_operator.core.nodes import Node
from rendezvous_operator.core.run import Run
from rendezvous_operator.core.run_names import launch_of
from rendezvous_operator.core.runs.close import closed
from rendezvous_operator.core.situation import Situation
from rendezvous_operator.core.timers import Timer, Timers
from rendezvous_operator.core.verdict import Cause
from rendezvous_operator.core.world import Event, Target


def claim_if_free(s: Situation, timers: Timers) -> Run:
    """The run, or another one that claims the Rendezvous if the run is closed or no node of it is left.

    A pod that runs without an agent, or of which no one can tell the run, keeps the Rendezvous for this one, but no
    longer than a node of it would wait.
    """
    free_at = _free_at(s, timers)
    first = _first_to_claim(s, free=timers.passed(free_at))
    if first is None or first.run_unread is not None:
        return s.run if timers.passed(free_at) or math.isinf(free_at) else s.run.checked_again_at(free_at)
    run = s.run
    if run.open:
        abandoned = Cause(ClosedReason.ABANDONED, "no node of it is left, and another run asks to join")
        run = closed(run, abandoned)
    event = Event(EventReason.RUN_CLAIMED, f"run {first.run_id!r} claimed the Rendezvous (first node: {first.name})")
    return replace(
        run.with_event(event),
        id=first.run_id,
        closed_runs=tuple(other for other in run.closed_runs if other.run_id != first.run_id),
        restarts=0,
        failures=(),
        held_out=(),
        spares=(),
        # A run that was abandoned comes back: its last round, which has ended, is followed by the next one.
        asked=run.round_run == first.run_id,
    )


def unread(s: Situation) -> Iterator[Target]:
    """The pod from which the run that claims a free Rendezvous follows."""
    first = _first_to_claim(s, free=not s.run.open or not s.is_attended)
    if first is not None and first.run_unread is not None:
        yield first.run_unread


def _free_at(s: Situation, timers: Timers) -> float:
    """When the Rendezvous is free, if nobody comes (monotonic seconds); infinity: not by time."""
    if not s.run.open:
        return timers.now
    if s.is_attended:
        return math.inf
    unattended = timers.began(Timer.UNATTENDED, s.run.id)
    return unattended + s.spec.timeouts.join_seconds if s.pods_of_run or s.unspoken_pods else unattended


def _first_to_claim(s: Situation, *, free: bool) -> Node | None:
    """The earliest node whose run may claim the Rendezvous. That run may not be certain yet."""
    if s.spec.closed or (s.run.open and s.has_agents_left):
        return None
    for node in sorted(s.all_waiting, key=lambda node: (node.object.metadata.creation_timestamp, node.name)):
        # Pods keep the Rendezvous for their workload, and its next launch follows when no agent of this one is left.
        may_claim = free or launch_of(s.run.id, node.run.workload) is not None
        if may_claim and node.run_id != s.run.id and s.run.why_over(node.run) is None and s.allows(node):
            return node
    return None
