"""One case: a group of real processes is started, a fault is done to it, and what follows is written down."""

import contextlib
import os
import select
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.cluster import ROOT
from benchmarks.recovery.journal import Ending, Fault, Formed, Line, Reader, groups, judge
from benchmarks.recovery.launcher import FIRST, MAX_NODES, Launcher
from demo import processes

BEGIN_SECONDS = 300.0
"""In which a group must train, before anything is done to it: c10d alone waits 30 s for more nodes."""
LIMIT_SECONDS = 120.0
"""After a fault; after that the answer is "never"."""
STOPPED_SECONDS = 60.0
"""How long the node of F5 is stopped."""

_STEADY_STEPS = 20
_POLL_SECONDS = 0.05


class DidNotBeginError(Exception):
    """The group has not trained before the fault."""


@dataclass(frozen=True)
class _Kind:
    """One kind of fault."""

    members: int
    do: "Callable[[_Stage, Formed, str], Fault]"
    of_rank_0: bool = False


class _Exits:
    """When processes have ended, by pid, to the millisecond or so: each is waited for in a thread."""

    def __init__(self) -> None:
        self.at: dict[int, float] = {}

    def watch(self, pid: int) -> None:
        """From now on the end of this process is seen."""
        try:
            handle = os.pidfd_open(pid)
        except ProcessLookupError:
            self.at[pid] = time.monotonic()
            return
        threading.Thread(target=self._wait, args=(pid, handle), daemon=True).start()

    def _wait(self, pid: int, handle: int) -> None:
        select.select([handle], [], [])
        self.at[pid] = time.monotonic()
        os.close(handle)


@dataclass
class _Stage:
    """The processes of a case."""

    launcher: Launcher
    folder: Path
    reader: Reader
    exits: _Exits = field(default_factory=_Exits)
    agents: dict[str, processes.Program] = field(default_factory=dict)
    hit: set[str] = field(default_factory=set)
    """Nodes that were killed here, so that the exit codes of their agents say nothing."""

    @property
    def mark(self) -> str:
        return str(self.folder)

    def start(self, node: str) -> float:
        """Start a node; returns when."""
        command, variables = self.launcher.command(node, self.folder)
        usual = {
            "OMP_NUM_THREADS": "1",
            "GLOO_SOCKET_IFNAME": "lo",
            "RECOVERY_NODE": node,
            "PYTHONPATH": str(ROOT),  # the workers are scripts that import `benchmarks.recovery.steps`
        }
        environment = {**os.environ, **usual, **variables}
        at = time.monotonic()
        self.agents[node] = processes.start(self.mark, node, command, environment, self.folder / f"{node}.log")
        self.exits.watch(self.agents[node].process.pid)
        return at

    def signal(self, node: str, *numbers: signal.Signals) -> float:
        """Send signals to all processes of a node; returns when."""
        pids = processes.marked(self.agents[node].mark)
        at = time.monotonic()
        for number in numbers:
            _send(pids, number)
        return at

    def kill(self, node: str) -> float:
        """End all processes of a node at once; returns when. Its kernel goes on, and closes their connections."""
        self.hit.add(node)
        # None of them may act on the death of another.
        at = self.signal(node, signal.SIGSTOP, signal.SIGKILL)
        self.launcher.killed(node)
        return at

    @property
    def agents_ended(self) -> bool:
        return all(agent.exit_code is not None for agent in self.agents.values())

    def ends(self, since: float) -> dict[str, dict[str, Any]]:
        """How the agents have ended that nothing was done to, and after how many seconds."""
        return {
            name: {"code": agent.exit_code, "seconds": round(self.exits.at[agent.process.pid] - since, 3)}
            for name, agent in self.agents.items()
            if name not in self.hit and agent.exit_code is not None and agent.process.pid in self.exits.at
        }


def _kill_worker(stage: _Stage, group: Formed, node: str) -> Fault:
    at = time.monotonic()
    _send([group.nodes[node]], signal.SIGKILL)
    return Fault(at, frozenset({node}))


def _kill_node(stage: _Stage, group: Formed, node: str) -> Fault:
    return Fault(stage.kill(node), frozenset({node}))


def _launch_node(stage: _Stage, group: Formed, node: str) -> Fault:
    joins = f"node-{len(stage.agents)}"
    return Fault(stage.start(joins), joins=joins)


def _stop_node(stage: _Stage, group: Formed, node: str) -> Fault:
    at = stage.signal(node, signal.SIGSTOP)
    return Fault(at, frozenset({node}), wakes_at=at + STOPPED_SECONDS)


_KINDS = {
    "F1": _Kind(MAX_NODES, _kill_worker),
    "F2": _Kind(MAX_NODES, _kill_node),
    "F3": _Kind(MAX_NODES, _kill_node, of_rank_0=True),
    "F4": _Kind(MAX_NODES - 1, _launch_node),
    "F5": _Kind(MAX_NODES, _stop_node),
}


def run(launcher: Launcher, fault: str, folder: Path) -> dict[str, Any]:
    """Run one case; returns what followed, for a file of results.

    Args:
        launcher: its `servers` run.
        fault: one of `launchers.FAULTS`.
        folder: empty; for logs and journals.

    Raises:
        DidNotBeginError: the group has not trained before the fault.
    """
    kind = _KINDS[fault]
    reader = Reader(folder)
    stage = _Stage(launcher, folder, reader)
    with _opened(launcher, stage, kind.members):
        for number in range(kind.members + launcher.spares * (fault != "F4")):
            node = f"node-{number}"
            stage.start(node)
            if node == FIRST:
                launcher.first_started()
        before, rank_0 = _wait_for_training(stage, kind.members)
        for pid in before.nodes.values():
            stage.exits.watch(pid)
        others = sorted(before.nodes.keys() - {rank_0})
        load = os.getloadavg()[0]
        done = kind.do(stage, before, rank_0 if kind.of_rank_0 else others[-1])
        recovery = _follow(stage, before, done, others[-1])
        return {
            "limit_seconds": LIMIT_SECONDS + (STOPPED_SECONDS if done.wakes_at else 0),
            "load": round(load, 1),
            **{name: round(value, 3) if isinstance(value, float) else value for name, value in recovery.items()},
            "agents": stage.ends(done.at),
        }


def _follow(stage: _Stage, before: Formed, fault: Fault, stopped: str) -> dict[str, Any]:
    """Wait until it is clear what follows, at most until the time limit."""
    asleep = fault.wakes_at is not None
    deadline = (fault.wakes_at or fault.at) + LIMIT_SECONDS
    while True:
        # Before the lines are read: what has ended has written all of its lines.
        now, ended, agents_ended = time.monotonic(), dict(stage.exits.at), stage.agents_ended
        if fault.wakes_at is not None and asleep and now >= fault.wakes_at:
            stage.signal(stopped, signal.SIGCONT)
            asleep = False
        stage.reader.read_on()
        found = judge(stage.reader.lines, before, fault, ended, now, agents_ended)
        if found.ending is not Ending.NEVER or now > deadline:
            return {**asdict(found), "ending": found.ending.value}
        time.sleep(_POLL_SECONDS)


@contextlib.contextmanager
def _opened(launcher: Launcher, stage: _Stage, members: int) -> Iterator[None]:
    """End all processes afterwards, stopped ones too."""
    try:
        launcher.open(stage.folder, stage.mark, members)
        yield
    finally:
        processes.kill_marked(stage.mark)
        for agent in stage.agents.values():
            agent.process.wait(30)
        launcher.close()


def _wait_for_training(stage: _Stage, members: int) -> tuple[Formed, str]:
    """The group once it steps steadily, and its node of rank 0."""
    deadline = time.monotonic() + BEGIN_SECONDS
    while time.monotonic() < deadline:
        stage.reader.read_on()
        if found := _steady(stage.reader.lines, members):
            return found
        if stage.agents_ended:
            raise DidNotBeginError("all agents have ended before the group trained")
        time.sleep(_POLL_SECONDS)
    raise DidNotBeginError(f"no group of {members} has trained after {BEGIN_SECONDS:.0f} s")


def _steady(lines: Sequence[Line], members: int) -> tuple[Formed, str] | None:
    formed = list(groups(lines))
    if not formed or len(formed[-1].nodes) != members:
        return None
    first = [line for line in lines if line.group == formed[-1].group and line.rank == 0]
    return (formed[-1], first[0].node) if len(first) >= _STEADY_STEPS else None


def _send(pids: Sequence[int], number: signal.Signals) -> None:
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)
