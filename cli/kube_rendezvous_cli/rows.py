"""The nodes of a group, one in a row: who they are, what they do, and how that is known."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime

from kube_rendezvous_cli import times
from kube_rendezvous_cli.group import Group, Pod
from rendezvous_api import names
from rendezvous_api.meta import parse_time
from rendezvous_api.participant import Participant
from rendezvous_api.reasons import ConditionReason, ParticipantState
from rendezvous_api.rendezvous import Member

MEMBER, SPARE, WAITING, HELD_OUT, REFUSED, MISSING = "member", "spare", "waiting", "heldOut", "refused", "missing"
UNHEALTHY = "unhealthy"
KEPT_OUT = "kept out"
"""The state of a node that waits and has a mark; its row is one of those that are held out."""
_MARKS = {SPARE: "-", WAITING: "+", HELD_OUT: "x", UNHEALTHY: "x", REFUSED: "x", MISSING: "?"}
_SUSPECTED = r"is silent|sends no beats to|has no connection to|does not answer the beats of"
"""What the operator's message says of a suspect, after its name."""


@dataclass(frozen=True)
class Row:
    """One node of the group, or a pod that is to become one."""

    kind: str
    name: str
    """Of the participant; where there is none, of the pod."""
    state: str
    """What it does, with the time where one is known."""
    rank: int | None = None
    pod: str | None = None
    machine: str | None = None
    domain: str | None = None
    """Of a member whose rank follows its machine: the values of the labels, ``east/b1/r2``."""
    heartbeat: float | None = None
    """Seconds since its last heartbeat, by the clock of its agent."""
    evidence: str = ""
    """What is known beside that: why it is not there, for whom it stands in, where the store is."""

    @property
    def mark(self) -> str:
        """The rank, or what it has instead of one."""
        return str(self.rank) if self.rank is not None else _MARKS[self.kind]


def rows(group: Group, now: datetime) -> list[Row]:
    """Members by rank, then who waits for a round, then who may not take part, then who is missing."""
    seen = [_with_pod(group, row) for row in (*_members(group, now), *_others(group, now))]
    found = {row.name: row for row in seen}
    absent = group.status.formation.missing if group.status.formation is not None else ()
    by_pod = {row.pod: name for name, row in found.items() if row.pod is not None}
    for item in absent:
        name = by_pod.get(item.name, item.name)
        if name in found:
            row = found[name]
            found[name] = replace(row, evidence=_joined(row.evidence, item.message))
        else:
            found[name] = _missing(group, item.name, item.message)
    shown = {row.pod for row in found.values()} | {item.name for item in absent}
    for pod in group.pods.values():
        if pod.name not in shown and pod.phase != "Succeeded" and not group.ended:
            found[pod.name] = _with_pod(group, Row(MISSING, pod.name, _of_pod(pod, now), pod=pod.name))
    order = (MEMBER, SPARE, WAITING, HELD_OUT, UNHEALTHY, REFUSED, MISSING)
    return sorted(found.values(), key=lambda row: (order.index(row.kind), row.rank or 0, row.name))


def _members(group: Group, now: datetime) -> Iterator[Row]:
    store, domains = group.status.store, _domains(group)
    for member in group.status.participants:
        participant = group.participants.get(member.name)
        evidence = f"stands in for {member.stands_in_for.name}" if member.stands_in_for is not None else ""
        if member.rank == 0 and store is not None and group.running:
            evidence = _joined(f"store {store.host}:{store.port}", evidence)
        beat = _heartbeat(participant, now)
        state = _state_of_member(group, member, participant, now)
        row = _row(MEMBER, member.name, state, participant, rank=member.rank, heartbeat=beat, evidence=evidence)
        row = replace(row, domain=domains.get(member.rank))
        yield row if participant is not None else replace(row, pod=_pod_of(group, member.name))


def _domains(group: Group) -> dict[int, str]:
    """By rank; a value that the operator did not know is a question mark."""
    topology = group.status.topology
    domains = topology.domains if topology is not None else ()
    names_of = ("/".join(value or "?" for value in domain.values) for domain in domains for _ in range(domain.nodes))
    return dict(enumerate(names_of))


def _pod_of(group: Group, participant: str) -> str | None:
    """The pod of an agent whose object is gone: the object had its name, behind that of the Rendezvous."""
    pod = participant.partition(".")[2]
    return pod if pod in group.pods else None


def _state_of_member(group: Group, member: Member, participant: Participant | None, now: datetime) -> str:
    if participant is None:
        return "gone"
    spec, status = participant.spec, participant.status
    if spec.incarnation != member.incarnation:
        return "lost: its agent was started again"
    if spec.state == ParticipantState.LEFT and spec.unhealthy is not None:
        return f"unhealthy: {spec.unhealthy}"
    if spec.state == ParticipantState.LEFT:
        return f"has left: {spec.leave_reason}" if spec.leave_reason else "has left"
    if group.ended:
        return "run has ended"
    if spec.attempt > member.attempt:
        return f"has joined again: {spec.attempt_reason}"
    if not group.running:
        return "asked to join again"
    said = _suspected(group, member.name)
    silent = _heartbeat(participant, now) if said == "is silent" else None
    if said is None:
        silent = silence(group, participant, now)
    if silent is not None:
        return f"silent {times.age(silent)} of {times.age(group.rendezvous.spec.suspect_seconds)}"
    if said:
        return "accused"
    record = group.record
    if status.round != group.status.round or record is None:
        return "starting"
    seconds = times.since(record.checked_in or record.formed, now)
    return "training" if seconds is None else f"training {times.age(seconds)}"


def _suspected(group: Group, member: str) -> str | None:
    """What the operator says of a member that may be lost; empty: it is no suspect; None: it does not say.

    The operator does not say it where nothing is wrong with the round, which may also be long ago, nor where it names
    only some of the suspects.
    """
    degraded = group.status.condition(names.CONDITION_DEGRADED)
    if degraded is None or degraded.status != "True":
        return None
    if degraded.reason == ConditionReason.PATH_BROKEN.value:
        return ""  # members without heartbeats train on, since their peers vouch for them
    if degraded.reason != ConditionReason.MEMBER_SUSPECTED.value:
        return None
    named = re.search(rf"(?<![\w.-]){re.escape(member)} ({_SUSPECTED})\b", degraded.message)
    if named:
        return named[1]
    return None if " more" in degraded.message else ""


def silence(group: Group, participant: Participant, now: datetime) -> float | None:
    """For how many seconds a node has been silent; None: it is not, as far as can be seen from here.

    The operator judges by its own clock. Here the clock of the agent is compared with that of this machine, so that
    counts only if another agent's heartbeat shows that the two agree.
    """
    beat, longest = _heartbeat(participant, now), group.rendezvous.silent_seconds
    if beat is None or beat < longest + participant.rare_seconds:
        return None
    newest = group.newest_heartbeat
    return beat if newest is not None and (now - newest).total_seconds() < longest else None


def _others(group: Group, now: datetime) -> Iterator[Row]:
    members = {member.name: member for member in group.status.participants}
    held_out, passed_over = group.held_out(now), {entry.name: entry for entry in group.status.passed_over}
    unhealthy = {entry.name: entry.message for entry in group.status.unhealthy}
    refused = {(item.name, item.incarnation, item.attempt): item for item in group.status.refused}
    for name, participant in group.participants.items():
        spec = participant.spec
        beat = _heartbeat(participant, now)
        if name in members:
            continue
        answer = refused.get((name, spec.incarnation, spec.attempt))
        if name in held_out:
            entry, until = held_out[name], parse_time(held_out[name].until)
            left = times.age((until - now).total_seconds()) if until is not None else "?"
            times_in_a_row = "" if entry.times == 1 else f", {entry.times} times in a row"
            state = f"held out {left} more"
            evidence = f"{entry.reason}{times_in_a_row}: {entry.message}"
            yield _row(HELD_OUT, name, state, participant, heartbeat=beat, evidence=evidence)
        elif name in unhealthy:
            # It sends no heartbeats while it stays out.
            yield _row(UNHEALTHY, name, "unhealthy", participant, evidence=unhealthy[name])
        elif spec.state != ParticipantState.LEFT and (silent := silence(group, participant, now)) is not None:
            yield _row(MISSING, name, f"lost: silent {times.age(silent)}", participant, heartbeat=beat)
        elif answer is not None and spec.state != ParticipantState.LEFT:
            state = f"refused: {answer.reason}"
            yield _row(REFUSED, name, state, participant, heartbeat=beat, evidence=answer.message)
        elif name in group.status.spares:
            told = passed_over[name].message if name in passed_over else ""
            yield _row(SPARE, name, "spare", participant, heartbeat=beat, evidence=told)
        elif name in passed_over:
            told = f"{passed_over[name].reason}: {passed_over[name].message}"
            yield _row(HELD_OUT, name, KEPT_OUT, participant, heartbeat=beat, evidence=told)
        elif spec.state != ParticipantState.LEFT:
            why = "" if spec.attempt == 1 else f"attempt {spec.attempt}: {spec.attempt_reason}"
            yield _row(WAITING, name, "waits for a round", participant, heartbeat=beat, evidence=why)
    for name, entry in held_out.items():
        if name not in group.participants and name not in members:
            yield _row(HELD_OUT, name, "held out", None, evidence=f"{entry.reason}: {entry.message}; its agent is gone")


def _row(kind: str, name: str, state: str, participant: Participant | None, **more: object) -> Row:
    spec = participant.spec if participant is not None else None
    pod = spec.pod_name if spec is not None else None
    row = Row(kind, name, state, pod=pod, machine=spec.node_name if spec is not None else None)
    return replace(row, **more)  # type: ignore[arg-type]


def _missing(group: Group, name: str, message: str) -> Row:
    """A node that the next round waits for: the name is that of a pod or of a participant."""
    pod = group.pods.get(name)
    participant = group.participants.get(name)
    row = Row(MISSING, name, "missing", pod=name if pod is not None else None, evidence=message)
    if participant is not None:
        row = replace(row, pod=participant.spec.pod_name, machine=participant.spec.node_name)
    if pod is None:
        return row
    # The message of a pod that does not run is `is PHASE (WHY)`, and the phase is its state here.
    why = (
        message.removeprefix(f"is {pod.phase} (").removesuffix(")")
        if message.startswith(f"is {pod.phase} (")
        else message
    )
    return replace(row, machine=pod.machine, state=pod.phase, evidence=why)


def _with_pod(group: Group, row: Row) -> Row:
    """With what its pod says. A member whose pod is on its way out is about to be lost."""
    pod = group.pods.get(row.pod or "")
    if pod is None:
        return row
    said = []
    if pod.deleting:
        said.append("its pod is being deleted")
    elif (pod.phase not in ("Running", "Succeeded") and pod.problem is not None) or (
        pod.phase == "Running" and pod.problem is not None and row.kind != MEMBER
    ):
        said.append(pod.problem)
    return replace(row, machine=row.machine or pod.machine, evidence=_joined(row.evidence, *said))


def _of_pod(pod: Pod, now: datetime) -> str:
    if pod.phase == "Running":
        return "Running, has not joined"
    lasts = times.ago(pod.created, now)
    return pod.phase if lasts is None or pod.phase != "Pending" else f"Pending {lasts}"


def _heartbeat(participant: Participant | None, now: datetime) -> float | None:
    return None if participant is None else times.since(participant.status.heartbeat_time, now)


def _joined(*texts: str) -> str:
    return "; ".join(dict.fromkeys(filter(None, texts)))
