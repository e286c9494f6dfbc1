"""The second path of the model: the handler's own judge and view, over connections that break one way and end.

A connection has a line of what was sent for each end. What is sent waits there until the way to the other end is open
and that process runs: a kernel keeps it, and sends it again. Once a second each member beats, the host reads and
answers, and the members read the answers.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from rendezvous_api import ranks
from rendezvous_api.participant import PeerEvidence, PeerReport
from rendezvous_api.reasons import HostState
from rendezvous_handler.peers.haste import HostHaste, MemberHaste
from rendezvous_handler.peers.judge import Judge
from rendezvous_handler.peers.member import MOST_UNANSWERED
from rendezvous_handler.peers.thread import PAUSE_SECONDS
from rendezvous_handler.peers.view import UNANSWERED, View
from rendezvous_handler.peers.wire import Beat

if TYPE_CHECKING:
    from tests.model.agent import Agent
    from tests.model.system import System

BEAT, FAREWELL, CLOSED = "beat", "farewell", "closed"
ACCUSES, VOUCHES = "accuses all others", "vouches for all others"
"""What a sick agent says of the others, whatever comes from them."""
_LIES_FROM = 100_000
"""The numbers of its reports: greater than all true ones."""

RoundKey = tuple[str, int, tuple[tuple[str, str, int], ...]]
"""UID of the Rendezvous, number and members of the round."""


class Answer(NamedTuple):
    """What the host says to a beat."""

    report: PeerReport | None
    passes_on: int | None


@dataclass(eq=False)
class Connection:
    """Between the processes of a member and of the host of its round."""

    member: Agent
    host: Agent
    rank: int
    to_host: list[tuple[str, Beat | None]] = field(default_factory=list)
    """What was sent, and what a beat says."""
    to_member: list[str | Answer] = field(default_factory=list)


class _Turns:
    """When a thread had its last turn."""

    def __init__(self, now: float) -> None:
        self.last = now

    def paused_for(self, now: float) -> float:
        """For how long it was stopped; 0: it was not."""
        seconds, self.last = now - self.last, now
        return seconds if seconds > PAUSE_SECONDS else 0.0


class Host:
    """The end at the agent of rank 0."""

    def __init__(self, agent: Agent, key: RoundKey) -> None:
        self._agent = agent
        self.key = key
        self.judge = Judge(len(key[2]))
        self.haste = HostHaste()
        self.connections: dict[int, Connection] = {}
        self.report: PeerReport | None = None
        self._turns = _Turns(agent.now())

    def evidence(self) -> PeerEvidence | None:
        """What a heartbeat says."""
        return None if self.report is None else PeerEvidence(report=self.report)

    def turn(self, path: SecondPath) -> None:
        """Read all beats, answer them, and judge anew."""
        now = self._agent.now()
        if paused := self._turns.paused_for(now):
            self.judge.paused(now, paused)
        answer = Answer(self.report, self.judge.passes_on(now, self._agent.heartbeats.arrive))
        for rank, connection in tuple(self.connections.items()):
            if path.carries(connection.member.name, self._agent.name):
                self._read(rank, connection, answer, now)
        self.report = _as_said(self._agent.lies, self.judge.report(now), len(self.key[2]))
        if self.haste.is_due(now, self.report, self._agent.confirm_seconds, self.judge.accusers(now)):
            self._agent.heartbeats.hasten(0.0)

    def _read(self, rank: int, connection: Connection, answer: Answer, now: float) -> None:
        lines, connection.to_host = connection.to_host, []
        for what, said in lines:
            if said is not None:
                self.judge.beat(rank, now, said.arrives, said.unanswered)
                connection.to_member[:] = [line for line in connection.to_member if isinstance(line, str)]
                connection.to_member.append(answer)
            elif what == FAREWELL:
                self.judge.farewell(rank, now)
            else:
                self.judge.closed(rank, now)
                if self.connections.get(rank) is connection:
                    del self.connections[rank]

    @property
    def heard(self) -> bool:
        """The others have no other way to know."""
        return False

    def ends(self, last_words: str | None) -> Iterator[Connection]:
        """It has no connections any more; None: without a sign."""
        for connection in self.connections.values():
            if last_words is not None:
                connection.to_member.append(last_words)
            yield connection

    def state(self) -> object:
        """All that decides how it goes on."""
        now = self._agent.now()
        lines = [(rank, *map(str, (one.to_host, one.to_member))) for rank, one in self.connections.items()]
        return (self.key, self.report, self.judge.changes_at(now), lines, self._turns.last)


class Member:
    """The end at any other agent."""

    def __init__(self, agent: Agent, key: RoundKey, rank: int) -> None:
        self._agent = agent
        self._rank = rank
        self.key = key
        self.view = View(rank)
        self.haste = MemberHaste(len(key[2]))
        self.connection: Connection | None = None
        self._unanswered = 0
        self._turns = _Turns(agent.now())

    def evidence(self) -> PeerEvidence | None:
        """What a heartbeat says."""
        evidence = self.view.evidence(self._agent.now())
        if not self._agent.lies or evidence.host is HostState.NOT_CONNECTED:
            return evidence
        host = HostState.MISSED if self._agent.lies == ACCUSES else HostState.ANSWERS
        return PeerEvidence(host, _as_said(self._agent.lies, PeerReport(0), len(self.key[2]), self._rank))

    def beats(self, path: SecondPath) -> None:
        """Connect if there is no connection, and send a beat."""
        now = self._agent.now()
        if paused := self._turns.paused_for(now):
            self.view.paused(now, paused)
        self._read(path, now)
        if self.connection is None:
            self.connection, self._unanswered = path.connected(self._agent, self.key, self._rank), 0
        if self.connection is not None and self._unanswered < MOST_UNANSWERED:
            self._unanswered += 1
            said = Beat(self._agent.heartbeats.arrive, self.view.state(now) in UNANSWERED)
            self.connection.to_host.append((BEAT, said))

    def turn(self, path: SecondPath) -> None:
        """Read all answers, and hasten the next heartbeat if they say something new."""
        now = self._agent.now()
        self._read(path, now)
        within = self.haste.within(now, self.view, self._agent.confirm_seconds)
        if within is not None:
            self._agent.heartbeats.hasten(within)

    def _read(self, path: SecondPath, now: float) -> None:
        connection = self.connection
        if connection is None or not path.carries(connection.host.name, self._agent.name):
            return
        lines, connection.to_member = connection.to_member, []
        for line in lines:
            if isinstance(line, Answer):
                self._unanswered = 0
                relayed = line.passes_on is not None
                self.view.answered(now, line.report, line.passes_on == self._rank, relayed)
            elif line == FAREWELL:
                self.view.farewell(now)
            else:
                self.view.closed(now)
                self.connection = None

    @property
    def heard(self) -> bool:
        """By the host."""
        return self.view.is_heard(self._agent.now())

    def ends(self, last_words: str | None) -> Iterator[Connection]:
        """It has no connection any more; None: without a sign."""
        if self.connection is not None:
            if last_words is not None:
                self.connection.to_host.append((last_words, None))
            yield self.connection

    def state(self) -> object:
        """All that decides how it goes on."""
        now, connection = self._agent.now(), self.connection
        lines = (str(connection.to_host), str(connection.to_member)) if connection is not None else None
        return (self.key, self.view.evidence(now), self.view.is_accused, self.view.changes_at(now), lines)


def _as_said(lies: str, report: PeerReport | None, nodes: int, liar: int = 0) -> PeerReport | None:
    """What a sick agent says in the place of that."""
    if not lies or report is None:
        return report
    others = [rank for rank in range(1, nodes) if rank != liar]
    return PeerReport(_LIES_FROM + report.number, missed=ranks.to_text(others) if lies == ACCUSES else "")


class SecondPath:
    """All connections between the members of rounds."""

    def __init__(self, system: System) -> None:
        self._system = system
        self.lost: set[tuple[str, str]] = set()
        """Pairs of nodes: nothing that the first one sends on this path comes to the other one."""
        self.barred: set[str] = set()
        """Nodes that can open no connection."""
        self._dark: dict[str, list[tuple[Connection, bool]]] = {}
        """By node: connections of machines that have lost their power, and whether that was the machine of the host."""

    def carries(self, one: str, other: str) -> bool:
        """Whether what one node sends comes to the other one."""
        return self._system.meet(one, other) and (one, other) not in self.lost

    def begins(self, agent: Agent) -> Host | Member | None:
        """The end of an agent whose workers begin to run; None: it has none."""
        membership = agent.membership
        assert membership is not None
        members = self._system.safety.rounds[membership.uid, membership.round].members
        if not agent.has_peers or len(members) < 2:
            return None
        of = tuple((member.name, member.incarnation, member.attempt) for member in members)
        key = (membership.uid, membership.round, of)
        return Member(agent, key, membership.rank) if membership.rank else Host(agent, key)

    def connected(self, agent: Agent, key: RoundKey, rank: int) -> Connection | None:
        """A new connection, if the host can be reached and serves this round."""
        for host in self._system.processes.values():
            end = host.peers
            if isinstance(end, Host) and end.key == key and self._meet(agent, host):
                connection = Connection(agent, host, rank)
                end.connections[rank] = connection
                return connection
        return None

    def goes_on(self) -> None:
        """A second has passed: beats and answers."""
        running = [agent for agent in self._system.processes.values() if agent.alive and not agent.paused]
        hosts = [agent.peers for agent in running if isinstance(agent.peers, Host)]
        members = [agent.peers for agent in running if isinstance(agent.peers, Member)]
        for member in members:
            member.beats(self)
        for host in hosts:
            host.turn(self)
        for member in members:
            member.turn(self)

    def bars(self, agent: Agent) -> None:
        """Something beside this agent closes all its connections, at both ends, and lets it open no other ones."""
        self.barred.add(agent.name)
        end = agent.peers
        found = [] if end is None else [*end.connections.values()] if isinstance(end, Host) else [end.connection]
        for connection in found:
            if connection is not None:
                connection.to_host.append((CLOSED, None))
                connection.to_member.append(CLOSED)

    def loses_power(self, agent: Agent) -> None:
        """Nothing closes the connections of this machine."""
        end = agent.peers
        for connection in end.ends(None) if end is not None else ():
            self._dark.setdefault(agent.name, []).append((connection, isinstance(end, Host)))

    def boots(self, name: str) -> None:
        """A machine that has its power again does not know the connections that it had."""
        for connection, at_host in self._dark.pop(name, ()):
            if at_host:
                connection.to_member.append(CLOSED)
            else:
                connection.to_host.append((CLOSED, None))

    def _meet(self, one: Agent, other: Agent) -> bool:
        allowed = self.barred.isdisjoint((one.name, other.name))
        return allowed and self.carries(one.name, other.name) and self.carries(other.name, one.name)
