"""How the next round comes to be (rules 2, 3, 5, 7 and the gathering of rule 6)."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from tests.unit.former_core import explain, ranks
from tests.unit.former_core.liveness import Agent, MemberState, MemberView
from tests.unit.former_core.runs import has_round, is_called_back, pods_of_run
from tests.unit.former_core.turn import Turn
from tests.unit.former_core.world import Event, Pod

from rendezvous_api import names
from rendezvous_api.reasons import FAILURES, EventReason, FormationReason
from rendezvous_api.rendezvous import Missing, RendezvousStatus, RoundRecord, Store

SETTLED_SECONDS = 5
"""A first round of known pods starts before the last call when nothing has changed for this long."""

FAILED_CHECK_INS = 2
"""After so many failed check-ins at one host of the store, another member becomes rank 0."""


def scale_up_is_due(turn: Turn, status: RendezvousStatus, waiting: Sequence[Agent]) -> bool:
    """Whether newcomers are a reason to end the running round (rule 6)."""
    ran_since = turn.since("round", status.round)
    room = turn.spec.max_nodes - status.nodes
    if not waiting or room <= 0:
        return False
    return len(waiting) >= room or turn.reached(ran_since + turn.spec.scale_up_interval_seconds)


def form(
    turn: Turn,
    status: RendezvousStatus,
    agents: Mapping[str, Agent],
    members: Sequence[MemberView],
    waiting: Sequence[Agent],
) -> RendezvousStatus:
    """Gather nodes and publish the next round when it is complete."""
    later = has_round(status)
    by_name = {agent.name: agent for agent in waiting}
    objects = [agent.object for agent in waiting]
    if later:
        order = ranks.in_later_order(objects, status.participants, status.spares)
    else:
        order = ranks.in_first_order(objects)
    queue = [by_name[participant.metadata.name] for participant in order]

    # Looked at in any case: who claims a former round is asked to come back, also while another round runs.
    others = _others_that_hold(turn, status, agents)
    if later and status.waiting_nodes == 0:
        return _gather(turn, status, queue)
    holding = _members_that_hold(turn, status, members)
    spares = _spares(turn, status, queue, len(holding))
    status = replace(status, waiting_nodes=max(1, len(queue) - len(spares)) if later else 0, spares=spares)
    held_by = holding + others
    # Asked even while somebody holds: the times that it measures must not start later because of that.
    complete = not (later and holding) and _is_complete(turn, status, agents, members, queue)
    if complete and not held_by:
        return _publish(turn, status, queue)
    reason, message, missing = _waits_for(turn, status, agents, members, queue, held_by)
    return replace(status, formation=explain.formation(turn, status, reason, message, len(queue), missing))


def _gather(turn: Turn, status: RendezvousStatus, queue: Sequence[Agent]) -> RendezvousStatus:
    """The round runs: newcomers wait until they are worth a restart, all others are spares."""
    room = max(0, turn.spec.max_nodes - status.nodes)
    newcomers, spares = queue[:room], queue[room:]
    status = replace(status, spares=_names(spares), formation=None)
    if not newcomers:
        return status
    message = (
        f"{len(newcomers)} more {_nodes(len(newcomers))} joined and will be taken in once the round has run for "
        f"{turn.spec.scale_up_interval_seconds} s"
    )
    gathered = explain.formation(turn, status, FormationReason.GATHERING, message, len(newcomers), ())
    return replace(status, formation=gathered)


def _spares(turn: Turn, status: RendezvousStatus, queue: Sequence[Agent], holding: int) -> tuple[str, ...]:
    """Rule 7, while a round is formed: who has no place for certain.

    In a later round this list decides about the order of the queue, so it may not in turn follow from who would get
    a place now: those listed and those not would change places with every look.
    """
    if not has_round(status):
        return _names(queue[turn.spec.max_nodes :])
    if len(queue) + holding <= turn.spec.max_nodes:
        return ()
    former = _names_of(status)
    return tuple(agent.name for agent in queue if agent.name not in former)


def _members_that_hold(turn: Turn, status: RendezvousStatus, members: Sequence[MemberView]) -> list[Missing]:
    """Rule 2: members of the last round that must come back, leave or die before another group may form."""
    asked = has_round(status) or is_called_back(status)
    held_by = []
    for view in members:
        if view.state.holds and not (asked and _is_overdue(turn, "asked", str(status.round))):
            why = f" ({view.why})" if view.why else ""
            text = f"has not come back{why}" if asked else f"still runs round {status.round} of another run{why}"
            held_by.append(Missing(view.member.name, text))
    return held_by


def _others_that_hold(turn: Turn, status: RendezvousStatus, agents: Mapping[str, Agent]) -> list[Missing]:
    """Rule 2: agents whose heartbeat claims a round in which they are not listed, so that they may still train."""
    entries = {member.name: member for member in status.participants}
    held_by = []
    for agent in agents.values():
        if agent.present and agent.claimed_round and not agent.is_admitted_as(entries.get(agent.name)):
            attempt = f"{agent.object.spec.incarnation}/{agent.object.spec.attempt}"
            if not _is_overdue(turn, "claims", agent.name, attempt):
                held_by.append(Missing(agent.name, f"still runs round {agent.claimed_round}"))
    return held_by


def _is_overdue(turn: Turn, *fact: str) -> bool:
    return turn.reached(turn.since(*fact) + turn.spec.reentry_timeout_seconds)


def _is_complete(
    turn: Turn,
    status: RendezvousStatus,
    agents: Mapping[str, Agent],
    members: Sequence[MemberView],
    queue: Sequence[Agent],
) -> bool:
    """Rules 3 and 5."""
    spec, joined = turn.spec, len(queue)
    if has_round(status):
        drained = turn.since("drained", status.round)
        if joined < spec.min_nodes:
            return False
        everyone_replaced = joined >= min(len(members), spec.max_nodes)
        return everyone_replaced or turn.reached(drained + spec.replacement_timeout_seconds)
    if joined < spec.min_nodes:
        return False
    enough = turn.since("enough", status.run_id or "")
    if joined >= spec.max_nodes:
        return True
    if _all_known_are_there(turn, status, agents, queue):
        who = ",".join(sorted(agent.name for agent in queue))
        if turn.reached(turn.since("settled", who) + SETTLED_SECONDS):
            return True
    return turn.reached(enough + spec.last_call_timeout_seconds)


def _all_known_are_there(
    turn: Turn, status: RendezvousStatus, agents: Mapping[str, Agent], queue: Sequence[Agent]
) -> bool:
    expected = {pod.uid for pod in _known_pods(turn, status, agents)}
    there = {agent.object.spec.pod_uid for agent in queue}
    return bool(expected) and expected == there


def _known_pods(turn: Turn, status: RendezvousStatus, agents: Mapping[str, Agent]) -> list[Pod]:
    """Live known pods whose agents belong to the run, or have not spoken yet and may."""
    gone = {agent.object.spec.pod_uid for agent in agents.values() if agent.left is not None}
    return [pod for pod in pods_of_run(turn, status.run_id, agents) if pod.uid not in gone]


def known_but_missing(
    turn: Turn, status: RendezvousStatus, agents: Mapping[str, Agent], waiting: Sequence[Agent]
) -> list[Missing]:
    """Known pods whose agents have not joined, and why."""
    members = _names_of(status)
    there = {agent.object.spec.pod_uid for agent in waiting} | {
        agent.object.spec.pod_uid for agent in agents.values() if agent.name in members
    }
    pods = sorted(_known_pods(turn, status, agents), key=lambda pod: pod.name)
    return [Missing(pod.name, f"is {pod.problem or pod.phase}") for pod in pods if pod.uid not in there]


def _waits_for(
    turn: Turn,
    status: RendezvousStatus,
    agents: Mapping[str, Agent],
    members: Sequence[MemberView],
    queue: Sequence[Agent],
    held_by: Sequence[Missing],
) -> tuple[FormationReason, str, list[Missing]]:
    """What the next round waits for, in words."""
    spec, joined = turn.spec, len(queue)
    missing = known_but_missing(turn, status, agents, queue)
    back = set(_names(queue))
    lost = [
        Missing(view.member.name, f"was lost ({view.why})")
        for view in members
        if has_round(status) and view.state in (MemberState.LOST, MemberState.FAILED) and view.member.name not in back
    ]
    if held_by:
        message = f"{joined} {_nodes(joined)} joined; {explain.listing([*held_by, *lost])}"
        return FormationReason.WAITING_FOR_MEMBERS, message, [*held_by, *lost, *missing]
    if joined < spec.min_nodes:
        reason, message = FormationReason.WAITING_FOR_NODES, f"{joined} of at least {spec.min_nodes} nodes"
    elif has_round(status):
        reason = FormationReason.WAITING_FOR_REPLACEMENTS
        message = f"{joined} of {len(members)} nodes are back; others have {spec.replacement_timeout_seconds} s to come"
    else:
        reason = FormationReason.LAST_CALL
        message = f"{joined} of at most {spec.max_nodes} nodes; others have {spec.last_call_timeout_seconds} s to come"
    found = lost + missing
    return reason, f"{message}; {explain.listing(found)}" if found else message, found


def _publish(turn: Turn, status: RendezvousStatus, queue: Sequence[Agent]) -> RendezvousStatus:
    """Rule 4: one write gives all members the same list, ranks and store."""
    chosen = [agent.object for agent in queue[: turn.spec.max_nodes]]
    restarts = status.restarts
    if has_round(status):
        failed = turn.memory.failed_check_ins
        unfit = failed.host if failed is not None and failed.count >= FAILED_CHECK_INS else None
        participants = ranks.later_ranks(chosen, status.participants, unfit)
        restarts += status.history[-1].reason in {reason.value for reason in FAILURES}
    else:
        participants = ranks.first_ranks(chosen)
    host = next(participant for participant in chosen if participant.metadata.name == participants[0].name)
    number = status.round + 1
    record = RoundRecord(number, status.run_id or "", len(participants), turn.now.timestamp)
    turn.events.append(
        Event(
            EventReason.ROUND_PUBLISHED,
            f"round {number} of run {status.run_id!r}: {len(participants)} nodes, rank 0 is {host.metadata.name}",
        )
    )
    return replace(
        status,
        round=number,
        nodes=len(participants),
        participants=participants,
        spares=_names(queue[turn.spec.max_nodes :]),
        store=Store(host.spec.address, host.spec.store_port),
        round_start_time=turn.now.timestamp,
        waiting_nodes=0,
        observed_restart_request=turn.restart_request,
        restarts=restarts,
        formation=None,
        history=(*status.history, record)[-names.MAX_HISTORY :],
    )


def _names(agents: Sequence[Agent]) -> tuple[str, ...]:
    return tuple(agent.name for agent in agents)


def _names_of(status: RendezvousStatus) -> set[str]:
    return {member.name for member in status.participants}


def _nodes(count: int) -> str:
    return "node" if count == 1 else "nodes"
