"""The only place that builds a status, from the results of the other steps of a decision."""

from collections.abc import Container, Iterator, Mapping
from dataclasses import replace

from rendezvous_api import names
from rendezvous_api.reasons import EventReason, FormationReason, PassedOverReason, RoundEndReason
from rendezvous_api.rendezvous import Formation, RendezvousStatus, RoundRecord, Store
from rendezvous_operator.core import budget, conditions, garbage, history, invariants, summary, topology, unhealthy
from rendezvous_operator.core.nodes import MemberState, MemberView, names_of
from rendezvous_operator.core.rank.rank import rank
from rendezvous_operator.core.run import Run
from rendezvous_operator.core.runs import owner, refuse
from rendezvous_operator.core.select import bad_machines, by_topology, held_out
from rendezvous_operator.core.select.selection import Selection
from rendezvous_operator.core.situation import Situation
from rendezvous_operator.core.timers import Timers
from rendezvous_operator.core.verdict import Outlook, earliest
from rendezvous_operator.core.words import cut, first_of, more_nodes
from rendezvous_operator.core.world import Decision, Detection, Event, LossEvidence, Memory, Told


def build(s: Situation, timers: Timers, picked: Selection, outlook: Outlook | None, told: Told) -> Decision:
    """The whole decision.

    Raises:
        InvariantError: a rule is wrong; nothing of this decision may be written.
    """
    events = s.run.events
    if outlook is not None and outlook.waits is None:
        s = s.with_run(refuse.drop_members(s))
        status = _published(s, timers, picked)
        message = (
            f"round {status.round} of run {status.run_id!r}: {status.nodes} nodes, "
            f"rank 0 is {status.participants[0].name}{topology.in_words(status.topology)}"
        )
        events = (*s.run.events, Event(EventReason.ROUND_PUBLISHED, message), *_left_out(picked))
    else:
        status = _unpublished(s, timers, picked, outlook)
    status = summary.with_summary(s, conditions.with_conditions(s, timers, picked, status))
    invariants.check(s, timers, status)
    collected = garbage.collect(s, timers)
    # While all are silent no timer runs, so nothing that waits for one can change before the next heartbeat.
    timed = (
        s.run.until,
        outlook.until if outlook is not None else None,
        history.changes_at(s, timers),
        by_topology.changes_at(s),
    )
    return Decision(
        status,
        Memory(
            timers.since,
            s.liveness.grace_from,
            s.liveness.only_others,
            s.liveness.excused,
            told,
            s.liveness.vouched,
            s.liveness.peers.concluded,
        ),
        conditions.explanation(status),
        deletions=collected.deletions,
        events=events,
        wake_at=earliest(
            s.liveness.changes_at,
            collected.until,
            held_out.changes_at(s, timers),
            bad_machines.changes_at(s),
            *(() if s.liveness.all_silent else timed),
        ),
        lost=(lost := _lost(s)),
        detected=_detected(s, lost),
        suspects=len(conditions.suspects_of(s, status)),
    )


def _common(s: Situation, timers: Timers, *, runs: bool) -> RendezvousStatus:
    """The fields that a new round changes no further; ``runs``: the run has had a round, also if that is this one."""
    nodes = sum(node.present for node in s.nodes.values()) if runs else s.spec.max_nodes
    return replace(
        s.status,
        observed_generation=s.metadata.generation,
        heartbeat_interval_seconds=s.spec.heartbeat_seconds_of(nodes),
        run=owner.run_reference(s),
        closed_runs=s.run.closed_runs,
        refused=s.run.refused,
        held_out=s.run.held_out,
        unhealthy=unhealthy.listed(s),
        observed_restart_request=s.run.restart_request,
        observed_retry_request=s.run.retry_request,
        restarts=s.run.restarts,
        failures=s.run.failures,
        history=history.continued(s, timers),
    )


def _unpublished(s: Situation, timers: Timers, picked: Selection, outlook: Outlook | None) -> RendezvousStatus:
    return replace(
        _common(s, timers, runs=s.run.has_round),
        spares=picked.spares[: names.MAX_NODES],
        passed_over=picked.passed_over[: names.MAX_PASSED_OVER],
        waiting_nodes=_waiting_nodes(s, picked),
        formation=_formation(s, picked, outlook),
    )


def _published(s: Situation, timers: Timers, picked: Selection) -> RendezvousStatus:
    """Rule "only forward": one write gives all members the same list, ranks and store."""
    members = rank(s, picked.chosen)
    # A member on a cordoned machine that is no member any more is kept out from now on.
    cordoned = {entry.name for entry in picked.gives_way if entry.reason is PassedOverReason.CORDONED}
    no_spares = cordoned.union(member.name for member in members)
    host = s.nodes[members[0].name].object.spec
    status = _common(s, timers, runs=True)
    record = RoundRecord(s.status.round + 1, s.run.id or "", len(members), formed=s.now.micro_time())
    return replace(
        status,
        round=record.round,
        nodes=len(members),
        participants=members,
        topology=topology.of_round(members, s.where) if s.where is not None else None,
        spares=_spares(picked, no_spares)[: names.MAX_NODES],
        passed_over=picked.passed_over[: names.MAX_PASSED_OVER],
        store=Store(host.address, host.store_port),
        round_start_time=s.now.timestamp,
        waiting_nodes=0,
        observed_restart_request=s.restart_request,
        restarts=budget.restarts(s),
        formation=None,
        history=history.with_next(status.history, record),
    )


def _spares(picked: Selection, chosen: Container[str]) -> tuple[str, ...]:
    waiting = [*names_of(picked.queue), *(item.name for item in picked.left_out)]
    return tuple(name for name in waiting if name not in chosen)


def _left_out(picked: Selection) -> Iterator[Event]:
    """For people, each time that a round starts without nodes that wait."""
    if picked.left_out:
        first, *others = picked.left_out
        message = first_of(len(others) + 1, f"{first.name} {first.message}")
        yield Event(EventReason.NODES_LEFT_OUT, message, warning=True)


def _waiting_nodes(s: Situation, picked: Selection) -> int:
    """The answer of torch's ``num_nodes_waiting`` to the members of the current round."""
    if s.run.called_back:
        # Their group has lost a member and cannot go on: each is asked to join again, and is then refused.
        return int(bool(s.blocking_members))
    if not s.run.asked:
        return 0
    return max(1, len(picked.queue) - len(picked.spares)) if s.takes_nodes else s.status.waiting_nodes


def _formation(s: Situation, picked: Selection, outlook: Outlook | None) -> Formation | None:
    """``status.formation``; its start time is kept until a round is published."""
    if outlook is not None and outlook.waits is not None:
        waits = outlook.waits
        missing = tuple(replace(item, message=cut(item.message)) for item in waits.missing[: names.MAX_MISSING])
        start_time = _start_time(s, waits.reason)
        return Formation(waits.reason, cut(waits.message), start_time, picked.joined, missing)
    if not picked.newcomers:
        return None
    joined = len(picked.newcomers)
    away = (*s.liveness.by_peers_only, *s.liveness.rare)
    when = f"{away[0]} sends" if len(away) == 1 else f"{len(away)} members send"
    when = f"{when} heartbeats again" if away else f"the round has run for {s.spec.scale_up.interval_seconds} s"
    message = f"{more_nodes(joined)} joined and will be added once {when}"
    return Formation(FormationReason.GATHERING, message, _start_time(s, FormationReason.GATHERING), joined)


def _start_time(s: Situation, reason: FormationReason) -> str:
    # Gathering does not block training, so a formation that follows it has a start time of its own.
    gathers, before = reason is FormationReason.GATHERING, s.status.formation
    continues = before is not None and s.run.id == s.status.run_id and s.run.open
    if before is None or not continues or (before.reason is FormationReason.GATHERING) != gathers:
        return s.now.timestamp
    return before.start_time


def _lost(s: Situation) -> Mapping[str, RoundEndReason]:
    before = Run.of(s.status)
    if not (before.open and before.has_round):
        return {}  # the run has ended, so these losses mean nothing
    return {view.name: reason for view in s.members_not_running if (reason := _loss(view)) is not None}


def _detected(s: Situation, lost: Container[str]) -> Mapping[str, Detection]:
    found = {}
    for view in s.members_not_running:
        evidence = _evidence(s, view)
        if view.name in lost and evidence is not None and view.node is not None:
            found[view.name] = Detection(evidence, s.now.monotonic - s.silent_since(view.node))
    return found


def _evidence(s: Situation, view: MemberView) -> LossEvidence | None:
    """What has shown that a member is lost; None: it says so itself, or its object is another one."""
    if view.state is not MemberState.LOST or view.node is None:
        return None
    if view.node.dead is not None:
        same_agent = view.node.object.spec.incarnation == view.member.incarnation
        found = LossEvidence.MACHINE if view.name in s.liveness.overdue else LossEvidence.POD
        return found if same_agent else None
    concluded = s.liveness.peers.concluded.get(view.name)
    if concluded is not None:
        return LossEvidence(concluded.word.value)
    if not view.silent:
        return None
    return LossEvidence.MACHINE if view.name in s.liveness.by_machine else LossEvidence.SILENCE


def _loss(view: MemberView) -> RoundEndReason | None:
    if view.state not in (MemberState.LOST, MemberState.LEAVING, MemberState.LEFT):
        return None
    if view.evicted is not None:
        return RoundEndReason.MEMBER_EVICTED
    if view.state is MemberState.LOST:
        return RoundEndReason.MEMBER_LOST
    if view.unhealthy:
        return RoundEndReason.MEMBER_UNHEALTHY
    return RoundEndReason.MEMBER_TERMINATED if view.terminated else RoundEndReason.MEMBER_FAILED
