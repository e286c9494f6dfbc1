"""The safety rules, checked on the true world at each write that is carried out.

S1: no round is published beside one that can still train. S2: a round ends only for a true reason. S3: one member list
for each round, ever. S4: only objects of dead agents are deleted. S5: restarts count true failures only. S6: no node
trains in two rounds.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.model.api_server import Json
from tests.model.operator import Reads

from rendezvous_api import names
from rendezvous_api.codec import decode
from rendezvous_api.reasons import FAILURES
from rendezvous_api.rendezvous import Member, Rendezvous, RendezvousStatus

if TYPE_CHECKING:
    from tests.model.system import Agent, System

ROUNDING = 10
"""Seconds by which a time that was measured by the heartbeats of the model may be too short."""


class Safety:
    """Checks each write of a status, and each deletion."""

    def __init__(self, system: System) -> None:
        self._system = system
        self._members: dict[tuple[str, int], tuple[Member, ...]] = {}
        self._asked_at: dict[int, float] = {}
        self.broken: list[str] = []
        """What is wrong. It is not raised at once: the operator would take it for a failure of its request."""

    def written(self, before: Json, after: Json, reads: Reads) -> None:
        """A status was written, by an operator that has read participants at these times."""
        old, new = decode(Rendezvous, before).status, decode(Rendezvous, after)
        status = new.status
        self._system.story.append(
            f"        the status says: round {status.round} of {[member.name for member in status.participants]}, "
            f"waitingNodes {status.waiting_nodes}, {status.history[-1].reason if status.history else None}"
        )
        known = self._members.setdefault((new.metadata.uid, status.round), status.participants)
        self._expect(known == status.participants, "S3", f"round {status.round} has other members than before")
        if status.round > old.round:
            self._published(new, old, status)
        if status.waiting_nodes and not old.waiting_nodes:
            self._asked_at.setdefault(old.round, self._system.now)
        if old.running and not (status.running and status.round == old.round):
            self._ended(new, old, status, reads)
        if status.restarts > old.restarts:
            reason = next(record.reason for record in status.history if record.round == old.round)
            failures = {failure.value for failure in FAILURES}
            self._expect(reason in failures, "S5", f"{reason} counts as a failure")

    def deleted(self, item: Json) -> None:
        """An object was deleted by an operator."""
        agent = self._system.agents.get(item["metadata"]["name"])
        lives = agent is not None and agent.process != "is off" and item["spec"].get("incarnation") == agent.incarnation
        self._expect(not lives, "S4", f"the object of {item['metadata']['name']}, which lives, is deleted")

    def _published(self, rendezvous: Rendezvous, old: RendezvousStatus, status: RendezvousStatus) -> None:
        asked_at = self._asked_at.get(old.round)
        overdue = asked_at is not None and self._system.now - asked_at >= rendezvous.spec.timeouts.reentry_seconds
        whole = bool(old.participants) and all(self._runs(member, old.round) for member in old.participants)
        released = all(self._cut_for(member, 600) for member in old.participants)
        given_up = "RestartRequested" in {record.reason for record in status.history if record.round == old.round}
        given_up = given_up and all(self._cut_for(member, 15 - ROUNDING) for member in old.participants)
        if whole and not overdue and not released and not given_up:
            self.broken.append(f"S1: round {status.round} is published beside round {old.round}, which can still train")
        for member in status.participants:
            agent = self._agent(member)
            if agent is not None and agent.runs and not agent.cut:
                self.broken.append(f"S6: {agent.name} is a member of round {status.round}, and trains")

    def _ended(self, rendezvous: Rendezvous, old: RendezvousStatus, status: RendezvousStatus, reads: Reads) -> None:
        limit = rendezvous.spec.suspect_seconds

        reason = next((record.reason for record in status.history if record.round == old.round), None)
        true = {
            "RestartRequested": names.ANNOTATION_RESTART_REQUESTED_AT in rendezvous.metadata.annotations,
            "ScaleUp": any(agent.process == "waits" or agent.beat_at for agent in self._system.agents.values()),
            "TooManyNodes": old.nodes > rendezvous.spec.max_nodes,
        }.get(str(reason), any(not self._is_well(member, limit, reads) for member in old.participants))
        self._expect(true, "S2", f"round {old.round} is ended for {reason}, and all its members are well")

    def _agent(self, member: Member) -> Agent | None:
        """The agent whose present attempt is that member."""
        agent = self._system.agents.get(member.name)
        same = agent is not None and (agent.incarnation, agent.attempt) == (member.incarnation, member.attempt)
        return agent if same else None

    def _runs(self, member: Member, number: int) -> bool:
        """Whether its workers run that round, or may come to run it."""
        agent = self._agent(member)
        return (
            agent is not None
            and agent.process == "trains"
            and agent.membership is not None
            and (agent.membership.round == number)
        )

    def _is_well(self, member: Member, limit: float, reads: Reads) -> bool:
        """It lives, it has not asked for another round, and it was not silent when it was read last."""
        agent = self._agent(member)
        if agent is None or agent.process == "is off":
            return False
        pod = self._system.server.find(names.POD_KIND, member.name)
        # Heartbeats may have arrived since that read, and the watch that shows them may be late.
        read_at = reads.get(member.name, self._system.now)
        return pod is not None and read_at - agent.last_beat_before(read_at) < limit

    def _cut_for(self, member: Member, seconds: float) -> bool:
        agent = self._system.agents[member.name]
        since = agent.cut_since
        return since is not None and self._system.now - since >= seconds

    def _expect(self, is_true: bool, rule: str, otherwise: str) -> None:
        if not is_true:
            self.broken.append(f"{rule}: {otherwise}")
