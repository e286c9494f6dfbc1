"""The whole system: an API server, operators, agents, their pods, users, and time, each with a view of its own.

`System.do` carries out one action; an action that is not possible now does nothing, so any part of a list of actions is
one, too. After each action the safety rules hold (`safety`); a breach raises `ViolationError`.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import combinations, permutations
from typing import Any

from tests.model import users
from tests.model.agent import CHECKS_IN, OFF, TRAINS, Agent
from tests.model.api_server import KINDS, ApiServer, Json
from tests.model.machines import DOWN, MARKS, NO_RACK, OTHER_RACK, RACK, WELL, Machines
from tests.model.operator import DEFECTS, KEY, Operator, Reads
from tests.model.peers import ACCUSES, VOUCHES, SecondPath
from tests.model.safety import Safety
from tests.model.stores import Stores
from tests.model.story import sentence
from tests.support.specs import in_groups

from rendezvous_api import names
from rendezvous_api.codec import json_name
from rendezvous_api.reasons import LeaveReason

Action = tuple[Any, ...]

FAILURES = {"is refused (429)": (429, False), "gets no answer": (500, False), "loses its answer": (0, True)}
"""What a request may end with: its code, and whether it is carried out."""

GROUP_KEY = "example.com/rack"
"""The label of replacement groups."""

_PATHS = ("is cut off", "cannot write", "cannot read", "is reached again", "writes again", "reads again")


class ViolationError(AssertionError):
    """A safety rule is broken."""


@dataclass(frozen=True)
class Setup:
    """What there is and what may happen."""

    agents: int = 2
    operators: int = 1
    min_nodes: int = 2
    max_nodes: int = 2
    may: frozenset[str] = frozenset({"lags", "fails"})
    """Groups of actions, see `System.possible` and `users`."""
    elects: bool = False
    """One of the operators is the leader."""
    runs: tuple[str, ...] = ("run",)
    """The agents belong to them in turn."""
    releases: tuple[str, ...] = ("this",)
    """The same for the releases of their handlers: older, this, newer, unreadable."""
    peers: bool = False
    """The members of a round beat to its rank 0; an older handler does not know that."""
    racks: tuple[str, ...] = ()
    """The machines of the agents are in them in turn, and ranks are given by that; empty: machines have no racks."""
    segment: int | None = None
    """Only so many nodes of one rack together take part."""
    spec: tuple[tuple[str, int | str], ...] = (("last_call_seconds", 5), ("replacement_seconds", 5))
    groups: int = 0
    """The nodes of each replacement group, in the order of their names, by labels of their pods; 0: there are none."""

    @property
    def names(self) -> list[str]:
        """Of the agents."""
        return [f"train.{letter}" for letter in "abcdefgh"[: self.agents]]

    def group_of(self, name: str) -> str:
        """The replacement group of an agent; only if there are some."""
        return f"rack-{self.names.index(name) // self.groups}"


@dataclass
class System:
    """One system, from its start."""

    setup: Setup
    now: float = 10_000.0
    story: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        setup = self.setup
        self.server = ApiServer()
        self.safety = Safety(self)
        self.stores = Stores(self)
        self.path = SecondPath(self)
        self.machines = Machines() if {"machines", "marks"} & setup.may or setup.racks else None
        self.parted: set[frozenset[str]] = set()
        """Pairs of nodes that do not reach each other."""
        self.agents: dict[str, Agent] = {}
        self.ghosts: dict[str, Agent] = {}
        """Processes whose pods were deleted by force, by a name of their own."""
        self.ends_by: dict[str, float] = {}
        """By the UID of a pod that is deleted: when it ought to have ended."""
        self.requested = 0
        groups = {"group_key": GROUP_KEY, "group_size": setup.groups} if setup.groups else {}
        settings = {json_name(name): value for name, value in (*groups.items(), *setup.spec)}
        self.spec: Json = {"minNodes": setup.min_nodes, "maxNodes": setup.max_nodes, **in_groups(settings)}
        if setup.racks and self.machines is not None:
            segment = {} if setup.segment is None else {"segmentSize": setup.segment}
            self.spec["ranks"] = {"policy": "Topology", "keys": [RACK], **segment}
            racks = (setup.racks[number % len(setup.racks)] for number in range(setup.agents))
            self.machines.racks = {name: [rack] for name, rack in zip(setup.names, racks, strict=True)}
        self.server.create(names.RENDEZVOUS_KIND, KEY.name, {"spec": self.spec, "status": {}})
        for number, name in enumerate(setup.names):
            run, release = (of[number % len(of)] for of in (setup.runs, setup.releases))
            path = self.path if setup.peers else None
            self.agents[name] = Agent(name, self.server, lambda: self.now, run, release, path)
            self.new_pod(name)
        self.operators = [Operator(self, leads=not setup.elects or not number) for number in range(setup.operators)]
        self.term = 1

    def written(self, before: Json, after: Json, reads: Reads) -> None:
        """See `Safety`."""
        self.safety.written(before, after, reads)

    def deleted(self, item: Json) -> None:
        """See `Safety`."""
        self.safety.deleted(item)

    @property
    def processes(self) -> dict[str, Agent]:
        """Of agents and ghosts."""
        return {**self.agents, **self.ghosts} if self.ghosts else self.agents

    def meet(self, one: str, other: str) -> bool:
        """Whether two nodes reach each other."""
        return one == other or frozenset((one, other)) not in self.parted

    # What may happen.

    def possible(self) -> Iterator[Action]:
        """Every action that does something now."""
        yield from self.inner()
        may = self.setup.may
        for key, agent in self.processes.items():
            yield from self._possible_for(key, agent)
        if "parts" in may:
            for one, other in combinations(self.agents, 2):
                yield ("meets" if not self.meet(one, other) else "loses sight", one, other)
        if "deafens" in may:
            for one, other in permutations(self.agents, 2):
                yield ("beats come again" if (one, other) in self.path.lost else "beats are lost", one, other)
        yield from users.possible(self)
        for number, operator in enumerate(self.operators):
            if operator.asleep_since is not None:
                yield ("wakes", number)
                continue
            if "fails" in may and operator.pending is not None:
                yield from ((failure, number) for failure in FAILURES)
            if "lags" in may:
                yield from (("lists", number, kind) for kind in KINDS)
            if "restarts" in may:
                yield ("restarts", number)
            if "sleeps" in may:
                yield ("sleeps", number)
            if self.setup.elects and operator.term is None:
                yield ("gets the Lease", number)
        for seconds in (1, 4, 11, 16, 60) if self.setup.peers else (1, 16, 60):
            yield ("time", seconds)

    def _possible_for(self, key: str, agent: Agent) -> Iterator[Action]:
        may = self.setup.may
        if not agent.alive:
            if key in self.agents and self.server.find(names.POD_KIND, agent.name) is not None:
                yield ("starts", key)
            return
        yield ("dies", key)
        if agent.process in (CHECKS_IN, TRAINS) and not agent.paused:
            yield ("fails", key)
        if agent.process == TRAINS and "ends" in may:
            yield ("succeeds", key)
        if "ends" in may:
            yield ("is terminated", key)
        if "sickens" in may and agent.release == "this":
            yield ("is healthy again" if agent.sick else "is unhealthy", key)
        if "pauses" in may:
            yield ("goes on" if agent.paused else "is paused", key)
        if "relabels" in may:
            yield from ((OTHER_RACK, key), (NO_RACK, key))
        if self.machines is not None and ("machines" in may or "marks" not in may):
            yield (WELL if self.machines.is_down(agent.name) else DOWN, key)
        if self.machines is not None and "marks" in may:
            yield from ((mark, key) for mark in MARKS if mark != self.machines.mark_of(agent.name))
        if "powers" in may:
            yield ("loses its power", key)
        if "bars" in may:
            yield ("can connect again" if agent.name in self.path.barred else "loses its connections", key)
        if "lies" in may:
            yield from ((lie, key) for lie in (ACCUSES, VOUCHES, "says what it knows") if lie != agent.lies)
        if "cuts" in may:
            yield ("is reached again" if not (agent.reads and agent.writes) else "is cut off", key)
        if "splits" in may:
            yield ("writes again" if not agent.writes else "cannot write", key)
            yield ("reads again" if not agent.reads else "cannot read", key)
        if "fails" in may and agent.writes and not agent.client.loses_next_answer:
            yield ("will lose an answer", key)

    def inner(self) -> Iterator[Action]:
        """What operators, agents and the API server do as soon as they can."""
        for key, agent in self.processes.items():
            if agent.can_see:
                yield ("sees", key)
            if agent.acts(self.stores) is not None:
                yield ("acts", key)
        for number, operator in enumerate(self.operators):
            if operator.asleep_since is not None:
                continue
            if operator.cache.restored is not None:
                yield ("begins again", number)
                continue
            if operator.pending is not None:
                yield ("answer", number)
            elif operator.due:
                yield ("decides", number)
            for kind in KINDS:
                if operator.can_receive(kind):
                    yield ("receives", number, kind)
            if operator.term not in (None, self.term):
                yield ("learns of another leader", number)
        if users.orphaned(self):
            yield ("collects garbage",)

    def do(self, action: Action) -> None:
        """Carry out an action, if it is possible.

        Raises:
            ViolationError: a safety rule is broken now.
        """
        what, *where = action
        self.story.append(f"{self.now - 10_000:6.0f} s  {sentence(action)}")
        if what == "time":
            self._time(where[0])
        elif what in ("meets", "loses sight"):
            (self.parted.discard if what == "meets" else self.parted.add)(frozenset(where))
        elif what in ("beats are lost", "beats come again"):
            (self.path.lost.add if what == "beats are lost" else self.path.lost.discard)((where[0], where[1]))
        elif where and isinstance(where[0], int) and what != "edits":
            self._operator(what, where[0], self.operators[where[0]], *where[1:])
        elif where and where[0] in self.processes and what not in users.OF_PODS:
            self._agent(what, self.processes[where[0]])
        else:
            users.do(self, action)
        self.stores.look()
        self.check()

    def check(self) -> None:
        """Raises a `ViolationError` if a rule is broken."""
        if DEFECTS.found:
            defect = DEFECTS.found[0]
            DEFECTS.found.clear()
            raise ViolationError(f"a decision fails: {defect}")
        if self.safety.broken:
            raise ViolationError(self.safety.broken[0])

    def _operator(self, what: str, number: int, operator: Operator, kind: str = "") -> None:
        if what == "wakes":
            operator.wakes()
        if operator.asleep_since is not None:
            return
        if what == "decides":
            operator.begins()
        elif what == "answer":
            operator.answered()
        elif what in FAILURES:
            code, carried_out = FAILURES[what]
            operator.fails(code, carried_out=carried_out)
        elif what == "receives":
            operator.receives(kind)
        elif what == "lists":
            operator.relist(kind)
        elif what in ("restarts", "begins again"):
            if what == "restarts" or operator.cache.restored is not None:
                operator.restarts()
        elif what == "sleeps":
            operator.sleeps()
        elif what == "gets the Lease" and operator.term is None:
            self.term += 1
            operator.leads(self.term)
            for other in self.operators:
                if other is not operator and other.term is not None and other.asleep_since is None:
                    other.follows()  # its clock goes, so it has given up before
        elif what == "learns of another leader" and operator.term not in (None, self.term):
            operator.follows()

    def _agent(self, what: str, agent: Agent) -> None:
        if what == "starts" and agent.process == OFF:
            pod = self.server.find(names.POD_KIND, agent.name)
            if pod is not None:
                self.path.boots(agent.name)
                agent.starts(pod["metadata"]["uid"])
        elif what in _PATHS:
            self._path(what, agent)
        elif what in (DOWN, WELL):
            if self.machines is not None:
                self.machines.reports(agent.name, self.now, down=what == DOWN)
        elif what in (OTHER_RACK, NO_RACK):
            if self.machines is not None:
                self.machines.gets_label(agent.name, lost=what == NO_RACK)
        elif what in MARKS:
            if self.machines is not None:
                self.machines.marks(agent.name, what)
        elif what in ("loses its connections", "can connect again"):
            self.path.barred.discard(agent.name) if what == "can connect again" else self.path.bars(agent)
        elif what in (ACCUSES, VOUCHES, "says what it knows"):
            agent.lies = what if what != "says what it knows" else ""
        elif not agent.alive:
            return
        elif what == "loses its power":
            agent.loses_power()
        elif what == "dies":
            agent.dies()
        elif what == "fails" and agent.process in (CHECKS_IN, TRAINS) and not agent.paused:
            agent.fails(self.stores)
        elif what == "succeeds" and agent.process == TRAINS and not agent.paused:
            agent.leaves(LeaveReason.SUCCEEDED)
        elif what == "is terminated" and not agent.paused:
            agent.leaves(LeaveReason.TERMINATED)
        elif what == "sees" and agent.can_see:
            agent.sees()
        elif what == "acts":
            act = agent.acts(self.stores)
            if act is not None:
                act()
        elif what in ("is unhealthy", "is healthy again"):
            agent.sick = what == "is unhealthy"
        elif what in ("is paused", "goes on"):
            agent.paused = what == "is paused"
        elif what == "will lose an answer":
            agent.client.loses_next_answer = True

    def _path(self, what: str, agent: Agent) -> None:
        if what in ("is cut off", "cannot write"):
            agent.writes = False
        if what in ("is cut off", "cannot read") and agent.reads:
            agent.reads, agent.unread_since = False, self.now
        if what in ("is reached again", "writes again"):
            agent.writes = True
        if what in ("is reached again", "reads again"):
            agent.reads = True

    def new_pod(self, name: str) -> None:
        """A pod with the label."""
        status = {"status": {"phase": "Running"}}
        self.server.create(names.POD_KIND, name, status, labels=self.labels_of(name))

    def labels_of(self, name: str) -> dict[str, str]:
        """Of the pod of an agent."""
        group = {GROUP_KEY: self.setup.group_of(name)} if self.setup.groups else {}
        return {names.LABEL_RENDEZVOUS: KEY.name, **group}

    def _time(self, seconds: float) -> None:
        end = self.now + seconds
        while self.now < end:
            self.now = min(end, self.now + 1)
            if self.setup.peers:
                self.path.goes_on()
            for agent in self.processes.values():
                if agent.time_passes() and agent.gives_up():
                    self._check_that_it_was_to_give_up(agent)
                if agent.checks_in and not agent.paused and self.now >= agent.check_in_ends_at:
                    agent.fails(self.stores, timed_out=True)
            self.stores.look()

    def _check_that_it_was_to_give_up(self, agent: Agent) -> None:
        found = self.server.find(names.RENDEZVOUS_KIND, KEY.name)
        assert found is not None
        self.story.append(f"{self.now - 10_000:6.0f} s  {agent.name} gives up: its join timeout has passed.")
        if found["spec"].get("suspend") or agent.name in found["status"].get("spares", ()):
            self.safety.broken.append(f"L4: {agent.name} was told to wait, and runs out of time")
