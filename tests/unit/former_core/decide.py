"""The decision: what the status of a Rendezvous shall be, given what is seen of it.

Read `decide` first: it is the protocol as a list of steps. The rules that the comments number are those of
``docs/how-it-works.md``.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from tests.unit.former_core import explain, formation, liveness, retention, runs
from tests.unit.former_core.liveness import Agent, MemberState, MemberView
from tests.unit.former_core.turn import Turn
from tests.unit.former_core.world import Decision, Event, FailedCheckIns, Memory, Now, World

from rendezvous_api.reasons import FAILURES, AttemptReason, ClosedReason, EventReason, RoundEndReason
from rendezvous_api.rendezvous import RendezvousStatus


def decide(now: Now, world: World, memory: Memory) -> Decision:
    """Decide what the status of one Rendezvous shall be.

    Pure: the same arguments give the same answer. ``memory`` is what the same function answered the last time for this
    Rendezvous, in this process; an empty one is always safe, it only makes everyone wait a full period once more.
    """
    turn = Turn(now, world, memory)
    status = world.rendezvous.status
    if not world.complete:
        return Decision(status, memory, "the cluster has not been read completely yet")

    agents = liveness.see_agents(turn)
    members = liveness.see_members(turn, agents, forming=_is_asked(status))

    status = runs.close_if_due(turn, status, agents, members)
    status = runs.claim(turn, status, agents, members)
    status = runs.refuse(turn, status, agents)
    waiting = _waiting(status, agents)
    if runs.is_open(status) and not turn.spec.closed:
        if runs.has_round(status) and status.waiting_nodes == 0:
            status = _ask_if_due(turn, status, members, waiting)
            if _is_asked(status):
                # From now on a short silence is death (rule 9); seen at once, it needs no second write.
                members = liveness.see_members(turn, agents, forming=True)
        if runs.is_open(status):
            status = formation.form(turn, status, agents, members, waiting)
        else:
            status = runs.refuse(turn, status, agents)
    else:
        status = runs.without_spares_that_left(replace(status, formation=None), agents)
    status = _call_back(status, members)
    status = explain.with_conditions(turn, status, members, formation.known_but_missing(turn, status, agents, waiting))
    status = explain.within_bounds(status)
    retention.delete_what_is_over(turn, status, agents)

    if turn.confirm:
        # Something must be read before anything that follows from it is written.
        unchanged = world.rendezvous.status
        return Decision(unchanged, _memory(turn), _to_read(turn), confirm=frozenset(turn.confirm), wake_at=turn.wake_at)
    return Decision(
        status,
        _memory(turn),
        explain.explanation(status),
        deletions=tuple(turn.deletions),
        events=tuple(turn.events),
        wake_at=turn.wake_at,
        lost=_lost(world.rendezvous.status, members),
    )


def _memory(turn: Turn) -> Memory:
    return replace(turn.memory, since=turn.holding)


def _to_read(turn: Turn) -> str:
    targets = sorted(turn.confirm)
    more = f" and {len(targets) - 1} more" if len(targets) > 1 else ""
    return f"reading {targets[0].kind} {targets[0].name}{more} before deciding"


def _waiting(status: RendezvousStatus, agents: Mapping[str, Agent]) -> list[Agent]:
    entries = {member.name: member for member in status.participants}
    refused = {refusal.name for refusal in status.refused}
    return [
        agent
        for agent in agents.values()
        if agent.run_id == status.run_id and agent.name not in refused and agent.waits(entries.get(agent.name))
    ]


_REENTRY = {
    AttemptReason.WORKER_FAILURE: RoundEndReason.WORKER_FAILED,
    AttemptReason.CHECK_IN_FAILED: RoundEndReason.CHECK_IN_FAILED,
}
_ORDER = list(RoundEndReason)


def _ask_if_due(
    turn: Turn, status: RendezvousStatus, members: Sequence[MemberView], waiting: Sequence[Agent]
) -> RendezvousStatus:
    """Rule 6: end the running round when there is a reason to, or close the run when its budget is spent."""
    reasons = [found for view in members if (found := _reason_of(view)) is not None]
    if status.nodes > turn.spec.max_nodes:
        reasons.append(
            (RoundEndReason.TOO_MANY_NODES, f"{status.nodes} nodes, but spec.maxNodes is {turn.spec.max_nodes}")
        )
    request = turn.restart_request
    if request is not None and request != status.observed_restart_request:
        reasons.append((RoundEndReason.RESTART_REQUESTED, f"the annotation was set to {request}"))
    if formation.scale_up_is_due(turn, status, waiting):
        reasons.append((RoundEndReason.SCALE_UP, f"{len(waiting)} more nodes have come"))
    if not reasons:
        return status

    reason, why = min(reasons, key=lambda item: _ORDER.index(item[0]))
    turn.memory = replace(turn.memory, failed_check_ins=_failed_check_ins(turn, status, reason))
    if reason in FAILURES and turn.spec.max_restarts is not None and status.restarts >= turn.spec.max_restarts:
        return runs.close(turn, status, ClosedReason.RESTART_BUDGET_EXHAUSTED, f"{reason}: {why}", waiting)
    turn.events.append(
        Event(EventReason.ROUND_ENDED, f"round {status.round} ends: {reason}: {why}", warning=reason in FAILURES)
    )
    return replace(
        runs.end_round(turn, status, reason), waiting_nodes=max(1, len(waiting)), observed_restart_request=request
    )


def _reason_of(view: MemberView) -> tuple[RoundEndReason, str] | None:
    name = view.member.name
    match view.state:
        case MemberState.LOST:
            return RoundEndReason.MEMBER_LOST, f"{name}: {view.why}"
        case MemberState.LEAVING:
            return RoundEndReason.MEMBER_EVICTED, f"{name}: {view.why}"
        case MemberState.FAILED:
            return RoundEndReason.MEMBER_FAILED, f"{name}: {view.why}"
        case MemberState.REENTERED:
            assert view.agent is not None
            attempt_reason = view.agent.object.spec.attempt_reason
            return _REENTRY.get(
                attempt_reason, RoundEndReason.MEMBER_REENTERED
            ), f"{name} asks to join again: {attempt_reason}"
    return None


def _lost(before: RendezvousStatus, members: Sequence[MemberView]) -> dict[str, RoundEndReason]:
    if not (runs.is_open(before) and runs.has_round(before)):
        return {}  # nobody counts on them any more
    found = {view.member.name: _reason_of(view) for view in members if view.state is not MemberState.REENTERED}
    return {name: reason[0] for name, reason in found.items() if reason is not None}


def _failed_check_ins(turn: Turn, status: RendezvousStatus, reason: RoundEndReason) -> FailedCheckIns | None:
    """Count failed check-ins at one host of the store (rule 8)."""
    before = turn.memory.failed_check_ins
    if before is not None and before.round == status.round:
        return before
    if reason is RoundEndReason.CHECK_IN_FAILED:
        host = status.participants[0].name
        earlier = before.count if before is not None and before.host == host else 0
        return FailedCheckIns(host, earlier + 1, status.round)
    # A lost member makes check-ins fail, too: that says nothing about the host.
    return before if reason is RoundEndReason.MEMBER_LOST else None


def _is_asked(status: RendezvousStatus) -> bool:
    """Whether the members of the last round have been asked to come back."""
    return status.waiting_nodes > 0 or runs.is_called_back(status)


def _call_back(status: RendezvousStatus, members: Sequence[MemberView]) -> RendezvousStatus:
    """Ask the members of a run whose budget is spent to come and be told so: their group cannot go on, it lost one."""
    if not runs.is_called_back(status):
        return status
    return replace(status, waiting_nodes=1 if any(view.state.holds for view in members) else 0)
