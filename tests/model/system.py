"""The whole system: an API server, operators, agents, their pods, users, and time, each with a view of its own.

`System.do` carries out one action; an action that is not possible now does nothing, so any part of a list of actions is
one, too. After each action the safety rules hold (`safety`); a breach raises `ViolationError`.
"""

from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from tests.model.api_server import KINDS, ApiServer, Json
from tests.model.operator import DEFECTS, KEY, Operator
from tests.model.safety import Safety
from tests.support.specs import in_groups

from rendezvous_api import names
from rendezvous_api.codec import decode
from rendezvous_api.participant import ParticipantSpec
from rendezvous_api.reasons import AttemptReason, ParticipantState
from rendezvous_api.rendezvous import Rendezvous
from rendezvous_handler.agent.rendezvous_watch import is_newer, only_about
from rendezvous_handler.join.answer import Attempt, Membership, answer, nodes_waiting

Action = tuple[Any, ...]


class ViolationError(AssertionError):
    """A safety rule is broken."""


BEAT_SECONDS = 5
OFF, WAITS, CHECKS_IN, TRAINS = "is off", "waits", "checks in", "trains"


@dataclass
class Agent:
    """One node: its process, and what it knows."""

    name: str
    process: str = OFF
    life: int = 0
    attempt: int = 0
    membership: Membership | None = None
    view: Rendezvous | None = None
    cursor: int = 0
    cut: bool = False
    """Its path to the API server is broken; that to the other agents is not."""
    beats_every: int = BEAT_SECONDS
    beats: list[float] = field(default_factory=list)
    """When its heartbeats reached the API server."""
    cut_since: float | None = None

    @property
    def incarnation(self) -> str:
        return f"i{self.life:07}"

    @property
    def beat_at(self) -> float:
        """When the last one did."""
        return self.beats[-1] if self.beats else 0.0

    def last_beat_before(self, moment: float) -> float:
        """When the last one until that moment did."""
        return self.beats[bisect_right(self.beats, moment) - 1]

    @property
    def runs(self) -> bool:
        """Whether its workers run, or will as soon as all have checked in."""
        return self.process in (CHECKS_IN, TRAINS)


@dataclass(frozen=True)
class Setup:
    """What there is and what may happen."""

    agents: int = 2
    operators: int = 1
    min_nodes: int = 2
    max_nodes: int = 2
    lags: bool = True
    fails: bool = True
    cuts: bool = False
    unlabels: bool = False
    deletes_pods: bool = False
    requests: bool = False
    edits: bool = False
    spec: tuple[tuple[str, int], ...] = (("last_call_seconds", 5), ("replacement_seconds", 5))

    @property
    def names(self) -> list[str]:
        return [f"train.{letter}" for letter in "abcdef"[: self.agents]]


@dataclass
class System:
    """One system, from its start."""

    setup: Setup
    now: float = 10_000.0
    story: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.server = ApiServer()
        limits = {"minNodes": self.setup.min_nodes, "maxNodes": self.setup.max_nodes}
        spec = in_groups({_camel(name): value for name, value in self.setup.spec})
        self.server.create(names.RENDEZVOUS_KIND, KEY.name, {"spec": {**limits, **spec}, "status": {}})
        self.agents = {name: Agent(name) for name in self.setup.names}
        for name in self.agents:
            self._new_pod(name)
        self.safety = Safety(self)
        self.operators = [
            Operator(self.server, lambda: self.now, self.safety.written, self.safety.deleted)
            for _ in range(self.setup.operators)
        ]

    # What may happen.

    def possible(self) -> Iterator[Action]:
        """Every action that does something now."""
        yield from self.inner()
        setup = self.setup
        for name, agent in self.agents.items():
            if agent.process != OFF:
                yield ("dies", name)
                if not agent.cut:
                    yield ("fails", name)
            elif self.server.find(names.POD_KIND, name) is not None:
                yield ("starts", name)
            if setup.cuts:
                yield ("heals" if agent.cut else "is cut off", name)
            pod = self.server.find(names.POD_KIND, name)
            if setup.unlabels and pod is not None and pod["metadata"]["labels"]:
                yield ("loses its label", name)
            if setup.deletes_pods:
                yield ("gets a pod", name) if pod is None else ("loses its pod", name)
        for number, operator in enumerate(self.operators):
            if setup.fails and operator.pending is not None:
                yield ("no answer", number)
                yield ("lost answer", number)
            if setup.lags:
                yield from (("relists", number, kind) for kind in KINDS)
        if setup.requests:
            yield ("asks for a round",)
        for seconds in (1, 16, 60):
            yield ("time", seconds)

    def inner(self) -> Iterator[Action]:
        """What operators and agents do as soon as they can."""
        for name, agent in self.agents.items():
            if agent.process != OFF and not agent.cut and agent.cursor < len(self.server.log[names.RENDEZVOUS_KIND]):
                yield ("sees", name)
            if self._acts(agent):
                yield ("acts", name)
        for number, operator in enumerate(self.operators):
            if operator.pending is not None:
                yield ("answer", number)
            elif operator.due_at is not None and operator.due_at <= self.now:
                yield ("decides", number)
            for kind in KINDS:
                if operator.cursors[kind] < len(self.server.log[kind]):
                    yield ("receives", number, kind)

    def do(self, action: Action) -> None:
        """Carry out an action, if it is possible.

        Raises:
            ViolationError: a safety rule is broken now.
        """
        what, *where = action
        self.story.append(f"{self.now - 10_000:6.0f} s: {' '.join(map(str, (*where, what)))}")
        if what == "time":
            self._time(where[0])
        elif what == "asks for a round":
            found = self.server.find(names.RENDEZVOUS_KIND, KEY.name)
            assert found is not None
            annotations = {names.ANNOTATION_RESTART_REQUESTED_AT: str(self.server.version)}
            self.server.change(
                names.RENDEZVOUS_KIND, KEY.name, metadata={**found["metadata"], "annotations": annotations}
            )
        elif isinstance(where[0], int):
            self._operator(what, self.operators[where[0]], *where[1:])
        else:
            self._agent(what, self.agents[where[0]])
        if DEFECTS.found:
            defect = DEFECTS.found[0]
            DEFECTS.found.clear()
            raise ViolationError(f"a decision fails: {defect}")
        if self.safety.broken:
            raise ViolationError(self.safety.broken[0])

    def _operator(self, what: str, operator: Operator, kind: str = "") -> None:
        if what == "decides" and operator.pending is None:
            operator.begins()
        elif what == "answer":
            operator.answered()
        elif what in ("no answer", "lost answer"):
            operator.fails(carried_out=what == "lost answer")
        elif what == "receives":
            operator.receives(kind)
        elif what == "relists":
            operator.relist(kind)

    def _agent(self, what: str, agent: Agent) -> None:
        pod = self.server.find(names.POD_KIND, agent.name)
        if what == "starts" and agent.process == OFF and pod is not None:
            agent.life += 1
            agent.attempt, agent.membership, agent.cut, agent.cut_since = 0, None, False, None
            self._look(agent)
            self._join(agent, AttemptReason.START)
        elif what == "dies":
            agent.process, agent.membership = OFF, None
        elif what == "fails" and agent.runs and not agent.cut:
            self._join(agent, AttemptReason.WORKER_FAILURE)
        elif what == "is cut off" and not agent.cut:
            agent.cut, agent.cut_since = True, self.now
        elif what == "heals" and agent.cut:
            agent.cut, agent.cut_since = False, None
            self._look(agent)
        elif what == "sees" and agent.process != OFF and not agent.cut:
            self._see_next(agent)
        elif what == "acts" and self._acts(agent):
            self._act(agent)
        elif what == "loses its label" and pod is not None:
            self.server.unlabel(agent.name)
        elif what == "loses its pod" and pod is not None:
            agent.process, agent.membership = OFF, None
            self.server.delete(names.POD_KIND, agent.name)
            if self.server.find(names.PARTICIPANT_KIND, agent.name) is not None:
                self.server.delete(names.PARTICIPANT_KIND, agent.name)
        elif what == "gets a pod" and pod is None:
            self._new_pod(agent.name)

    # Agents.

    def _new_pod(self, name: str) -> None:
        status = {"status": {"phase": "Running"}}
        self.server.create(names.POD_KIND, name, status, labels={names.LABEL_RENDEZVOUS: KEY.name})

    def _look(self, agent: Agent) -> None:
        """It lists the Rendezvous."""
        found = self.server.find(names.RENDEZVOUS_KIND, KEY.name)
        assert found is not None
        agent.view = decode(Rendezvous, only_about(found, agent.name))
        agent.cursor = len(self.server.log[names.RENDEZVOUS_KIND])

    def _see_next(self, agent: Agent) -> None:
        log = self.server.log[names.RENDEZVOUS_KIND]
        if agent.cursor < len(log):
            shown = decode(Rendezvous, only_about(log[agent.cursor].item, agent.name))
            agent.cursor += 1
            if is_newer(agent.view, shown):
                agent.view = shown

    def _attempt(self, agent: Agent) -> Attempt:
        assert agent.view is not None
        return Attempt(agent.name, self._spec(agent, agent.view.metadata.uid, AttemptReason.START))

    def _spec(self, agent: Agent, uid: str, reason: AttemptReason) -> ParticipantSpec:
        return ParticipantSpec(
            KEY.name, uid, agent.name, agent.incarnation, agent.attempt, reason, "h", 1, ParticipantState.JOINED, "run"
        )

    def _answer(self, agent: Agent) -> Membership | None:
        if agent.view is None:
            return None
        found = answer(agent.view, self._attempt(agent))
        return found if isinstance(found, Membership) else None

    def _all_check_in(self, membership: Membership) -> bool:
        here = [agent for agent in self.agents.values() if agent.runs and agent.membership is not None]
        same = [agent for agent in here if agent.membership and agent.membership.round == membership.round]
        return len(same) == membership.nodes

    def _acts(self, agent: Agent) -> bool:
        """Whether what it knows makes it do something. It talks to the others also if it is cut off."""
        if agent.process == WAITS:
            return self._answer(agent) is not None
        if agent.process == OFF or agent.membership is None:
            return False
        asked = nodes_waiting(agent.view, agent.membership, name_lost=False) > 0
        if asked:
            return not agent.cut
        return agent.process == CHECKS_IN and self._all_check_in(agent.membership)

    def _act(self, agent: Agent) -> None:
        if agent.process == WAITS:
            agent.membership, agent.process = self._answer(agent), CHECKS_IN
        elif nodes_waiting(agent.view, agent.membership, name_lost=False) > 0:
            self._join(agent, AttemptReason.MEMBERSHIP_CHANGE)
        else:
            agent.process = TRAINS

    def _join(self, agent: Agent, reason: AttemptReason) -> None:
        """It asks for a place; its write needs its path, so the callers see to that."""
        assert agent.view is not None
        agent.process, agent.membership = WAITS, None
        agent.attempt += 1
        pod = self.server.find(names.POD_KIND, agent.name)
        assert pod is not None
        spec: Json = {
            "rendezvousName": KEY.name,
            "rendezvousUID": agent.view.metadata.uid,
            "nodeID": agent.name,
            "incarnation": agent.incarnation,
            "attempt": agent.attempt,
            "attemptReason": reason.value,
            "address": "h",
            "storePort": 1,
            "state": "Joined",
            "runID": "run",
            "podName": agent.name,
            "podUID": pod["metadata"]["uid"],
        }
        if self.server.find(names.PARTICIPANT_KIND, agent.name) is None:
            owner = {"apiVersion": "v1", "kind": "Pod", "name": agent.name, "uid": pod["metadata"]["uid"]}
            self.server.create(
                names.PARTICIPANT_KIND, agent.name, {"spec": spec, "status": {}}, ownerReferences=[owner]
            )
        else:
            self.server.change(names.PARTICIPANT_KIND, agent.name, spec=spec)
        agent.beats.append(self.now)

    def _beat(self, agent: Agent) -> None:
        if agent.process == OFF or agent.cut or self.now - agent.beat_at < agent.beats_every:
            return
        if self.server.find(names.PARTICIPANT_KIND, agent.name) is None:
            return
        status: Json = {
            "incarnation": agent.incarnation,
            "attempt": agent.attempt,
            "round": agent.membership.round if agent.membership and agent.process == TRAINS else 0,
            "heartbeatTime": f"at {self.now}",
            "intervalSeconds": BEAT_SECONDS,
        }
        self.server.change(names.PARTICIPANT_KIND, agent.name, status=status)
        agent.beats.append(self.now)

    def _time(self, seconds: float) -> None:
        end = self.now + seconds
        while self.now < end:
            self.now = min(end, self.now + BEAT_SECONDS)
            for agent in self.agents.values():
                self._beat(agent)


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(part.title() for part in rest)
