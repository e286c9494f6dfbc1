"""The safety rules, checked on the true world at each write that is carried out.

S1: no round is published beside one that can still train. S2: a round ends only for a true reason. S3: one member list
for each (uid, round). S4: only objects of dead agents are deleted. S5: restarts count true failures only. S6: no node
trains in two rounds. S7: nobody is held out for a store that it has reached. S8: a run is closed by the failure that
exceeds its restart budget, and by no other one. S9: who says that it stays out is no member. S10: no node is in a round
whose machine had a mark when it was read for that. And what the spec asks for holds for each round that is published.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from itertools import groupby
from typing import TYPE_CHECKING

from tests.model.agent import Agent
from tests.model.api_server import Json
from tests.model.evidence import is_lost
from tests.model.machines import keeps_out
from tests.model.operator import Reads

from rendezvous_api import names
from rendezvous_api.codec import decode
from rendezvous_api.reasons import FAILURES, AttemptReason, ClosedReason, HeldOutReason, LeaveReason, RoundEndReason
from rendezvous_api.rendezvous import Member, Rendezvous, RendezvousStatus
from rendezvous_api.rendezvous_spec import RendezvousSpec
from rendezvous_operator.core.machines import LOOK_AGAIN_SECONDS

if TYPE_CHECKING:
    from tests.model.system import System

_FAILURES = frozenset(reason.value for reason in FAILURES)
RETENTION_SECONDS = 3600
ISOLATED_SECONDS = 600

Key = tuple[str, int]
"""UID of a Rendezvous, and the number of a round."""


@dataclass
class Round:
    """One that was published."""

    members: tuple[Member, ...]
    asked_at: float | None = None
    """When its members were first asked to join again."""
    over_at: float | None = None
    """When another round followed, or its Rendezvous was deleted."""
    deleted: bool = False
    given_up: bool = False
    """A user has asked for another round."""


class Safety:
    """Checks each write of a status, and each deletion."""

    def __init__(self, system: System) -> None:
        self._system = system
        self.rounds: dict[Key, Round] = {}
        self.broken: list[str] = []
        """What is wrong. It is not raised at once: the operator would take it for a failure of its request."""

    def written(self, before: Json, after: Json, reads: Reads) -> None:
        """A status was written."""
        old, new = decode(Rendezvous, before).status, decode(Rendezvous, after)
        status, uid, now = new.status, new.metadata.uid, self._system.now
        self._system.story.append(
            f"          The status says: round {status.round} of {[member.name for member in status.participants]}, "
            f"waitingNodes {status.waiting_nodes}, {status.history[-1].reason if status.history else None}, "
            f"restarts {status.restarts}, spares {[*status.spares]}."
        )
        if status.round:
            known = self.rounds.setdefault((uid, status.round), Round(status.participants))
            same = known.members == status.participants
            self._expect(same, "S3", f"round {status.round} has other members than before")
        if status.round > old.round:
            self._published(new, old)
            self._marked(status, old, reads)
        former = self.rounds.get((uid, old.round))
        if former is not None and status.waiting_nodes and former.asked_at is None:
            former.asked_at = now
        if old.running and not (status.running and status.round == old.round):
            self._ended(new, old, reads)
        self._held_out(new, old)
        if status.restarts > old.restarts:
            reason = _reason(status, old.round)
            self._expect(reason in _FAILURES, "S5", f"{reason} counts as a failure")
            self._expect(status.restarts == old.restarts + 1, "S5", "one end counts twice")
        if {*status.closed_runs} - {*old.closed_runs} or status.round > old.round:
            self._budget(new, old)

    def deleted(self, item: Json) -> None:
        """An object was deleted by an operator."""
        name, incarnation = item["metadata"]["name"], item["spec"].get("incarnation")
        if incarnation is None:
            return  # a Rendezvous
        now = self._system.now
        lives = any(
            agent.name == name and agent.incarnation == incarnation and agent.alive
            for agent in self._system.processes.values()
            if now - agent.last_beat_before(now) < RETENTION_SECONDS
        )
        self._expect(not lives, "S4", f"the object of {name}, which lives, is deleted")

    def rendezvous_deleted(self, uid: str) -> None:
        """A user has deleted it."""
        for (of, _), known in self.rounds.items():
            if of == uid:
                known.over_at, known.deleted = known.over_at or self._system.now, True

    def restored(self, uid: str, number: int) -> None:
        """The status has this round again; what followed may be given out once more."""
        self.rounds = {key: known for key, known in self.rounds.items() if key[0] != uid or key[1] <= number}

    def _budget(self, new: Rendezvous, old: RendezvousStatus) -> None:
        """S8: the run is closed by the first failure that exceeds a limit, and by no other one."""
        limits, failures = new.spec.restarts, new.status.failures
        if limits.max is None or limits.window_seconds is None or limits.per_node is None or not failures:
            return
        newest, times = failures[-1], [datetime.fromisoformat(failure.time) for failure in failures]
        recent = [
            failure
            for failure, time in zip(failures, times, strict=True)
            if (times[-1] - time).total_seconds() < limits.window_seconds
        ]
        of_node = sum(failure.node == newest.node for failure in recent)
        spent = len(recent) > limits.max or of_node > limits.per_node
        closed = {run for run in new.status.closed_runs if run.reason is ClosedReason.RESTART_BUDGET_EXHAUSTED}
        if new.status.round > old.round:
            self._expect(not spent or newest.round < old.round, "S8", f"round {new.status.round} follows {failures}")
        if closed - {*old.closed_runs}:
            self._expect(spent and newest.round == new.status.round, "S8", f"the run is closed after {failures}")

    def _in_racks(self, new: Rendezvous) -> None:
        """Ranks follow what the label of each machine says, or has said, and fill whole segments."""
        machines, topology, segment = self._system.machines, new.status.topology, new.spec.segment_size
        if not new.spec.topology_labels or machines is None:
            return
        told = [domain.values[0] for domain in topology.domains for _ in range(domain.nodes)] if topology else []
        self._expect(len(told) == new.status.nodes, "The spec", "the domains do not have all members")
        for member, rack in zip(new.status.participants, told, strict=False):
            known = rack in ("", *machines.racks.get(member.name, ()))
            self._expect(known, "The spec", f"{member.name} was never in rack {rack!r}")
        runs = [(rack, sum(1 for _ in inside)) for rack, inside in groupby(told)]
        self._expect(len({*told}) == len(runs), "The spec", f"a rack is in two places: {told}")
        whole = segment is None or not any(count % segment or not rack for rack, count in runs)
        self._expect(whole, "The spec", f"the round has no whole segments: {told}")

    # S1, S6 and the spec.

    def _published(self, new: Rendezvous, old: RendezvousStatus) -> None:
        status, spec, key, now = new.status, new.spec, (new.metadata.uid, new.status.round), self._system.now
        fits = spec.min_nodes <= status.nodes <= spec.max_nodes and not spec.suspend and not spec.closed
        self._expect(fits, "The spec", f"round {status.round} has {status.nodes} nodes, and must not")
        self._in_racks(new)
        setup = self._system.setup
        groups = Counter(setup.group_of(member.name) for member in status.participants) if setup.groups else {}
        for group, nodes in groups.items():
            self._expect(nodes == setup.groups, "The spec", f"round {status.round} has {nodes} nodes of {group}")
        former = self.rounds.get((new.metadata.uid, old.round))
        if former is not None:
            former.over_at = former.over_at or now
            former.given_up = former.given_up or _reason(status, old.round) == RoundEndReason.RESTART_REQUESTED
        for other, known in self.rounds.items():
            members = [self.agent(member) for member in known.members] if other != key else []
            whole = bool(members) and all(agent is not None and agent.round_key == other for agent in members)
            if whole and self._can_meet(known) and not self._may_be_given_up(new, known):
                which = f"round {other[1]}" + ("" if other[0] == key[0] else " of a deleted Rendezvous")
                self.broken.append(f"S1: round {status.round} is published beside {which}, which can still train")
        for member in status.participants:
            agent = self.agent(member)
            if agent is not None and (agent.incarnation, agent.attempt) in agent.stayed_out:
                self.broken.append(f"S9: {agent.name} stays out, and is a member of round {status.round}")
            if agent is not None and agent.round_key not in (None, key):
                self.broken.append(f"S6: {agent.name} is a member of round {status.round}, and trains in another one")

    def _marked(self, status: RendezvousStatus, old: RendezvousStatus, reads: Reads) -> None:
        """S10."""
        same_run = bool(old.history) and old.history[-1].run_id == status.run_id
        before = {member.name for member in old.participants} if same_run else set()
        for member in status.participants:
            machine = reads.machines.get(member.name)
            marked = machine is not None and keeps_out(machine, was_member=member.name in before)
            self._expect(not marked, "S10", f"{member.name} is in round {status.round}, and its machine has a mark")

    def _may_be_given_up(self, rendezvous: Rendezvous, known: Round) -> bool:
        """A documented time has passed, or a user has wanted it so."""
        now, spec = self._system.now, rendezvous.spec
        began = known.asked_at if known.asked_at is not None else known.over_at
        if began is not None and now - began >= spec.timeouts.reentry_seconds:
            return True
        agents = [agent for member in known.members if (agent := self.agent(member)) is not None]
        if known.deleted or any(agent.alive and agent.pod_is_gone for agent in agents):
            return True
        if any(self._ought_to_have_ended(agent, spec) for agent in agents):
            return True
        silent = min(now - agent.last_beat_before(now) for agent in agents)
        isolated = spec.timeouts.isolated_round_seconds
        limit = spec.silent_seconds if known.given_up else ISOLATED_SECONDS if isolated is None else isolated
        return silent >= limit

    def _ought_to_have_ended(self, agent: Agent, spec: RendezvousSpec) -> bool:
        """Its pod was deleted, its machine was down after the grace period, and it is not heard."""
        now, machines, ends_by = self._system.now, self._system.machines, self._system.ends_by.get(agent.pod_uid)
        if machines is None or ends_by is None or now < ends_by:
            return False
        silent = now - agent.last_beat_before(now) >= spec.silent_seconds
        return silent and machines.was_down(agent.name, ends_by - LOOK_AGAIN_SECONDS, now)

    def _can_meet(self, known: Round) -> bool:
        host = known.members[0].name
        return all(self._system.meet(host, member.name) for member in known.members)

    # S7.

    def _held_out(self, new: Rendezvous, old: RendezvousStatus) -> None:
        key = (new.metadata.uid, old.round)
        came, given_up = self._system.stores.came.get(key, {}), self._system.stores.given_up.get(key, 0.0)
        for entry in set(new.status.held_out).difference(old.held_out):
            if entry.reason is HeldOutReason.STORE_NOT_REACHED:
                in_time = came.get(entry.name, float("inf")) < given_up
                self._expect(
                    not in_time, "S7", f"{entry.name} is held out, and has come to the store of round {old.round}"
                )
                others = came.keys() - {old.participants[0].name, entry.name}
                self._expect(bool(others), "S7", f"{entry.name} is held out, and no other one has come to the store")
            else:
                member = next(member for member in old.participants if member.name == entry.name)
                agent = self.agent(member)
                gone = agent is None or not agent.alive or agent.pod_is_gone
                silent = agent is not None and self._system.now - agent.last_beat_before(self._system.now) >= 15
                self._expect(gone or silent, "S7", f"{entry.name} is held out for a crash, and lives")

    # S2.

    def _ended(self, new: Rendezvous, old: RendezvousStatus, reads: Reads) -> None:
        status, spec = new.status, new.spec
        reason = _reason(status, old.round)
        members = {member.name for member in old.participants}
        annotation = new.metadata.annotations.get(names.ANNOTATION_RESTART_REQUESTED_AT, "")
        asked = sha256(annotation.encode()).hexdigest() != old.observed_restart_request
        others = [agent for agent in self._system.agents.values() if agent.name not in members and agent.life]
        truths: Mapping[str, bool] = {
            RoundEndReason.RESTART_REQUESTED.value: bool(annotation) and asked,
            RoundEndReason.SCALE_UP.value: bool(others) and old.nodes < spec.max_nodes,
            RoundEndReason.TOO_MANY_NODES.value: old.nodes > spec.max_nodes,
            RoundEndReason.SUSPENDED.value: spec.suspend,
            RoundEndReason.MEMBER_EVICTED.value: any(self._is_leaving(member) for member in old.participants),
            ClosedReason.RUN_SUCCEEDED.value: any(
                self._has_left(member, LeaveReason.SUCCEEDED) for member in old.participants
            ),
            RoundEndReason.MEMBER_UNHEALTHY.value: any(self._has_stayed_out(member) for member in old.participants),
            RoundEndReason.WORKER_FAILED.value: self._has_failed(old, AttemptReason.WORKER_FAILURE),
            RoundEndReason.CHECK_IN_FAILED.value: self._has_failed(old, AttemptReason.CHECK_IN_FAILED),
        }
        unfinished = [member for member in old.participants if not self._is_done(member)]
        # The message names the member of which it is true.
        message = next((record.message for record in status.history if record.round == old.round), None) or ""
        named = [member for member in unfinished if message.startswith(f"{member.name}: ")]
        sick = any(not self._is_well(member, old, spec, reads) for member in named or unfinished)
        true = truths.get(str(reason), sick)
        self._expect(true, "S2", f"round {old.round} is ended for {reason}, which is not true")

    def _is_well(self, member: Member, old: RendezvousStatus, spec: RendezvousSpec, reads: Reads) -> bool:
        """It lives, it has not asked for another round, and it was not without a sign of life when it was read last."""
        agent = self.agent(member)
        if agent is None or not agent.alive or (agent.round_key is None and agent.process != "waits"):
            return False
        # Once a member asks to join again, the short limit of silence holds: the round is broken anyway.
        attempts = [(each, self.agent_of_name(each)) for each in old.participants]
        broken = old.waiting_nodes or any(other is None or other.attempt > each.attempt for each, other in attempts)
        machines = self._system.machines
        # Signs may have arrived since that read, and the watch that shows them may be late.
        lost = is_lost(
            member.rank,
            [(each, self.agent(each)) for each in old.participants],
            reads.participants,
            self._system.now,
            number=old.round,
            suspect=spec.silent_seconds if broken else spec.suspect_seconds,
            confirm=spec.timeouts.confirm_seconds,
            silent=spec.silent_seconds,
            machine_was_down=lambda since, until: machines is not None and machines.was_down(member.name, since, until),
        )
        return not lost and not agent.pod_is_gone

    def _has_failed(self, status: RendezvousStatus, how: AttemptReason) -> bool:
        """Of a member, in this round: not in one that a restore has lost."""
        failed = {(agent.name, *failure) for agent in self._system.processes.values() for failure in agent.failures}
        return any((member.name, member.incarnation, member.attempt, how) in failed for member in status.participants)

    def _has_stayed_out(self, member: Member) -> bool:
        """With a later attempt than that of the member."""
        agent = self.agent_of_name(member)
        later = (said for said in agent.stayed_out if said[0] == member.incarnation) if agent is not None else ()
        return any(attempt > member.attempt for _, attempt in later)

    def _is_done(self, member: Member) -> bool:
        """It has said that it has succeeded, and its pod went after that: who knows the end can know the word."""
        found = self._system.server.find(names.PARTICIPANT_KIND, member.name)
        pod = self._system.server.find(names.POD_KIND, member.name)
        if found is None or found["spec"].get("leaveReason") != LeaveReason.SUCCEEDED.value:
            return False
        said = (found["spec"]["incarnation"], found["spec"]["attempt"]) == (member.incarnation, member.attempt)
        return said and (pod is None or pod["metadata"]["uid"] != found["spec"]["podUID"])

    def _is_leaving(self, member: Member) -> bool:
        pod = self._system.server.find(names.POD_KIND, member.name)
        return pod is None or bool(pod["metadata"].get("deletionTimestamp") or pod["status"].get("conditions"))

    def _has_left(self, member: Member, reason: LeaveReason) -> bool:
        found = self._system.server.find(names.PARTICIPANT_KIND, member.name)
        return found is None or found["spec"].get("leaveReason") == reason.value

    # Helpers.

    def agent(self, member: Member) -> Agent | None:
        """The process whose present attempt is that member."""
        for agent in self._system.processes.values():
            if (agent.name, agent.incarnation, agent.attempt) == (member.name, member.incarnation, member.attempt):
                return agent
        return None

    def agent_of_name(self, member: Member) -> Agent | None:
        """The process of its name and incarnation."""
        agents = self._system.processes.values()
        return next((one for one in agents if (one.name, one.incarnation) == (member.name, member.incarnation)), None)

    def _expect(self, is_true: bool, rule: str, otherwise: str) -> None:
        if not is_true:
            self.broken.append(f"{rule}: {otherwise}")


def _reason(status: RendezvousStatus, number: int) -> str | None:
    return next((record.reason for record in status.history if record.round == number), None)
