"""How a run claims a free Rendezvous: by its earliest waiting participant."""

from collections.abc import Iterator
from dataclasses import replace

from rendezvous_api.reasons import ClosedReason, EventReason
from rendezvous_operator.core.nodes import Node
from rendezvous_operator.core.run import Run
from rendezvous_operator.core.run_names import launch_of
from rendezvous_operator.core.runs.close import closed
from rendezvous_operator.core.situation import Situation
from rendezvous_operator.core.verdict import Cause
from rendezvous_operator.core.world import Event, Target


def claim_if_free(s: Situation) -> Run:
    """The run, or another one that claims the Rendezvous if the run is closed or no node of it is left."""
    first = _first_to_claim(s)
    if first is None or first.run_unread is not None:
        return s.run
    run = s.run
    if run.open:
        abandoned = Cause(ClosedReason.ABANDONED, "no node of it is left, and another run asks to join")
        run = closed(run, abandoned)
    event = Event(EventReason.RUN_CLAIMED, f"run {first.run_id!r} claimed the Rendezvous (first node: {first.name})")
    return replace(
        run.with_event(event),
        id=first.run_id,
        closed_runs=tuple(closed for closed in run.closed_runs if closed.run_id != first.run_id),
        restarts=0,
        failures=(),
        held_out=(),
        spares=(),
        # A run that was abandoned comes back: its last round, which has ended, is followed by the next one.
        asked=run.round_run == first.run_id,
        restart_request=s.restart_request,
    )


def unread(s: Situation) -> Iterator[Target]:
    """The pod from which the run that claims a free Rendezvous follows."""
    first = _first_to_claim(s)
    if first is not None and first.run_unread is not None:
        yield first.run_unread


def _first_to_claim(s: Situation) -> Node | None:
    """The earliest node whose run may claim the Rendezvous, or an earlier one whose run is not certain."""
    if s.spec.closed or (s.run.open and s.has_agents_left):
        return None
    free = not s.run.open or not s.has_nodes_left
    for node in sorted(s.all_waiting, key=lambda node: (node.object.metadata.creation_timestamp, node.name)):
        if free and node.run_unread is not None:
            return node
        # Pods keep the Rendezvous for their workload, and its next launch follows when no agent of this one is left.
        may_claim = free or launch_of(s.run.id, node.run.workload) is not None
        if may_claim and node.run_id != s.run.id and s.run.why_over(node.run) is None and s.allows(node):
            return node
    return None
