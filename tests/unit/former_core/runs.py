"""Which run has the Rendezvous, when it is closed, and who is refused (rule 11)."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from tests.unit.former_core.liveness import Agent, MemberState, MemberView
from tests.unit.former_core.turn import Turn
from tests.unit.former_core.world import Event, Pod

from rendezvous_api import names
from rendezvous_api.reasons import AttemptReason, ClosedReason, EventReason, LeaveReason, RefusalReason
from rendezvous_api.rendezvous import ClosedRun, Refusal, RendezvousStatus


def is_open(status: RendezvousStatus) -> bool:
    """Whether a run has the Rendezvous and still takes nodes."""
    return status.run_id is not None and status.closed_reason(status.run_id) is None


def close(
    turn: Turn, status: RendezvousStatus, reason: ClosedReason, why: str, waiting: Iterable[Agent]
) -> RendezvousStatus:
    """Close the run that has the Rendezvous. Whoever waited for one that succeeded has been a spare."""
    run_id = status.run_id or ""
    turn.events.append(Event(EventReason.RUN_CLOSED, f"run {run_id!r} is closed: {reason}: {why}"))
    status = end_round(turn, status, reason)
    return replace(
        status,
        closed_runs=(*status.closed_runs, ClosedRun(run_id, reason))[-names.MAX_CLOSED_RUNS :],
        waiting_nodes=0,
        formation=None,
        spares=tuple(agent.name for agent in waiting) if reason is ClosedReason.RUN_SUCCEEDED else (),
    )


def end_round(turn: Turn, status: RendezvousStatus, reason: str) -> RendezvousStatus:
    """Write into the history that the current round has ended, unless it says so already."""
    if not status.history or not status.history[-1].running:
        return status
    ended = replace(status.history[-1], asked=turn.now.timestamp, ended=turn.now.timestamp, reason=str(reason))
    return replace(status, history=(*status.history[:-1], ended))


def close_if_due(
    turn: Turn, status: RendezvousStatus, agents: Mapping[str, Agent], members: Sequence[MemberView]
) -> RendezvousStatus:
    """Close the run if a member succeeded, an agent asked for it, or it has failed for good."""
    if not is_open(status):
        return status
    closed = _close_for_a_reason(turn, status, agents, members)
    # Its spares get their answer here: once another run has claimed the Rendezvous, they are not known as such.
    return status if closed is status else refuse(turn, closed, agents)


def _close_for_a_reason(
    turn: Turn, status: RendezvousStatus, agents: Mapping[str, Agent], members: Sequence[MemberView]
) -> RendezvousStatus:
    # What was said to a deleted Rendezvous of the same name closes nothing.
    ours = [agent for agent in agents.values() if agent.run_id == status.run_id and agent.addressed]
    entries = {member.name: member for member in status.participants}
    waiting = [agent for agent in ours if agent.waits(entries.get(agent.name))]

    succeeded = [view.member.name for view in members if view.state is MemberState.SUCCEEDED]
    if succeeded and has_round(status):
        return close(turn, status, ClosedReason.RUN_SUCCEEDED, f"{succeeded[0]} has finished", waiting)
    asking = [agent.name for agent in ours if agent.object.spec.close_requested]
    if asking:
        return close(turn, status, ClosedReason.CLOSE_REQUESTED, f"{asking[0]} asked for it", waiting)
    failed = [agent.name for agent in ours if agent.left is LeaveReason.FAILED]
    if failed and not _is_held(turn, status, agents, members):
        since = turn.since("nobody left", status.run_id or "")
        if turn.reached(since + turn.spec.join_timeout_seconds):
            return close(turn, status, ClosedReason.RUN_FAILED, f"nobody is left; {failed[0]} has failed", waiting)
    return status


def has_round(status: RendezvousStatus) -> bool:
    """Whether a round of the run that has the Rendezvous was published; the members are then those of that run."""
    return bool(status.history) and status.history[-1].run_id == status.run_id


def is_called_back(status: RendezvousStatus) -> bool:
    """Whether the last round was of a run whose restart budget is spent, so that its group cannot go on."""
    last_run = status.history[-1].run_id if status.history else None
    return status.closed_reason(last_run) is ClosedReason.RESTART_BUDGET_EXHAUSTED


def claim(
    turn: Turn, status: RendezvousStatus, agents: Mapping[str, Agent], members: Sequence[MemberView]
) -> RendezvousStatus:
    """Give a free Rendezvous to the run of the earliest participant that asks."""
    if turn.spec.closed or (is_open(status) and _is_held(turn, status, agents, members)):
        return status
    first = _first_to_claim(turn, status, agents)
    if first is None:
        return status
    if is_open(status):
        status = close(turn, status, ClosedReason.ABANDONED, "nobody of it is left, and another run asks", ())
    turn.events.append(
        Event(EventReason.RUN_CLAIMED, f"run {first.run_id!r} has the rendezvous; {first.name} came first")
    )
    return replace(
        status,
        run_id=first.run_id,
        restarts=0,
        spares=(),
        waiting_nodes=0,
        formation=None,
        observed_restart_request=turn.restart_request,
    )


def _first_to_claim(turn: Turn, status: RendezvousStatus, agents: Mapping[str, Agent]) -> Agent | None:
    entries = {member.name: member for member in status.participants}
    asking = [agent for agent in agents.values() if agent.waits(entries.get(agent.name))]
    for agent in sorted(asking, key=lambda agent: (agent.object.metadata.creation_timestamp, agent.name)):
        if agent.run_unread is not None:
            turn.confirm.add(agent.run_unread)
            return None
        if status.closed_reason(agent.run_id) is None and turn.spec.run_id in (None, agent.run_id):
            return agent
    return None


def refuse(turn: Turn, status: RendezvousStatus, agents: Mapping[str, Agent]) -> RendezvousStatus:
    """Answer everyone who asks and may not join. An answer stays until its agent has left or asks anew."""
    entries = {member.name: member for member in status.participants}
    asking = {agent.name: agent for agent in agents.values() if agent.waits(entries.get(agent.name))}
    answers = {}
    for name, agent in asking.items():
        answer = _answer(turn, status, agent)
        if answer is not None and agent.run_unread is not None and not turn.spec.closed:
            turn.confirm.add(agent.run_unread)
        elif answer is not None:
            spec = agent.object.spec
            answers[name] = Refusal(name, spec.incarnation, spec.attempt, *answer)
    standing = [_standing(old, answers.pop(old.name)) for old in status.refused if old.name in answers]
    # The list is bounded; the others get their answer when those in it have left.
    refused = (*standing, *(answers[name] for name in sorted(answers)))[: names.MAX_REFUSED]
    new = [refusal for refusal in refused if refusal not in status.refused]
    if new:
        more = f" (and {len(new) - 1} more)" if len(new) > 1 else ""
        turn.events.append(
            Event(EventReason.PARTICIPANT_REFUSED, f"{new[0].name}: {new[0].message}{more}", warning=True)
        )
    return replace(status, refused=refused)


def without_spares_that_left(status: RendezvousStatus, agents: Mapping[str, Agent]) -> RendezvousStatus:
    """Keep the spares of a closed run until they have left: a node that is started after that has not waited for it."""
    listed = tuple(name for name in status.spares if name in agents and agents[name].left is None)
    return replace(status, spares=listed)


def _standing(old: Refusal, new: Refusal) -> Refusal:
    """One attempt gets one answer: who was a spare of a run that succeeded still is one when another run is there."""
    return old if (old.incarnation, old.attempt) == (new.incarnation, new.attempt) else new


def pods_of_run(turn: Turn, run_id: str | None, agents: Mapping[str, Agent]) -> list[Pod]:
    """Live known pods that belong, or may yet belong, to a run.

    A pod whose agent has spoken belongs to that agent's run. One that has not spoken may be of any run, since
    ``--rdzv-id`` is not visible from outside, unless its workload has spoken only for other runs.
    """
    spoken: dict[str | None, set[str]] = {}
    of_workload: dict[str | None, set[str]] = {}
    for agent in agents.values():
        spoken.setdefault(agent.object.spec.pod_uid, set()).add(agent.run_id)
        if agent.pod is not None:
            of_workload.setdefault(agent.pod.workload, set()).add(agent.run_id)

    def may_belong(pod: Pod) -> bool:
        if pod.uid in spoken:
            return run_id in spoken[pod.uid]
        return pod.run_id == run_id or run_id in of_workload.get(pod.workload, {run_id})

    return [pod for pod in turn.world.pods.values() if pod.known and pod.live and may_belong(pod)]


def _is_held(turn: Turn, status: RendezvousStatus, agents: Mapping[str, Agent], members: Sequence[MemberView]) -> bool:
    """Whether anybody of the run is alive or known."""
    if has_round(status) and any(view.state.holds for view in members):
        return True
    if any(agent.run_id == status.run_id and agent.present for agent in agents.values()):
        return True
    return bool(pods_of_run(turn, status.run_id, agents))


def _answer(turn: Turn, status: RendezvousStatus, agent: Agent) -> tuple[RefusalReason, str] | None:
    name = turn.world.rendezvous.metadata.name
    if turn.spec.closed:
        return RefusalReason.RUN_CLOSED, f"rendezvous {name!r} takes no one while its spec.closed is true"
    closed = status.closed_reason(agent.run_id)
    if closed is ClosedReason.RUN_SUCCEEDED and _has_waited(status, agent):
        return RefusalReason.RUN_SUCCEEDED, f"run {agent.run_id!r} has succeeded; nothing is left to do"
    if closed is not None:
        remedy = "start with another --rdzv-id"
        if closed is ClosedReason.RESTART_BUDGET_EXHAUSTED and agent.run_id == status.run_id:
            closed_because = (
                f"{closed}: {status.restarts} rounds were lost to failures and spec.maxRestarts allows no more"
            )
        else:
            closed_because = str(closed)
        return RefusalReason.RUN_CLOSED, f"run {agent.run_id!r} is closed ({closed_because}); {remedy}"
    if turn.spec.run_id not in (None, agent.run_id):
        message = (
            f"only run {turn.spec.run_id!r} may join (spec.runID of rendezvous {name!r}), not run {agent.run_id!r}"
        )
        return RefusalReason.OTHER_RUN_ACTIVE, message
    if is_open(status) and agent.run_id != status.run_id:
        message = (
            f"run {status.run_id!r} has rendezvous {name!r}, so run {agent.run_id!r} may not join; "
            "wait for its end or use another --rdzv-endpoint"
        )
        return RefusalReason.OTHER_RUN_ACTIVE, message
    return None


def _has_waited(status: RendezvousStatus, agent: Agent) -> bool:
    """Whether it asks on behalf of a run that has ended well, rather than to start it once more."""
    spec = agent.object.spec
    same_workload = spec.run_id is None and agent.run_id != names.UNNAMED_RUN
    return agent.name in status.spares or spec.attempt_reason is AttemptReason.MEMBERSHIP_CHANGE or same_workload
