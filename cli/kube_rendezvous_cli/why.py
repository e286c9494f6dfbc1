"""``kubectl rdzv why``: what a group does or waits for, since when, what has happened before, and what can be done."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from kube_rendezvous_cli import budget, times
from kube_rendezvous_cli.get import message
from kube_rendezvous_cli.group import Group
from kube_rendezvous_cli.rows import HELD_OUT, KEPT_OUT, MEMBER, MISSING, REFUSED, SPARE, UNHEALTHY, WAITING, Row, rows
from kube_rendezvous_cli.text import listing
from kube_rendezvous_cli.timeline import time_lost, timeline
from kube_rendezvous_cli.version import TROUBLESHOOTING
from rendezvous_api import names
from rendezvous_api.reasons import ClosedReason, ConditionReason, FormationReason, RoundEndReason, State

SOON_SECONDS = 300
"""A round whose predecessor ended less than this long ago is told with the reason for that."""

SHOWN = 5
"""Nodes that are named, each with what is known of it."""


@dataclass(frozen=True)
class Advice:
    """What to do, and the heading of the page on troubleshooting that explains it."""

    text: str
    anchor: str

    @property
    def page(self) -> str:
        """The address."""
        return f"{TROUBLESHOOTING}#{self.anchor}"


NO_PODS = Advice(
    "Start more nodes, or let fewer be enough (spec.minNodes). Pods without the label rdzv.dev/rendezvous "
    "cannot be seen here: "
    "kubectl get pods",
    "the-job-waits-and-nothing-happens",
)
UNSEEN = Advice(
    "The operator has not reacted. Find out whether it runs and serves this namespace: kubectl rdzv doctor",
    "the-operator-has-not-reacted-to-this-node",
)
HELD = Advice(
    "Look at the network and the log of each node that is held out, and move it to another machine if its "
    "network is broken. When the "
    "cause is gone, kubectl rdzv retry {name} takes all of them back at once.",
    "a-node-is-held-out",
)
SICK = Advice(
    "Repair what the health check of each unhealthy node has found, or delete its pod and keep new ones from its "
    "machine (kubectl cordon). A node takes part again by itself when its checks succeed; kubectl rdzv retry {name} "
    "has them run at once.",
    "a-node-is-unhealthy",
)
KEPT = Advice(
    "Wait until the marks are gone, take them away (kubectl uncordon MACHINE), or let the pods move to other machines. "
    "spec.nodes.exclude says which marks count.",
    "a-node-is-kept-out",
)
SUSPECTED = Advice(
    "Look into the log of the node that the message names first: its path to the API server may be broken, or its "
    "process may be stopped or dead. Until it is lost, the round goes on.",
    "degraded-or-heartbeats-that-do-not-arrive",
)
APART = Advice(
    "Repair the path that the message names: from a machine to the API server, or between two nodes, which must reach "
    "each other on all ports. Training goes on, and no node is lost for that.",
    "degraded-or-heartbeats-that-do-not-arrive",
)
GATHERED = Advice(
    "Nothing has to be done. To take in the new nodes now: kubectl rdzv restart {name}", "a-new-node-is-not-taken-in"
)
UNPLACED = Advice(
    "Put the labels that are missing on the machines that the message names, or let the operator read machines "
    "(machines.enabled of the chart). They count from the next round on: kubectl rdzv restart {name}",
    "ranks-do-not-follow-the-machines",
)
NO_SEGMENTS = Advice(
    "Add nodes on machines that are in one domain with those that wait, or label these machines: only whole segments "
    "(spec.ranks.segmentSize) of one domain take part.",
    "ranks-do-not-follow-the-machines",
)
NOT_WHOLE = Advice(
    "Find out which pod of the replacement group is missing: kubectl get pods -L {label}. When it has joined, all of "
    "them are taken in.",
    "a-replacement-group-is-not-whole",
)
NOTHING = Advice("Nothing has to be done.", "it-runs-but")
UNKNOWN = Advice("This release does not know that state. Read the message, and the page.", "troubleshooting")

BY_STATE = {
    State.WAITING_FOR_NODES: Advice(
        "Let a Pending pod find a machine, or let fewer nodes be enough (spec.minNodes). What the pod asks for: "
        "kubectl describe pod POD. Of a pod that runs and has not joined, read the log: kubectl rdzv logs {name}",
        "the-job-waits-and-nothing-happens",
    ),
    State.LAST_CALL: Advice(
        "Nothing has to be done: the round starts when the time has passed, or all labelled pods have joined.",
        "the-job-waits-and-nothing-happens",
    ),
    State.WAITING_FOR_MEMBERS: Advice(
        "Wait until the members have stopped their workers. A member that does not come is lost after "
        "timeouts.reentrySeconds.",
        "a-restart-takes-minutes-has-not-joined-again",
    ),
    State.WAITING_FOR_REPLACEMENTS: Advice(
        "Nothing has to be done: at the time in the message the group continues with the nodes that are there.",
        "the-job-waits-and-nothing-happens",
    ),
    State.SUSPENDED: Advice("To continue: kubectl rdzv resume {name}", "the-job-waits-and-nothing-happens"),
    State.CLOSED: Advice("To let nodes join again: kubectl rdzv reopen {name}", "rendezvousclosederror"),
    State.RUNNING: NOTHING,
    State.DEGRADED: SUSPECTED,
    State.COMPLETE: Advice(
        "Nothing has to be done. To train again, create the Job again, or start with another "
        "--rdzv-id.", "after-the-end-pods-start-again"
    ),
    State.FAILED: Advice(
        "Find the cause in the log of the node that failed first. Then create the Job again, or start with "
        "another --rdzv-id: "
        "training continues from the last checkpoint.",
        "rendezvousclosederror",
    ),
}  # fmt: skip

BY_END = {
    RoundEndReason.MEMBER_LOST: "a member was lost",
    RoundEndReason.MEMBER_EVICTED: "a member was evicted",
    RoundEndReason.MEMBER_TERMINATED: "a signal ended a member",
    RoundEndReason.MEMBER_UNHEALTHY: "a health check of a member failed",
    RoundEndReason.MEMBER_FAILED: "a member ended with an error",
    RoundEndReason.WORKER_FAILED: "workers failed",
    RoundEndReason.CHECK_IN_FAILED: "not all members met at the store",
    RoundEndReason.MEMBER_REENTERED: "a member joined again",
    RoundEndReason.TOO_MANY_NODES: "spec.maxNodes was lowered",
    RoundEndReason.RESTART_REQUESTED: "a restart was asked for",
    RoundEndReason.SUSPENDED: "the group was suspended",
    RoundEndReason.SCALE_UP: "new nodes were taken in",
    ClosedReason.RUN_SUCCEEDED: "the run succeeded",
    ClosedReason.RUN_FAILED: "all nodes are gone, and at least one of them had failed",
    ClosedReason.CLOSE_REQUESTED: "an agent closed the run",
    ClosedReason.RESTART_BUDGET_EXHAUSTED: "the restart budget is used up",
    ClosedReason.TOO_FEW_ELIGIBLE: "marks kept too many nodes out",
    ClosedReason.ABANDONED: "all nodes were gone, and another run came",
}

_IN_LOGS = {RoundEndReason.WORKER_FAILED, RoundEndReason.MEMBER_FAILED}
"""Why a program has failed, only its output says."""


@dataclass(frozen=True)
class Explanation:
    """What is said of a group."""

    paragraph: str
    """Its state, since when, for whom it waits or why it ended."""
    to_do: str
    page: str
    """The address of the page that says more."""


def why(group: Group, now: datetime) -> str:
    """One paragraph, what to do, and the page."""
    said = explained(group, now, rows(group, now))
    lines = [said.paragraph, "", f"What to do: {said.to_do}", f"More: {said.page}"]
    return "\n".join([*lines, *(f"note: {problem}" for problem in group.problems)])


def explained(group: Group, now: datetime, found: list[Row]) -> Explanation:
    """The same in its parts; `found` are the rows of the group at that moment."""
    advice = advice_for(group, found, now)
    paragraph = " ".join([*_state(group, now), *_nodes(group, found, now), *_before(group, now), *_budget(group, now)])
    label = group.rendezvous.spec.nodes.group_key
    return Explanation(paragraph, advice.text.format(name=group.name, label=label), advice.page)


def advice_for(group: Group, found: list[Row], now: datetime) -> Advice:
    """What can be done now."""
    if group.unseen(now) is not None:
        return UNSEEN
    state = State(group.state)
    degraded = group.status.condition(names.CONDITION_DEGRADED)
    if state is State.DEGRADED and degraded is not None and degraded.reason == ConditionReason.NODE_HELD_OUT:
        return HELD
    if state is State.DEGRADED and degraded is not None and degraded.reason == ConditionReason.NODE_UNHEALTHY:
        return SICK
    if state is State.DEGRADED and degraded is not None and degraded.reason == ConditionReason.PATH_BROKEN:
        return APART
    if state is State.WAITING_FOR_NODES and any(row.kind == HELD_OUT for row in found):
        return KEPT if any(row.state == KEPT_OUT for row in found) else HELD
    said = message(group)
    if state is State.WAITING_FOR_NODES and " of them in whole segments of " in said:
        return NO_SEGMENTS
    waits = state in (State.RUNNING, State.WAITING_FOR_NODES)
    if waits and group.rendezvous.spec.nodes.groups is not None and "replacement group" in said:
        return NOT_WHOLE
    if state is State.WAITING_FOR_NODES and group.status.unhealthy:
        return SICK
    if state is State.WAITING_FOR_NODES and not group.pods:
        return NO_PODS
    formation = group.status.formation
    if state is State.RUNNING and formation is not None and formation.reason == FormationReason.GATHERING:
        return GATHERED
    if state is State.RUNNING and "; not in the order of machines: " in said:
        return UNPLACED
    return BY_STATE.get(state, UNKNOWN)


def _state(group: Group, now: datetime) -> Iterator[str]:
    summary = group.status.summary
    unseen = group.unseen(now)
    if summary is None:
        late = f", although it was created {times.age(unseen)} ago" if unseen is not None else ""
        yield f"{group.name} has no status yet: no operator has seen it{late}."
        return
    lasts = times.ago(summary.since, now)
    spec = group.rendezvous.spec
    sizes = f"{spec.min_nodes} to {spec.max_nodes}" if spec.min_nodes < spec.max_nodes else f"{spec.max_nodes}"
    whole = ", ".join(filter(None, (group.run, f"{sizes} {'node' if sizes == '1' else 'nodes'}")))
    said = message(group)
    since = f" for {lasts}" if lasts is not None else ""
    yield f"{group.name} ({whole}) has been {group.state}{since}" + (f": {said}." if said else ".")
    if unseen is not None:
        yield "The operator has not seen the last change of its spec."


def _nodes(group: Group, found: list[Row], now: datetime) -> Iterator[str]:
    """Those that are not as they should be."""
    said = message(group)
    why_not = (MISSING, "is missing"), (HELD_OUT, "takes no part"), (UNHEALTHY, "stays out"), (REFUSED, "may not join")
    for kind, text in why_not:
        listed = [row for row in found if row.kind == kind]
        for row in listed[:SHOWN]:
            # The operator's message has named it, with the reason.
            if row.name not in said and (row.pod is None or row.pod not in said):
                known = "; ".join(filter(None, (row.state, row.evidence)))
                yield f"{row.pod or row.name} {text}: {known.rstrip('.')}."
        if len(listed) > SHOWN:
            yield f"So it is with {len(listed) - SHOWN} more."
    if group.running:
        for row in found:
            if row.kind == MEMBER and not row.state.startswith(("training", "starting")) and row.name not in said:
                yield f"{row.pod or row.name} (rank {row.rank}): {row.state}."
        spares = [row.pod or row.name for row in found if row.kind == SPARE]
        if spares and group.rendezvous.spec.nodes.groups is not None:
            verb = "is a spare" if len(spares) == 1 else "are spares"
            yield f"{listing(spares)} {verb}; a whole replacement group takes the place of one that loses a member."
        elif spares:
            verb = "is a spare and takes" if len(spares) == 1 else "are spares and take"
            of = "" if group.rendezvous.spec.segment_size is None else " of its domain"
            yield f"{listing(spares)} {verb} the place of a lost member{of} at once."
    waits = [row.pod or row.name for row in found if row.kind == WAITING]
    if waits and group.running:
        yield f"{listing(waits)} {'waits' if len(waits) == 1 else 'wait'} for the next round."


def _before(group: Group, now: datetime) -> Iterator[str]:
    """What ended the last round, if that is why things are as they are, or was a short time ago."""
    rounds = timeline(group, now)
    ended = [each for each in rounds if not each.record.running]
    if not ended:
        return
    record = ended[-1].record
    when = times.since(record.asked or record.ended or record.formed, now)
    if group.running and (when is None or when > SOON_SECONDS):
        return
    reason = record.reason or ""
    words = BY_END.get(RoundEndReason(reason)) or BY_END.get(ClosedReason(reason)) or reason
    what = f"Round {record.round} ended" + (f" {times.age(when)} ago" if when is not None else "")
    what += f" because {words} ({reason}" + (f": {record.message})" if record.message else ")")
    lost = time_lost(rounds, record.round)
    if lost is not None:
        what += f"; the group {'has stood' if not group.running else 'stood'} still for {times.duration(lost)}"
    yield f"{what}."
    failures = [failure for failure in group.status.failures if failure.round == record.round]
    yield from (f"The first to fail was {failure.node}." for failure in failures if failure.node not in what)
    if reason in _IN_LOGS:
        yield f"The logs say why: kubectl rdzv logs {group.name} --round {record.round}."
    restarts = group.rendezvous.spec.restarts
    if restarts.max is not None and not restarts.listed and failures and not group.ended:
        yield f"That is restart {group.status.restarts} of at most {restarts.max}."


def _budget(group: Group, now: datetime) -> Iterator[str]:
    """What is used of the limits that count in a time, for a node or for a kind of failure."""
    used = budget.sentence(group, now)
    if used is not None and not group.ended:
        yield used
