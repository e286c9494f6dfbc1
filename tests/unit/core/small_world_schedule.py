"""The fair schedule of a `small_world`: which step comes next if all act and time passes, and where it may end."""

from collections.abc import Iterator

from tests.unit.core.small_world import (
    CHECKS_IN,
    GIVES_UP,
    JOIN_ANEW,
    LEAVES,
    LEAVES_WELL,
    STOPS,
    TRAINS,
    WAITS,
    Node,
    Shared,
)
from tests.unit.core.small_world_peers import PEERS_ACT
from tests.unit.core.small_world_setup import Setup

from rendezvous_api.reasons import ClosedReason
from rendezvous_operator.core.timers import Timer

DECIDES = "the operator decides"


def is_good(setup: Setup, shared: Shared, nodes: tuple[Node, ...]) -> bool:
    """Whether a run is complete, or closed, and every waiting node has an answer."""
    unanswered = [
        node for node in nodes if node.process == WAITS and node.refused in ("", JOIN_ANEW) and not node.current
    ]
    open_run = bool(shared.run) and shared.run not in dict(shared.closed)
    if shared.spec_closed or (shared.run and not open_run):
        busy = any(node.process in (LEAVES, LEAVES_WELL, STOPS, GIVES_UP, CHECKS_IN) for node in nodes)
        # Whoever is asked to come to a Rendezvous that is closed by its spec goes on until then.
        asked = shared.waiting and any(node.current and node.process for node in nodes)
        return not unanswered and not asked and not busy
    if shared.suspended:
        # All who trained have stopped, and wait for the user.
        return all(node.process in ("", WAITS) and not (node.process and node.current) for node in nodes)
    members = [node for node in nodes if node.member]
    if shared.round_run in dict(shared.closed) and any(node.current and node.process == TRAINS for node in members):
        return True  # the members of a closed run go on in peace, and the next run waits for their end
    complete = shared.published and not shared.waiting and shared.round_run == shared.run
    trains = all(node.current and node.process == TRAINS and node.reports and not node.silence for node in members)
    _, most = setup.limits[shared.limits]
    fits = not setup.other_limits or len(members) <= most
    # Newcomers for whom there is no room together with the members wait for more.
    together = setup.in_whole_racks(node.rack for node in (*members, *unanswered))
    grows = setup.fitting(shared.limits, together) > len(members)
    return complete and trains and fits and not shared.requested and not (unanswered and grows)


def takes_nodes_of(run: str, shared: Shared) -> bool:
    closed = dict(shared.closed)
    has_it = not shared.run or shared.run in closed or shared.run == run
    return has_it and run not in {*closed_for_good(shared)} and not shared.spec_closed


def closed_for_good(shared: Shared) -> Iterator[str]:
    """An abandoned run may come back."""
    return (run for run, reason in shared.closed if reason != str(ClosedReason.ABANDONED))


def _in_order(*labels: str) -> dict[str, int]:
    return {label: place for place, label in enumerate(labels)}


_IN_TIME = (
    Timer.ACCUSED,
    Timer.SETTLED,
    Timer.ENOUGH,
    Timer.NO_POD_COMES,
    Timer.DRAINED,
    Timer.ROUND,
    Timer.ASKED,
    Timer.UNLISTED,
    Timer.NO_NODE_LEFT,
    Timer.UNATTENDED,
)
"""The timers that a fair schedule lets pass."""

_AGENTS = (
    DECIDES,
    "sees its refusal",
    "leaves",
    "sees its admission",
    "returns",
    "sends a heartbeat",
    *PEERS_ACT,
    "is asked",
    "is asked while it checks in",
    "asks again",
    "joins after a restart",
    "its pod ends",
)
_LAST = (
    "stays silent",
    *(f"time passes: {timer.value}" for timer in _IN_TIME),
    "time passes: vouched",
    "fails to check in",
    "its object goes",
    "succeeds",
)
_STARTS = ("A starts", "B starts")
HEALS = _in_order(*_AGENTS, "sends a heartbeat again", *_STARTS, *_LAST)
DIES = _in_order(*_AGENTS, "is silent for long", "dies while it is silent", "stays silent", *_STARTS, *_LAST)
