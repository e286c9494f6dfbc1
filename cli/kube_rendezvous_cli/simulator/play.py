"""A simulation: a virtual clock, agents that do what the handler does, and the operator's decisions.

Nothing waits: the clock goes from one moment at which something happens to the next one. What an agent does follows
from the status alone, as with the real handler. Heartbeats are not played one by one: before each decision, the last
one of each node is brought up to date.
"""

import heapq
from collections.abc import Callable, Iterator, Set
from dataclasses import dataclass, field, replace
from itertools import count
from typing import Any

from kube_rendezvous_cli.simulator import beats, nodes
from kube_rendezvous_cli.simulator.nodes import Habits, Node
from kube_rendezvous_cli.simulator.operator import Operator, Rest, Written
from kube_rendezvous_cli.simulator.record import Entry, Record, Who
from rendezvous_api import names
from rendezvous_api.meta import timestamp
from rendezvous_api.participant import CheckIn, Participant
from rendezvous_api.reasons import (
    AttemptReason,
    FormationReason,
    HostState,
    LeaveReason,
    ParticipantState,
    RefusalReason,
)
from rendezvous_api.rendezvous import Member, Refusal, RendezvousStatus
from rendezvous_operator.core.world import SeenParticipant

Action = Callable[[], None]

_NEVER = 1e9
"""Seconds: after all that is played."""


def state_of(status: RendezvousStatus) -> tuple[str, str]:
    """The state of a group, and what it does or waits for."""
    running = status.condition(names.CONDITION_RUNNING)
    state = str(status.summary.state) if status.summary is not None else "Unknown"
    return state, running.message if running is not None else ""


@dataclass
class Play:
    """One group with its operator and a clock."""

    operator: Operator
    habits: Habits = field(default_factory=Habits)
    nodes: dict[str, Node] = field(default_factory=dict)
    """By the name of the participant."""
    record: Record = field(default_factory=Record)
    now: float = 0.0
    changed_at: float = 0.0
    """When something happened last that is in the record."""
    _queue: list[tuple[float, int, Action]] = field(default_factory=list)
    _order: "count[int]" = field(default_factory=count)
    _starts: dict[str, int] = field(default_factory=dict)
    """How many agents of a name have started."""
    _beating_then: Set[str] = frozenset()
    """Whose heartbeats came when the operator fell asleep."""
    told: tuple[str, str] = ("", "")
    """State and explanation that are known already."""

    # The clock.

    def at(self, moment: float, action: Action) -> None:
        """Do this at that moment; what is given first for one moment is done first."""
        heapq.heappush(self._queue, (max(moment, self.now), next(self._order), action))

    def run(self, until: float, quiet: float = float("inf")) -> None:
        """Let the clock go on until this moment, or until nothing has happened for so many seconds."""
        while not self.operator.finished:
            following = self._next()
            if following > min(until, self.changed_at + quiet):
                break
            self.now = max(self.now, following)
            self._heartbeats()
            while self._queue and self._queue[0][0] <= self.now:
                heapq.heappop(self._queue)[2]()
            self._settle()
        self.now = max(self.now, min(until, max(self.changed_at + quiet, self.now)))

    def _next(self) -> float:
        moments = [self._queue[0][0]] if self._queue else []
        if self.operator.wake_at is not None and not self.operator.away:
            moments.append(self.operator.wake_at)
        return min(moments, default=float("inf"))

    def _settle(self) -> None:
        if self.habits.beats:
            beats.say(self.operator, self.nodes, self.now)
        news = self.operator.news
        if self.operator.rest is Rest.SLEEPS and self._beating_then != {node.name for node, _ in self._beating()}:
            self.operator.stir(self.now)
        decided = self.operator.decide(self.now)
        for written in decided:
            self._tell(written)
        if news or decided:
            for node in list(self.nodes.values()):
                self.reacts(node)
        if self.operator.rest is Rest.POSSIBLE:
            beating = {node.name: replace(mine, beat_at=_NEVER) for node, mine in self._beating()}
            self._beating_then = {*beating}
            self.operator.sleep(self.now, {**self.operator.seen, **beating})

    def _heartbeats(self) -> None:
        """The last heartbeat of each node up to now."""
        spec, often = self.operator.rendezvous.spec, self.operator.rendezvous.heartbeat_seconds
        soon = min(often, spec.timeouts.confirm_seconds / 3)
        for node, mine in self._beating():
            interval = soon if node.accuses else often
            passed = (self.now - mine.beat_at) // interval
            if passed >= 1:
                self.operator.seen[node.name] = replace(mine, beat_at=mine.beat_at + passed * interval)

    def _beating(self) -> Iterator[tuple[Node, SeenParticipant]]:
        """The nodes whose heartbeats arrive, with what is seen of them."""
        for name, node in self.nodes.items():
            mine = self.operator.seen.get(name)
            if mine is not None and node.acts and mine.object.spec.state is not ParticipantState.LEFT:
                yield node, mine

    # What is told.

    def happens(self, name: str, one: str, several: str, who: Who = Who.GIVEN) -> None:
        """A node does something, or something is done to it."""
        self.changed_at = self.now
        self.record.nodes(self.now, who, one, several, name)

    def is_given(self, what: str, message: str) -> None:
        """Something happens that is no node's."""
        self.changed_at = self.now
        self.record.add(Entry(self.now, Who.GIVEN, what, message))

    def _tell(self, written: Written) -> None:
        decision, status = written.decision, written.decision.status
        for event in decision.events:
            members = status.participants if status.round > written.before.round else ()
            published = members if event.message.startswith(f"round {status.round} of ") else ()
            self.record.add(Entry(self.now, Who.OPERATOR, event.reason.value, event.message, members=published))
        told = state, message = state_of(status)
        if told != self.told:
            self.record.add(Entry(self.now, Who.OPERATOR, state, message))
        if decision.events or told != self.told:
            self.changed_at = self.now
        self.told = told

    # What agents do.

    def entry(self, node: Node) -> Member | None:
        """Of its present attempt, in the current round."""
        found, mine = self._entries.get(node.name), self.operator.participant(node.name)
        if found is None or mine is None:
            return None
        return found if (found.incarnation, found.attempt) == (mine.spec.incarnation, mine.spec.attempt) else None

    @property
    def _entries(self) -> dict[str, Member]:
        status = self.operator.status
        if self._of is not status.participants:
            self._of, self._by_name = status.participants, {member.name: member for member in status.participants}
        return self._by_name

    _of: tuple[Member, ...] = ()
    _by_name: dict[str, Member] = field(default_factory=dict)

    def join(self, name: str) -> None:
        """The agent of a node starts, in a new pod if the one before has ended, and joins."""
        before = self.nodes.get(name)
        number = self._starts[name] = self._starts.get(name, 0) + 1
        pod = before.pod if before is not None else None
        if before is not None and pod is not None and not before.alive and pod.phase != "Pending":
            if pod.live:
                self.operator.drop_pod(pod, self.now)  # its machine is lost; its owner makes no other one before that
            pod = nodes.pod_after(pod, number)
        elif pod is None and self.habits.pods:
            pod = nodes.pod_of(name, self.habits, number)
        if pod is not None:
            pod = replace(pod, phase="Running", problem=None, unschedulable=False)
            self.operator.show_pod(pod, self.now)
        node = self.nodes[name] = Node(name, pod)
        created = timestamp(self.operator.wall(self.now))
        earlier = before.last if before is not None else None
        self._write(nodes.joins(self.operator.rendezvous, name, number, pod, created, earlier))
        self._gives_up_in_time(node)

    def goes_on(self, node: Node, participant: Participant) -> None:
        """A node that is there already goes on with what it does."""
        self.nodes[node.name], node.last = node, participant
        if node.round and node.starts:
            self._later(node, self.habits.start_seconds, lambda: self._checks_in(node))
        elif not node.round and node.alive:
            self._gives_up_in_time(node)

    def reacts(self, node: Node) -> None:
        """The agent sees the status, and begins what follows from it."""
        mine = self.operator.participant(node.name)
        if not node.acts or mine is None or mine.spec.state is ParticipantState.LEFT:
            return
        status, entry = self.operator.status, self.entry(node)
        if entry is not None and node.round != status.round:
            self._is_admitted(node)
        if node.round:
            asked = status.waiting_nodes > 0 if entry is not None else True
            if asked and not node.stopping:
                node.stopping, node.turn = True, node.turn + 1
                stopped = 0.0 if node.starts else self.habits.stop_seconds
                self._later(node, stopped, lambda: self.join_again(node, AttemptReason.MEMBERSHIP_CHANGE))
            return
        for refusal in status.refused:
            asked_by = (mine.metadata.name, mine.spec.incarnation, mine.spec.attempt)
            if (refusal.name, refusal.incarnation, refusal.attempt) == asked_by:
                self._is_refused(node, refusal)

    def _later(self, node: Node, seconds: float, action: Action) -> None:
        """Do it unless the node has begun something else by then."""
        turn = node.turn

        def act() -> None:
            if node.turn == turn and node.acts and self.nodes.get(node.name) is node:
                action()

        self.at(self.now + seconds, act)

    def _is_admitted(self, node: Node) -> None:
        node.round, node.starts, node.beats = self.operator.status.round, True, None
        node.turn += 1
        self._later(node, self.habits.start_seconds, lambda: self._checks_in(node))

    def _checks_in(self, node: Node) -> None:
        if not self._missing():
            self._runs(node)
        else:
            seconds = max(self.habits.check_in_seconds - self.habits.start_seconds, 0.0)
            self._later(node, seconds, lambda: self._cannot_check_in(node))

    def _missing(self) -> frozenset[str]:
        """The members that do not reach the store of the round: they are the same for all that look now."""
        if self._looked_at != (self.now, self.operator.status.round):
            self._looked_at = (self.now, self.operator.status.round)
            self._away = frozenset(name for name in self._entries if not self._reaches_the_store(name))
        return self._away

    _looked_at: tuple[float, int] = (-1.0, 0)
    _away: frozenset[str] = frozenset()

    def _reaches_the_store(self, name: str) -> bool:
        node = self.nodes.get(name)
        return node is not None and node.alive and node.linked

    def _cannot_check_in(self, node: Node) -> None:
        host = self.operator.status.participants[0].name
        away = self._missing()
        at_store = node.name == host or (node.name not in away and host not in away)
        missing = [name for name in self._entries if name in away and name != host]
        told = tuple(missing[: names.MAX_MISSING]) if at_store else ()
        self.happens(
            node.name, "does not meet all members, joins again", "do not meet all members, join again", Who.NODES
        )
        self.join_again(node, AttemptReason.CHECK_IN_FAILED, CheckIn(node.round, at_store, told), quiet=True)

    def _runs(self, node: Node) -> None:
        mine, entry = self.operator.participant(node.name), self.entry(node)
        if mine is None or entry is None:
            return
        node.starts = False
        self.happens(node.name, f"runs round {node.round}", f"run round {node.round}", Who.NODES)
        self._write(nodes.reports(mine, node.round, entry.rank, self.operator.rendezvous.heartbeat_seconds))

    def join_again(
        self, node: Node, reason: AttemptReason, check_in: CheckIn | None = None, *, quiet: bool = False
    ) -> None:
        """The agent has stopped its workers, and asks for a place in the next round."""
        mine = self.operator.participant(node.name)
        if mine is None:
            return
        if not quiet:
            self.happens(node.name, "joins again", "join again", Who.NODES)
        last = self._last_run(node, mine)
        if not node.starts and node.beats is None:
            self._ends_beats(node, HostState.LEFT)
        node.round, node.starts, node.stopping, node.accuses = 0, False, False, False
        node.turn += 1
        self._write(nodes.joins_again(mine, reason, last, check_in))
        self._gives_up_in_time(node)

    def leave(self, node: Node, reason: LeaveReason) -> None:
        """The agent ends, and says so. Its pod ends with it."""
        mine = self.operator.participant(node.name)
        if mine is not None and node.heard:
            self._write(nodes.leaves(mine, reason, self._last_run(node, mine)))
        if node.beats is None:
            self._ends_beats(node, HostState.LEFT)
        node.alive, node.turn = False, node.turn + 1
        if node.pod is not None and node.pod.leaving is None:
            self._change_pod(node, phase="Succeeded" if reason is LeaveReason.SUCCEEDED else "Failed")

    def die(self, node: Node, how: HostState) -> None:
        """The agent ends without a word. Closed: its connections are closed; Missed: its machine has lost its power."""
        node.alive, node.turn = False, node.turn + 1
        self._ends_beats(node, how)
        if how is HostState.CLOSED:
            self._change_pod(node, phase="Failed")
        seconds = self.habits.workers_fail_seconds
        if seconds is not None and node.round == self.operator.status.round:
            for other in self.nodes.values():
                if other.acts and other.round == node.round and not other.starts:
                    self._later(other, seconds, lambda other=other: self.workers_fail(other))  # type: ignore[misc]

    def workers_fail(self, node: Node) -> None:
        """The workers of a node fail by themselves."""
        if node.round and not node.stopping:
            node.stopping, node.turn = True, node.turn + 1
            self.happens(node.name, "has failed workers", "have failed workers", Who.NODES)
            self._later(node, 0.0, lambda: self.join_again(node, AttemptReason.WORKER_FAILURE))

    def evict(self, node: Node) -> None:
        """The pod of a node is evicted, as by a drain: its agent ends in time, and then the pod is gone."""
        self._change_pod(node, leaving="its pod is being deleted")
        pod = node.pod
        if pod is not None and pod.known:
            self.at(self.now + self.habits.stop_seconds, lambda: self.operator.drop_pod(pod, self.now))
        if node.alive:
            node.stopping, node.turn = True, node.turn + 1
            self._later(node, self.habits.stop_seconds, lambda: self._is_terminated(node))

    def _change_pod(self, node: Node, **changes: Any) -> None:
        """The pod of a node is another one; the operator watches those that have the label."""
        if node.pod is not None:
            node.pod = replace(node.pod, **changes)
            if node.pod.known:
                self.operator.show_pod(node.pod, self.now)

    def _is_terminated(self, node: Node) -> None:
        self.happens(node.name, "leaves", "leave", Who.NODES)
        self.leave(node, LeaveReason.TERMINATED)

    def _ends_beats(self, node: Node, how: HostState) -> None:
        node.beats = (how, self.now)
        self.look_again()

    def look_again(self) -> None:
        """Members see later that beats have ended."""
        for seconds in beats.NOTICED_AFTER.values():
            self.at(self.now + seconds, lambda: None)

    def _is_refused(self, node: Node, refusal: Refusal) -> None:
        succeeded = refusal.reason is RefusalReason.RUN_SUCCEEDED or refusal.closed_reason == "RunSucceeded"
        self.happens(node.name, "has no more to do, leaves", "have no more to do, leave", Who.NODES) if succeeded else (
            self.happens(
                node.name, f"is refused ({refusal.reason}), leaves", f"are refused ({refusal.reason}), leave", Who.NODES
            )
        )
        self.leave(node, LeaveReason.SUCCEEDED if succeeded else LeaveReason.FAILED)

    def _gives_up_in_time(self, node: Node) -> None:
        seconds = self.operator.rendezvous.spec.timeouts.join_seconds
        self._later(node, seconds, lambda: self._gives_up(node))

    def _gives_up(self, node: Node) -> None:
        status = self.operator.status
        gathered = status.formation is not None and status.formation.reason is FormationReason.GATHERING
        suspended = self.operator.rendezvous.spec.suspend
        held_out = any(entry.name == node.name for entry in status.held_out)
        if node.name in status.spares or gathered or held_out or suspended:
            return
        self.happens(node.name, "gives up waiting", "give up waiting", Who.NODES)
        self.leave(node, LeaveReason.TIMED_OUT)

    def _last_run(self, node: Node, mine: Participant) -> str | None:
        if node.round and self.operator.status.history:
            return next(
                (record.run_id for record in self.operator.status.history if record.round == node.round),
                mine.spec.last_run_id,
            )
        return mine.spec.last_run_id

    def _write(self, participant: Participant) -> None:
        self.nodes[participant.metadata.name].last = participant
        self.operator.show(participant, self.now)
