"""When a run is closed. Its members go on, and get their answer when they ask for another round.

A spent restart budget closes a run, too: see `budget`.
"""

from collections.abc import Callable, Iterator

from rendezvous_api.reasons import ClosedReason, EventReason, LeaveReason
from rendezvous_operator.core.agents import Agent, MemberState
from rendezvous_operator.core.run import Run
from rendezvous_operator.core.situation import Situation
from rendezvous_operator.core.timers import Timer, Timers
from rendezvous_operator.core.verdict import Cause, first_cause
from rendezvous_operator.core.world import Event

CloseRule = Callable[[Situation, Timers], Iterator[Cause[ClosedReason]]]


def succeeded(s: Situation, _: Timers) -> Iterator[Cause[ClosedReason]]:
    """A member of the current round has left with success."""
    for view in s.members_not_running if s.run.has_round else ():
        if view.state is MemberState.SUCCEEDED:
            yield Cause(ClosedReason.RUN_SUCCEEDED, f"{view.name} has finished")


def requested(s: Situation, _: Timers) -> Iterator[Cause[ClosedReason]]:
    """An agent has asked for it (torch: ``RendezvousHandler.set_closed``)."""
    for agent in _agents(s):
        if agent.object.spec.close_requested:
            yield Cause(ClosedReason.CLOSE_REQUESTED, f"{agent.name} asked for it")


def failed(s: Situation, timers: Timers) -> Iterator[Cause[ClosedReason]]:
    """Nobody of it is left, one has failed, and none has come for as long as a node may wait to join."""
    if nobody_is_left(s):
        first = next(_failed(s))
        at = timers.began(Timer.NOBODY_LEFT, s.run.id) + s.spec.join_timeout_seconds
        yield Cause(ClosedReason.RUN_FAILED, f"nobody is left; {first.name} has failed", at=at)


CLOSE_RULES: tuple[CloseRule, ...] = (succeeded, requested, failed)
"""In the order of their priority."""


def close_if_due(s: Situation, timers: Timers) -> Run:
    """The run, closed if one of the rules says so. Whoever waited for one that succeeded has been a spare."""
    if not s.run.open:
        return s.run
    found = first_cause((rule(s, timers) for rule in CLOSE_RULES), s.now.monotonic)
    if found.cause is None:
        return s.run.looked_at_again(found.until)
    succeeds = found.cause.reason is ClosedReason.RUN_SUCCEEDED
    waited = [agent.name for agent in s.asking if agent.run_id == s.run.id] if succeeds else []
    return closed(s.run, found.cause, tuple(waited))


def closed(run: Run, cause: Cause[ClosedReason], spares: tuple[str, ...] = ()) -> Run:
    """The run when it was closed for that cause."""
    event = Event(EventReason.RUN_CLOSED, f"run {run.id!r} is closed: {cause.reason}: {cause.message}")
    return run.when_closed(cause, spares).with_event(event)


def nobody_is_left(s: Situation) -> bool:
    """Whether a run is open of which no agent and no pod is left, and of which one agent has failed."""
    return s.run.open and any(True for _ in _failed(s)) and not s.held


def _failed(s: Situation) -> Iterator[Agent]:
    return (agent for agent in _agents(s) if agent.left is LeaveReason.FAILED)


def _agents(s: Situation) -> Iterator[Agent]:
    """Those of the run. What was said to a deleted Rendezvous of the same name closes nothing."""
    return (agent for agent in s.agents.values() if agent.run_id == s.run.id and agent.addressed)
