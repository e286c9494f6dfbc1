"""How a free Rendezvous gets a run: the earliest participant that asks claims it for its own."""

from collections.abc import Iterator
from dataclasses import replace

from rendezvous_api.reasons import ClosedReason, EventReason
from rendezvous_operator.core.agents import Agent
from rendezvous_operator.core.run import Run
from rendezvous_operator.core.runs.close import closed
from rendezvous_operator.core.situation import Situation
from rendezvous_operator.core.verdict import Cause
from rendezvous_operator.core.world import Event, Target


def claim_if_free(s: Situation) -> Run:
    """The run, or another one that claims the Rendezvous when that one is closed or nobody of it is left."""
    first = _first_to_claim(s)
    if first is None or first.run_unread is not None:
        return s.run
    run = s.run
    if run.open:
        abandoned = Cause(ClosedReason.ABANDONED, "nobody of it is left, and another run asks")
        run = closed(run, abandoned)
    event = Event(EventReason.RUN_CLAIMED, f"run {first.run_id!r} has the rendezvous; {first.name} came first")
    return replace(
        run.with_event(event),
        id=first.run_id,
        restarts=0,
        spares=(),
        asked=False,
        restart_request=s.restart_request,
    )


def unread(s: Situation) -> Iterator[Target]:
    """The pod that says for which run a free Rendezvous is claimed."""
    first = _first_to_claim(s)
    if first is not None and first.run_unread is not None:
        yield first.run_unread


def _first_to_claim(s: Situation) -> Agent | None:
    """Who came first of those that may claim it, or one before it whose run is not certain."""
    if s.spec.closed or (s.run.open and s.held):
        return None
    for agent in sorted(s.asking, key=lambda agent: (agent.object.metadata.creation_timestamp, agent.name)):
        may_claim = s.run.closed_reason(agent.run_id) is None and s.spec.run_id in (None, agent.run_id)
        if agent.run_unread is not None or may_claim:
            return agent
    return None
