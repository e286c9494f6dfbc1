"""When a run is closed. Its members go on training; they are refused when they ask to join again.

A spent restart budget also closes a run: see `budget`.
"""

from collections.abc import Callable, Iterator

from rendezvous_api import names
from rendezvous_api.reasons import AttemptReason, ClosedReason, EventReason, LeaveReason
from rendezvous_operator.core.nodes import MemberState, Node
from rendezvous_operator.core.run import Run
from rendezvous_operator.core.select import bad_machines
from rendezvous_operator.core.situation import RETENTION_SECONDS, Situation
from rendezvous_operator.core.timers import Timer, Timers
from rendezvous_operator.core.verdict import Cause, first_cause
from rendezvous_operator.core.world import Event

CloseRule = Callable[[Situation, Timers], Iterator[Cause[ClosedReason]]]


def succeeded(s: Situation, _: Timers) -> Iterator[Cause[ClosedReason]]:
    """One for each member of the current round that has left with success."""
    for view in s.members_not_running if s.run.has_round else ():
        if view.state is MemberState.SUCCEEDED:
            yield Cause(ClosedReason.RUN_SUCCEEDED, f"{view.name} has finished")


def requested(s: Situation, _: Timers) -> Iterator[Cause[ClosedReason]]:
    """One for each agent that requests it (torch: ``RendezvousHandler.set_closed``)."""
    for node in _nodes(s):
        if node.object.spec.close_requested and not _may_be_of_an_earlier_launch(s, node):
            yield Cause(ClosedReason.CLOSE_REQUESTED, f"{node.name} requested it")


def failed(s: Situation, timers: Timers) -> Iterator[Cause[ClosedReason]]:
    """At most one: no node is left, one has failed, and none has joined for the length of a join timeout.

    A node that is only silent may live, and cannot join in an outage: it counts for as long as its object is kept.
    """
    if no_node_is_left(s):
        first = next(_failed(s))
        at = timers.began(Timer.NO_NODE_LEFT, s.run.id) + s.spec.timeouts.join_seconds
        at = max([at, *(s.silent_since(node) + RETENTION_SECONDS for node in _nodes(s) if node.lives)])
        yield Cause(ClosedReason.RUN_FAILED, f"no node is left; {first.name} failed", at=at)


CLOSE_RULES: tuple[CloseRule, ...] = (succeeded, requested, failed, bad_machines.too_few)
"""The order is the priority."""


def close_if_due(s: Situation, timers: Timers) -> Run:
    """The run, closed if a cause counts. The waiting nodes of one that succeeded become spares, so they exit with 0.

    Also those that are silent: they get their answer when they are heard. A node whose workers have just failed does
    not, since it is none that was not needed.
    """
    if not s.run.open:
        return s.run
    found = first_cause((rule(s, timers) for rule in CLOSE_RULES), s.now.monotonic)
    if found.cause is None:
        return s.run.checked_again_at(found.until)
    succeeds = found.cause.reason is ClosedReason.RUN_SUCCEEDED
    spares = [node.name for node in _nodes(s) if _was_not_needed(s, node)] if succeeds else []
    return closed(s.run, found.cause, tuple(spares))


def _was_not_needed(s: Situation, node: Node) -> bool:
    if node.dead is not None or node.is_member(s.entries.get(node.name)):
        return False
    return node.object.spec.attempt_reason is not AttemptReason.WORKER_FAILURE or node.name in s.run.spares


def closed(run: Run, cause: Cause[ClosedReason], spares: tuple[str, ...] = (), *, because: str = "") -> Run:
    """The run closed for that cause, with its Event, which has more to say than the cause if `because` is given."""
    message = f"{cause.message}; {because}" if because else cause.message
    event = Event(EventReason.RUN_CLOSED, f"run {run.id!r} is closed: {cause.reason}: {message}")
    return run.when_closed(cause, spares).with_event(event)


def no_node_is_left(s: Situation) -> bool:
    """Whether the run is open, not suspended, no node and no pod of it is left, and a node of it has failed."""
    return s.run.open and not s.spec.suspend and any(True for _ in _failed(s)) and not s.has_nodes_left


def _failed(s: Situation) -> Iterator[Node]:
    """Of the last round, if there was one: what failed before was made good by that round."""
    return (
        node
        for node in _nodes(s)
        if node.left is LeaveReason.FAILED
        and (not s.run.has_round or node.name in s.entries)
        and not _may_be_of_an_earlier_launch(s, node)
    )


def _may_be_of_an_earlier_launch(s: Situation, node: Node) -> bool:
    """Whether it has left without a word of its run: no workload and no round tells which launch that was."""
    if node.left is None or node.run.workload != names.UNNAMED_RUN or not node.run.launch:
        return False
    return node.object.spec.last_run_id is None and node.name not in s.entries


def _nodes(s: Situation) -> Iterator[Node]:
    """The nodes of the run, without those that joined a deleted Rendezvous of the same name."""
    return (node for node in s.nodes.values() if node.run_id == s.run.id and node.addressed)
