"""A `Scenario` for the tests of the decision core: it plays all who write what the core sees."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from tests.support.specs import changed, spec_of
from tests.unit.core.builders import NAME, UID, now, participant
from tests.unit.core.write_rules import check_write

from rendezvous_api import names
from rendezvous_api.meta import Condition, ObjectMeta
from rendezvous_api.participant import CheckIn, Participant, ParticipantStatus
from rendezvous_api.reasons import AttemptReason, HeldOutReason, LeaveReason, ParticipantState, RefusalReason
from rendezvous_api.rendezvous import Member, Rendezvous, RendezvousStatus
from rendezvous_operator.core.decide import decide
from rendezvous_operator.core.world import (
    Decision,
    Deletion,
    Event,
    Evidence,
    Memory,
    Pod,
    SeenParticipant,
    Target,
    World,
)


class Scenario:
    """One Rendezvous, its agents, their pods, an operator and a clock that stands still until a test moves it.

    The agents send heartbeats as long as they are not `silent`. The operator decides when something of meaning is
    seen and when its own ``wake_at`` has come, never merely because time passes; it answers each ``confirm`` from what
    there is. Each decision is taken twice to see that it is pure, each status is checked like the API server would,
    and is decided on again to see that nothing more would be written.
    """

    def __init__(self, min_nodes: int = 2, max_nodes: int = 2, **spec: Any) -> None:
        self.spec = spec_of(min_nodes, max_nodes, **spec)
        self.metadata = ObjectMeta(NAME, uid=UID, resource_version="1", generation=1)
        self.status = RendezvousStatus()
        self.memory = Memory()
        self.clock = 1000.0
        self.seen: dict[str, SeenParticipant] = {}
        self.pods: dict[str, Pod] = {}
        self.unlabelled: dict[str, Pod] = {}
        self.absent: set[Target] = set()
        self.vanished: set[Target] = set()
        self.ended_at: dict[str, float] = {}
        self.cut_off: set[str] = set()
        self.meets = True
        """Members check in at once, so that their next heartbeat reports the round."""
        self.interval_seconds: int | None = None
        """What heartbeats say about the time to the next one."""
        self.complete = True
        self.wake_at: float | None = None
        self.writes = 0
        self.reads: list[Target] = []
        self.events: list[Event] = []
        self.deletions: list[Deletion] = []
        self.explanation = ""

    # What a test asks.

    @property
    def group(self) -> list[str]:
        """The members of the current round in the order of their ranks."""
        return [member.name for member in self.status.participants]

    @property
    def asks(self) -> bool:
        """Whether the members are asked to come to a new round."""
        return self.status.waiting_nodes > 0

    @property
    def refused(self) -> dict[str, RefusalReason]:
        """Who is refused, and why."""
        return {refusal.name: refusal.reason for refusal in self.status.refused}

    @property
    def held_out(self) -> dict[str, tuple[HeldOutReason, int]]:
        """Who is held out or was until a short time ago: why, and how often in a row."""
        return {entry.name: (entry.reason, entry.times) for entry in self.status.held_out}

    @property
    def closed_runs(self) -> dict[str, str]:
        """Which runs are closed, and why."""
        return {run.run_id: str(run.reason) for run in self.status.closed_runs}

    @property
    def ended_because(self) -> str | None:
        """Why the current round has ended, or None while it runs."""
        return self.status.history[-1].reason

    def condition(self, condition_type: str) -> Condition:
        """The condition of that type."""
        condition = self.status.condition(condition_type)
        assert condition is not None
        return condition

    def messages(self) -> list[str]:
        """The reasons of all events so far."""
        return [str(event.reason) for event in self.events]

    # What agents do.

    def join(self, *who: str, **how: Any) -> None:
        """Agents start and join, all in the same moment. See `participant` for how."""
        for name in who:
            self._put(participant(name, created=self.clock, **how))
        self.settle()

    def join_from_pods(self, *who: str, **how: Any) -> None:
        """Agents in pods of their own names join; the pods are known if `pod` has made them so."""
        for name in who:
            self._put(participant(name, created=self.clock, pod=name, **how))
        self.settle()

    def reenter(
        self,
        *who: str,
        reason: AttemptReason = AttemptReason.MEMBERSHIP_CHANGE,
        check_ins: Mapping[str, CheckIn] | None = None,
    ) -> None:
        """Agents stop their workers and ask for a place in the next round. ``check_ins`` is what they say, by name."""
        for name in who:
            seen = self.seen[name].object
            port = seen.spec.store_port + 1
            spec = replace(seen.spec, attempt=seen.spec.attempt + 1, attempt_reason=reason, store_port=port)
            spec = replace(spec, check_in=(check_ins or {}).get(name))
            self._put(replace(seen, spec=replace(spec, last_run_id=self._run_of(name))))
        self.settle()

    def fail_to_check_in(self, *missing: str, host_is_reached: bool = True, silent: Iterable[str] = ()) -> None:
        """All members but those that are ``silent`` have tried to check in, and say so.

        Args:
            missing: who did not reach the store.
            host_is_reached: whether the others did.
            silent: who does not join again.
        """
        host, *others = self.group
        at_store = [name for name in others if name not in missing and host_is_reached]
        away = tuple(name for name in others if name not in at_store)
        says = {
            name: CheckIn(
                self.status.round, name == host or name in at_store, away if name in (host, *at_store) else ()
            )
            for name in self.group
        }
        who = [name for name in self.group if name not in silent]
        self.reenter(*who, reason=AttemptReason.CHECK_IN_FAILED, check_ins=says)

    def all_join_again(self) -> None:
        """Each member that is asked to join again does so."""
        assert self.asks, f"no member is asked: {self.explanation}"
        self.reenter(*(name for name in self.group if self._runs(name)))

    def leave(self, *who: str, reason: LeaveReason = LeaveReason.FAILED) -> None:
        """Agents end and say so."""
        for name in who:
            seen = self.seen[name].object
            spec = replace(seen.spec, state=ParticipantState.LEFT, leave_reason=reason)
            self._put(replace(seen, spec=replace(spec, last_run_id=self._run_of(name))))
        self.settle()

    def request_close(self, name: str) -> None:
        """An agent closes its run for all (torch: set_closed)."""
        seen = self.seen[name].object
        self._put(replace(seen, spec=replace(seen.spec, close_requested=True)))
        self.settle()

    def silent(self, *who: str) -> None:
        """From now on these agents send no heartbeats."""
        self.cut_off |= {*who}

    def beat(self, *who: str) -> None:
        """These agents send heartbeats again, with the same content as before."""
        self.cut_off -= {*who}
        self._beat()
        self.settle()

    def restart(self, name: str, **how: Any) -> None:
        """The process of an agent is restarted under the same name; its predecessor is no more."""
        before = self.seen[name].object
        spec = replace(before.spec, attempt=1, attempt_reason=AttemptReason.START)
        spec = replace(spec, incarnation=before.spec.incarnation + "'", state=ParticipantState.JOINED)
        spec = replace(spec, leave_reason=None, close_requested=None, last_run_id=None)
        self._put(replace(before, spec=replace(spec, **how)))
        self.cut_off.discard(name)
        self.settle()

    def gone(self, *who: str) -> None:
        """The objects of these agents are deleted."""
        for name in who:
            del self.seen[name]
            self.absent.add(Target(names.PARTICIPANT_KIND, name))
        self.settle()

    # What pods and users do.

    def pod(self, *who: str, **how: Any) -> None:
        """Create or change pods that carry the label and so are known."""
        for name in who:
            owned: dict[str, Any] = {"owner_uid": "job", **how}
            self.show_pod(Pod(f"uid-of-{name}", name, **{"workload": owned["owner_uid"], **owned}))
        self.settle()

    def show_pod(self, pod: Pod) -> None:
        """A watch shows the pod."""
        before, self.pods[pod.uid] = self.pods.get(pod.uid), pod
        if (pod.over or pod.ended) and (before is None or (before.phase, before.ended) != (pod.phase, pod.ended)):
            self.ended_at[pod.uid] = self.clock

    def pod_gone(self, *who: str) -> None:
        """Pods are deleted; their participants are not yet collected."""
        for name in who:
            self.pods.pop(f"uid-of-{name}", None)
            self._pod_is_absent(Target("Pod", name, f"uid-of-{name}"))
        self.settle()

    def pod_vanishes(self, *who: str, runs_on: bool) -> None:
        """No watch shows these pods any more: they are gone, or have lost their label and run on."""
        for name in who:
            pod = self.pods.pop(f"uid-of-{name}")
            self.vanished.add(Target("Pod", name, pod.uid))
            if runs_on:
                self.unlabelled[pod.uid] = pod
        self.settle()

    def edit(self, **changes: Any) -> None:
        """The user edits the spec."""
        self.spec = changed(self.spec, **changes)
        self.metadata = replace(self.metadata, generation=self.metadata.generation + 1)
        self.settle()

    def request_restart(self, value: str) -> None:
        """The user sets the annotation that asks for a new round."""
        self._annotate(names.ANNOTATION_RESTART_REQUESTED_AT, value)

    def request_retry(self, value: str) -> None:
        """The user sets the annotation that ends all hold-outs."""
        self._annotate(names.ANNOTATION_RETRY_AT, value)

    def _annotate(self, annotation: str, value: str) -> None:
        self.metadata = replace(self.metadata, annotations={**self.metadata.annotations, annotation: value})
        self.settle()

    def made_by_agent(self) -> None:
        """The Rendezvous was created by an agent, not by a user."""
        self.metadata = replace(self.metadata, labels={names.LABEL_CREATED_BY: names.CREATED_BY_AGENT})

    # What happens to the operator.

    def new_leader(self) -> None:
        """Another process takes over: all that it knows it has just listed."""
        self.memory = Memory()
        self.seen = {name: SeenParticipant(seen.object, beat_at=self.clock) for name, seen in self.seen.items()}
        self.settle()

    # Time.

    def at(self, seconds: float) -> None:
        """Let the clock go on until this many seconds after the beginning of the scenario."""
        self.after(1000.0 + seconds - self.clock)

    def after(self, seconds: float) -> None:
        """Let the clock go on; the operator looks again when it said that it would, and only then."""
        end = self.clock + seconds
        while self.clock < end:
            due = self.wake_at if self.wake_at is not None and self.wake_at <= end else None
            self.clock = end if due is None else due
            self._beat()
            if due is not None:
                self.settle()

    # The operator.

    def settle(self) -> None:
        """Decide, write, and see that there is nothing more to write."""
        if self._turn():
            assert not self._turn(), f"a second write with nothing changed: {self.explanation}"
        self._beat()

    def world(self) -> World:
        """What the operator sees now."""
        return World(
            rendezvous=Rendezvous(self.metadata, self.spec, self.status),
            participants=dict(self.seen),
            pods=dict(self.pods),
            absent=frozenset(self.absent),
            vanished=frozenset(self.vanished),
            ended_at=dict(self.ended_at),
            complete=self.complete,
        )

    def look(self) -> Decision | Evidence:
        """One decision on what is seen now, or what must be read before it; the same each time."""
        world, moment = self.world(), now(self.clock)
        answer = decide(moment, world, self.memory)
        assert answer == decide(moment, world, self.memory), "a decision is a pure function"
        if isinstance(answer, Decision):
            assert answer.wake_at is None or answer.wake_at > self.clock, "a busy loop: wake_at has already come"
        return answer

    def decide(self) -> Decision:
        """One decision on what is seen now; what it needs was read."""
        answer = self.look()
        assert isinstance(answer, Decision), f"something is to be read first: {answer.explanation}"
        return answer

    def _turn(self) -> bool:
        reads = 0
        while isinstance(decision := self.look(), Evidence):
            assert reads < 4, f"something is to be read again and again: {decision.explanation}"
            self._read(decision.targets)
            reads += 1
        self.memory, self.wake_at = decision.memory, decision.wake_at
        self.explanation = decision.explanation
        self._delete(decision.deletions)
        self.events += decision.events
        if decision.status == self.status:
            return False
        check_write(self.spec, self.status, decision.status)
        before, self.status = self.status, decision.status
        self.writes += 1
        self.written(before)
        return True

    def written(self, before: RendezvousStatus) -> None:
        """Called after each write, with the status before it; for those that record the scenario."""

    def _delete(self, deletions: Iterable[Deletion]) -> None:
        """What is decided to be deleted is gone, and the operator sees that at its next look."""
        for deletion in deletions:
            self.deletions.append(deletion)
            if deletion.kind == names.PARTICIPANT_KIND:
                del self.seen[deletion.name]
                self.absent.add(Target(names.PARTICIPANT_KIND, deletion.name))

    def _read(self, targets: Iterable[Target]) -> None:
        for target in sorted(targets):
            self.reads.append(target)
            self.vanished.discard(target)
            if target.name in self.seen and target.kind == names.PARTICIPANT_KIND:
                self.seen[target.name] = replace(self.seen[target.name], read_at=self.clock)
            elif target.uid in self.unlabelled:
                self.pods[target.uid] = replace(self.unlabelled[target.uid], known=False)
            elif target.kind == names.POD_KIND and target.uid not in self.pods:
                self._pod_is_absent(target)
            elif target.kind == names.PARTICIPANT_KIND:
                self.absent.add(target)

    def _pod_is_absent(self, target: Target) -> None:
        self.absent.add(target)
        self.ended_at[target.uid] = self.clock

    def _put(self, written: Participant) -> None:
        name = written.metadata.name
        self.absent.discard(Target(names.PARTICIPANT_KIND, name))
        self.seen[name] = SeenParticipant(written, beat_at=self.clock)

    def _entry(self, name: str) -> Member | None:
        return next((member for member in self.status.participants if member.name == name), None)

    def _run_of(self, name: str) -> str | None:
        """The run of the last round of an agent, as it knows it."""
        spec, member = self.seen[name].object.spec, self._entry(name)
        is_member = member is not None and (member.incarnation, member.attempt) == (spec.incarnation, spec.attempt)
        return self.status.history[-1].run_id if is_member else spec.last_run_id

    def _runs(self, name: str) -> bool:
        """Whether an agent exists, is not silent, and its present attempt is a member."""
        member, seen = self._entry(name), self.seen.get(name)
        if member is None or seen is None or name in self.cut_off:
            return False
        spec = seen.object.spec
        joined = spec.state is ParticipantState.JOINED
        return joined and (spec.incarnation, spec.attempt) == (member.incarnation, member.attempt)

    def _beat(self) -> None:
        """Heartbeats of all agents that are not silent: members report their round, the others repeat themselves."""
        for name, seen in self.seen.items():
            spec = seen.object.spec
            if name in self.cut_off or spec.state is ParticipantState.LEFT:
                continue
            entry, before = self._entry(name), seen.object.status
            same_attempt = (before.incarnation, before.attempt) == (spec.incarnation, spec.attempt)
            number, rank = (before.round, before.rank) if same_attempt else (0, None)
            if entry is not None and self.meets and self._runs(name):
                number, rank = self.status.round, entry.rank
            heard = now(self.clock).timestamp
            beat = ParticipantStatus(spec.incarnation, spec.attempt, number, rank, heard, self.interval_seconds)
            self.seen[name] = replace(seen, object=replace(seen.object, status=beat), beat_at=self.clock)
