"""What the status of a Rendezvous means for one agent. Pure functions."""

from __future__ import annotations

from dataclasses import dataclass

from rendezvous_api import names
from rendezvous_api.participant import ParticipantSpec
from rendezvous_api.rendezvous import Refusal, Rendezvous, RendezvousStatus, Store


@dataclass(frozen=True)
class Claim:
    """One attempt of one agent to get into a round."""

    name: str
    spec: ParticipantSpec


@dataclass(frozen=True)
class Admission:
    """The attempt is a member of this round."""

    uid: str
    """Of the Rendezvous."""
    round: int
    rank: int
    nodes: int
    store: Store


@dataclass(frozen=True)
class Waiting:
    """Nothing is decided about the attempt yet."""

    spare: bool
    """The group is full, and this agent is listed as a spare: it waits without a deadline."""


@dataclass(frozen=True)
class Replaced:
    """The Rendezvous that was asked is gone and another one has its name: ask that one."""


Answer = Admission | Refusal | Waiting | Replaced


def answer(rendezvous: Rendezvous, claim: Claim) -> Answer:
    """Read the operator's answer to an attempt.

    An attempt is named by name, incarnation and number, so an older round cannot be mistaken for its answer.

    Args:
        rendezvous: the newest known state.
        claim: the attempt as it was written.
    """
    if rendezvous.metadata.uid != claim.spec.rendezvous_uid:
        return Replaced()
    status = rendezvous.status
    attempt = (claim.name, claim.spec.incarnation, claim.spec.attempt)
    if status.store is not None:
        for member in status.participants:
            if (member.name, member.incarnation, member.attempt) == attempt:
                return Admission(rendezvous.metadata.uid, status.round, member.rank, status.nodes, status.store)
    for refusal in status.refused:
        if (refusal.name, refusal.incarnation, refusal.attempt) == attempt:
            return refusal
    return Waiting(spare=claim.name in status.spares)


def is_over(rendezvous: Rendezvous | None, admission: Admission) -> bool:
    """Whether the round is to be ended, or is no longer the current one."""
    return nodes_waiting(rendezvous, admission, name_lost=False) > 0


def nodes_waiting(rendezvous: Rendezvous | None, admission: Admission | None, name_lost: bool) -> int:
    """The answer for torch's ``num_nodes_waiting``; above 0, the agent stops its workers and joins again.

    Args:
        rendezvous: the newest known state; None when the object was deleted, which ends nobody's training.
        admission: the round whose workers run here; None between rounds.
        name_lost: the agent's own object was deleted or taken over by another agent.
    """
    if admission is None:
        return 0
    if name_lost:
        return 1
    if rendezvous is None:
        return 0
    status = rendezvous.status
    if rendezvous.metadata.uid != admission.uid or status.round > admission.round:
        return 1
    # A lower round is what a view that lags behind still shows; it says nothing about this one.
    return status.waiting_nodes if status.round == admission.round else 0


def is_closed(status: RendezvousStatus) -> bool:
    """Whether nobody may join any more: the current run is closed, or the whole object is."""
    closed = status.condition(names.CONDITION_CLOSED)
    return status.closed_reason(status.run_id) is not None or (closed is not None and closed.status == "True")


def explain(status: RendezvousStatus) -> str:
    """What the operator says about the group, in one line; empty when it has said nothing."""
    ready = status.condition(names.CONDITION_READY)
    text = f"{ready.reason}: {ready.message}" if ready else ""
    formation = status.formation
    if formation is None:
        return text
    if formation.message and formation.message not in text:
        text = f"{text}; {formation.message}" if text else f"{formation.reason}: {formation.message}"
    missing = [f"{node.name}: {node.message}" for node in formation.missing if node.message not in text]
    return "; ".join([text, *missing])
