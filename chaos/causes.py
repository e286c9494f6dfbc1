"""What each fault may lead to: for which reasons it may end rounds, and how many rounds it may cost at most."""

from collections.abc import Iterator
from dataclasses import dataclass

from chaos.journal import Event, Journal
from chaos.schedule import HEARTBEAT_SECONDS, MAX_MISSED, OF_A_NODE, Kind
from rendezvous_api.reasons import RoundEndReason


@dataclass(frozen=True)
class Effect:
    """What is true of a fault, and would be wrong without one."""

    reasons: frozenset[RoundEndReason] = frozenset()
    rounds: int = 0


def _effect(rounds: int, *reasons: RoundEndReason) -> Effect:
    return Effect(frozenset(reasons), rounds)


_NOTHING = Effect()
_LOSS = (
    RoundEndReason.MEMBER_LOST,
    RoundEndReason.WORKER_FAILED,
    RoundEndReason.CHECK_IN_FAILED,
    RoundEndReason.MEMBER_REENTERED,
    RoundEndReason.SCALE_UP,
)

EFFECTS = {
    # The loss, a check-in that still counted on the node, and its return.
    Kind.KILL_NODE: _effect(3, *_LOSS),
    Kind.TERMINATE_NODE: _effect(3, RoundEndReason.MEMBER_TERMINATED, *_LOSS),
    Kind.STOP_NODE: _effect(3, *_LOSS),
    Kind.STOP_AGENT: _effect(3, *_LOSS),
    Kind.KILL_WORKER: _effect(1, RoundEndReason.WORKER_FAILED),
    # Its worker ends, and each check-in of the new rounds fails until the others go on alone.
    Kind.CUT_STORE: _effect(8, *_LOSS),
    Kind.CUT_NODE: _effect(3, *_LOSS),
    Kind.DELETE_PARTICIPANT: _effect(2, *_LOSS),
    # Rounds that were published after the snapshot are forgotten, and members of several of them meet.
    Kind.RESTORE: _effect(4, *_LOSS),
    Kind.RESTORE_ALONE: _effect(4, *_LOSS),
    Kind.RESTART_REQUEST: _effect(1, RoundEndReason.RESTART_REQUESTED),
    Kind.SUSPEND: _effect(1, RoundEndReason.SUSPENDED),
    Kind.FEWER_NODES: _effect(2, RoundEndReason.TOO_MANY_NODES, RoundEndReason.SCALE_UP),
    Kind.ADD_NODE: _effect(4, RoundEndReason.MEMBER_TERMINATED, *_LOSS),
    # Training outlives all of these.
    Kind.STOP_WORKER: _NOTHING,
    Kind.CUT_PEERS: _NOTHING,
    Kind.NODE_ERRORS: _NOTHING,
    Kind.KILL_OPERATOR: _NOTHING,
    Kind.STOP_OPERATOR: _NOTHING,
    Kind.CUT_OPERATOR: _NOTHING,
    Kind.OPERATOR_ERRORS: _NOTHING,
    Kind.STOP_API_SERVER: _NOTHING,
    Kind.SLOW_ETCD: _NOTHING,
    Kind.SPEC_VALUES: _NOTHING,
}

_OF_THE_NODE = {RoundEndReason.MEMBER_LOST, RoundEndReason.MEMBER_TERMINATED}
"""Reasons whose message names a node to which the fault must have been done."""
_SLACK_SECONDS = 3.0
"""A version of the object may reach the observer that much later than its effect."""
STARVED_SECONDS = 4.0
"""A process that the machine leaves out for this long may miss its heartbeats."""
SLOW_FACTOR = 6.0
"""So may one that gets less than a sixth of what it asks for."""
_AFTER_STARVING = 30.0
_REOPEN_SECONDS = 5.0
"""After which the connections between nodes that were broken are there again."""


@dataclass(frozen=True)
class Cause:
    """A fault, or what stands for one, with the time in which it explains what happens."""

    name: str
    begins: float
    ends: float
    effect: Effect
    node: str | None
    """None: any node."""

    def explains(self, at: float, reason: str, message: str) -> bool:
        """Whether it may have ended a round then, for that reason."""
        if not self.begins <= at <= self.ends + _SLACK_SECONDS or reason not in self.effect.reasons:
            return False
        if self.node is None or reason not in _OF_THE_NODE:
            return True
        return message.partition(":")[0].rpartition(".")[2] == self.node


def causes(journal: Journal) -> Iterator[Cause]:
    """All that may end rounds. A fault explains what happens until all train again after it was healed."""
    recovered = [event.at for event in journal.all("recovered")]
    healed = {event["number"]: event.at for event in journal.all("healed")}

    def until(at: float) -> float:
        return next((moment for moment in recovered if moment >= at), float("inf"))

    for event in journal.all("setting"):
        # Nodes that start later than others.
        yield Cause("the start", event.at, until(event.at), _effect(event["nodes"], *_LOSS), None)
    faults = list(journal.all("fault"))
    broken = [
        (event.at, healed.get(event["number"], float("inf")) + _REOPEN_SECONDS)
        for event in faults
        if event["kind"] == Kind.CUT_PEERS.name
    ]
    for event in faults:
        end = healed.get(event["number"])
        over = until(end) if end is not None else float("inf")
        kind = Kind[event["kind"]]
        node = event["target"] if kind in OF_A_NODE or kind is Kind.ADD_NODE else None
        apart = any(begins < (end or float("inf")) and event.at < ends for begins, ends in broken)
        yield Cause(kind.value, event.at, over, effect_of(event, apart=apart), node)
    late = [(event.at, event["seconds"]) for event in journal.all("starved") if event["seconds"] >= STARVED_SECONDS]
    slow = [(event.at, _AFTER_STARVING) for event in journal.all("slowness") if event["factor"] >= SLOW_FACTOR]
    for at, seconds in sorted((*late, *slow)):
        begins, ends = at - seconds, at + _AFTER_STARVING
        yield Cause("a machine that stood still", begins, max(ends, until(ends)), _effect(3, *_LOSS), None)


def effect_of(fault: Event, *, apart: bool = False) -> Effect:
    """That of its kind; a node that is cut off for less time than it takes to be silent must cost nothing.

    Args:
        fault: as it was written down.
        apart: meanwhile connections between nodes were broken: a node whose requests fail may be lost on both paths.
    """
    kind = Kind[fault["kind"]]
    if apart and kind in (Kind.CUT_NODE, Kind.NODE_ERRORS):
        return _effect(3, *_LOSS)
    if kind is Kind.CUT_NODE and fault["lasts"] < (MAX_MISSED - 1) * HEARTBEAT_SECONDS:
        return _NOTHING
    return EFFECTS[kind]
