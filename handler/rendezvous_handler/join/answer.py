"""What the status of a Rendezvous means for one agent. Pure functions."""

from __future__ import annotations

from dataclasses import dataclass

from rendezvous_api import names
from rendezvous_api.participant import ParticipantSpec
from rendezvous_api.reasons import FormationReason
from rendezvous_api.rendezvous import HeldOut, Member, PassedOver, Refusal, Rendezvous, RendezvousStatus, Store


@dataclass(frozen=True)
class Attempt:
    """One attempt of one agent to get into a round."""

    name: str
    spec: ParticipantSpec


@dataclass(frozen=True)
class Membership:
    """The attempt is a member of this round."""

    uid: str
    """Of the Rendezvous."""
    round: int
    rank: int
    nodes: int
    store: Store
    run_id: str
    entry: Member
    """What the status has of this agent."""
    fence: str = ""
    """What `kube_rendezvous.worker.fencing_token` reads; see `fence_of`."""


@dataclass(frozen=True)
class Waiting:
    """The attempt has no round yet."""

    spare: bool = False
    """The group is full, and this agent is listed as a spare: it waits without a deadline."""
    gathered: bool = False
    """A round of the run goes on, and this agent is added with the next one."""
    held_out: HeldOut | None = None
    """This agent is, or was some time ago, held out: its attempt does not count until a given time (`HoldOutClock`)."""
    passed_over: PassedOver | None = None
    """Other nodes are chosen, for what is known of this one or of its machine."""


@dataclass(frozen=True)
class Replaced:
    """The Rendezvous that was asked is gone and another one has its name: ask that one."""


Answer = Membership | Refusal | Waiting | Replaced


def answer(rendezvous: Rendezvous, attempt: Attempt) -> Answer:
    """Read the operator's answer to an attempt.

    An attempt is named by name, incarnation and number, so an older round cannot be mistaken for its answer.

    Args:
        rendezvous: the newest known state.
        attempt: as it was written.
    """
    if rendezvous.metadata.uid != attempt.spec.rendezvous_uid:
        return Replaced()
    status = rendezvous.status
    asked = (attempt.name, attempt.spec.incarnation, attempt.spec.attempt)
    if status.store is not None:
        for member in status.participants:
            if (member.name, member.incarnation, member.attempt) == asked:
                uid, run_id = rendezvous.metadata.uid, _run_of_round(status)
                return Membership(uid, status.round, member.rank, status.nodes, status.store, run_id, member)
    for refusal in status.refused:
        if (refusal.name, refusal.incarnation, refusal.attempt) == asked:
            return refusal
    gathered = status.formation is not None and status.formation.reason is FormationReason.GATHERING
    held_out = next((entry for entry in status.held_out if entry.name == attempt.name), None)
    passed_over = next((entry for entry in status.passed_over if entry.name == attempt.name), None)
    return Waiting(attempt.name in status.spares, gathered, held_out, passed_over)


def fence_of(rendezvous: Rendezvous, members_digest: str) -> str:
    """The fencing token of the current round. Its parts have a fixed length, so that strings are ordered as tokens.

    Args:
        rendezvous: with that round.
        members_digest: 8 hex digits, of its UID and its members.
    """
    return f"{rendezvous.metadata.creation_timestamp}.{rendezvous.status.round:010}.{members_digest}"


def _run_of_round(status: RendezvousStatus) -> str:
    # `status.run_id` may be that of another run, which has claimed the Rendezvous since.
    return status.history[-1].run_id if status.history else status.run_id or names.UNNAMED_RUN


def has_ended(rendezvous: Rendezvous | None, membership: Membership) -> bool:
    """Whether the round is to be ended, or is no longer the current one."""
    return nodes_waiting(rendezvous, membership, name_lost=False) > 0


def nodes_waiting(rendezvous: Rendezvous | None, membership: Membership | None, name_lost: bool) -> int:
    """The answer for torch's ``num_nodes_waiting``; above 0, the agent stops its workers and joins again.

    Args:
        rendezvous: the newest known state; None when the object was deleted, which ends no training.
        membership: the round whose workers run here; None between rounds.
        name_lost: the agent's own object was deleted or taken over by another agent.
    """
    if membership is None:
        return 0
    if name_lost:
        return 1
    if rendezvous is None:
        return 0
    status = rendezvous.status
    return status.waiting_nodes if _is_current(rendezvous, membership) else 1


def _is_current(rendezvous: Rendezvous, membership: Membership) -> bool:
    """Whether the last published round is that of the membership.

    A published round never changes. But a number may be given out twice, or a lower one be the last again, when etcd
    was restored from a snapshot. (A watch that lags behind shows no lower round: see `RendezvousWatch`.)
    """
    status, mine = rendezvous.status, membership.entry
    if (rendezvous.metadata.uid, status.round, status.store) != (membership.uid, membership.round, membership.store):
        return False
    entries = ((member.name, member.incarnation, member.attempt, member.rank) for member in status.participants)
    return (mine.name, mine.incarnation, mine.attempt, mine.rank) in entries


def is_closed(rendezvous: Rendezvous) -> bool:
    """Whether no node may join: the current run is closed, or the whole object is."""
    status = rendezvous.status
    return rendezvous.spec.closed or status.closed_reason(status.run_id) is not None


def describe_status(status: RendezvousStatus) -> str:
    """What the operator says about the group, in one line; empty when it has said nothing."""
    running = status.condition(names.CONDITION_RUNNING)
    text = f"{running.reason}: {running.message}" if running else ""
    formation = status.formation
    if formation is None:
        return text
    if formation.message and formation.message not in text:
        text = f"{text}; {formation.message}" if text else f"{formation.reason}: {formation.message}"
    missing = [f"{node.name}: {node.message}" for node in formation.missing if node.message not in text]
    return "; ".join([text, *missing])
