"""A group of three real torchrun agents, each on a machine of its own, on the real API server."""

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import TypeVar

from benchmarks.cluster import NAMESPACE, Cluster
from benchmarks.detection.judge import next_round
from benchmarks.detection.network import Filter, Machine
from tests.support.fork_server import ForkServer
from tests.support.journal import Journal, Record
from tests.support.processes import TORCHRUN, Process

from rendezvous_api import names
from rendezvous_api.codec import decode
from rendezvous_api.rendezvous import Rendezvous, RendezvousStatus, RoundRecord

SIZE = 3
RENDEZVOUSES = f"/apis/{names.API_VERSION}/namespaces/{NAMESPACE}/{names.RENDEZVOUS_PLURAL}"
SETTLE_SECONDS = 12.0
"""Between the first steps of a group and the fault: each member has sent heartbeats and beats in that time."""

_BEGIN_SECONDS = 240.0
_POLL_SECONDS = 0.1
_WORKER = Path(__file__).with_name("worker.py")
_numbers = count()
T = TypeVar("T")


class NotSeenError(Exception):
    """What must follow has not been seen in time; the message says what."""


@dataclass
class Host:
    """What is shared by the groups of a program."""

    cluster: Cluster
    torchruns: ForkServer
    filter: Filter | None
    forking: threading.Lock = field(default_factory=threading.Lock)
    """A fork server answers one at a time."""
    ending: threading.Event = field(default_factory=threading.Event)
    """The program shall end, and so all waits."""


class Group:
    """The agents of one run. All times are of CLOCK_MONOTONIC.

    Args:
        host: what all groups share.
        name: of the Rendezvous.
        folder: empty; for logs and journals.
        pods: whether each agent has a labelled pod, without a kubelet.
    """

    def __init__(self, host: Host, name: str, folder: Path, *, pods: bool = False) -> None:
        self.host, self.name, self.folder = host, name, folder
        self.journal = Journal(folder)
        self.machines: dict[str, Machine] = {}
        self.agents: dict[str, Process] = {}
        self._pods = pods
        self.rank_0, self.round = "", 0

    def begin(self) -> None:
        """Create the Rendezvous with the default times, start the agents, and wait until they train.

        Raises:
            NotSeenError: they do not.
        """
        cluster = self.host.cluster
        body = {
            "apiVersion": names.API_VERSION,
            "kind": names.RENDEZVOUS_KIND,
            "metadata": {"name": self.name},
            "spec": {"minNodes": 1, "maxNodes": SIZE},
        }
        cluster.request("POST", RENDEZVOUSES, body)
        for node in (f"node-{number}" for number in range(SIZE)):
            self.machines[node] = Machine(next(_numbers), cluster.plane.port)
            pod = self.pod(node)
            self._start(node, cluster.create_pod(pod, self.name) if self._pods else cluster.kubeconfig)
        self.round, _ = self.until("the first round", lambda: self._trains(0), _BEGIN_SECONDS)
        [self.rank_0] = {one.node for one in self.records("start") if one.round == self.round and one.rank == 0}
        self.sleep(SETTLE_SECONDS)

    def pod(self, node: str) -> str:
        """The pod of a node."""
        return f"{self.name}-{node}"

    @property
    def others(self) -> list[str]:
        """The nodes that do not have rank 0, the last one of them first."""
        return sorted(self.machines.keys() - {self.rank_0}, reverse=True)

    @property
    def status(self) -> RendezvousStatus:
        """That of the Rendezvous as it is now."""
        return status_of(self.host.cluster, self.name)

    def record_of(self, number: int) -> RoundRecord:
        """What the Rendezvous says of a round."""
        return next(record for record in self.status.history if record.round == number)

    def records(self, event: str | None = None) -> list[Record]:
        """All that the workers have written, in the order of time."""
        return self.journal.records(event)

    def until(self, what: str, seen: Callable[[], T | None], seconds: float) -> T:
        """Wait for something that the workers have written.

        Raises:
            NotSeenError: it has not been seen after so many seconds.
        """
        deadline = time.monotonic() + seconds
        while (found := seen()) is None:
            if time.monotonic() > deadline:
                raise NotSeenError(f"{what}: not in {seconds:.0f} s")
            self.sleep(_POLL_SECONDS)
        return found

    def sleep(self, seconds: float) -> None:
        """Wait for so long; raises NotSeenError when the program shall end."""
        if self.host.ending.wait(seconds):
            raise NotSeenError("the program was ended")

    def crash(self, node: str) -> float:
        """Let the worker of a node fail at its next step; returns when it has."""
        (self.folder / f"crash-{node}").touch()
        return self.until(f"the crash on {node}", lambda: self._crashed(node), 30)

    def kill(self, node: str) -> float:
        """SIGKILL to an agent and its workers at once. Returns when."""
        return self._signal([node], signal.SIGSTOP, signal.SIGKILL)

    def stop(self, node: str) -> float:
        """SIGSTOP to an agent and its workers. Returns when."""
        return self._signal([node], signal.SIGSTOP)

    def cut_power(self, *nodes: str) -> float:
        """These machines have no power any more. Returns when."""
        # The kernel may take seconds to unplug a cable on a busy machine. Who is stopped sends nothing meanwhile.
        at = self._signal(nodes, signal.SIGSTOP)
        for node in nodes:
            self.machines[node].unplug()
        self._signal(nodes, signal.SIGKILL)
        return at

    def close(self) -> None:
        """End all processes, and take the machines away."""
        for agent in self.agents.values():
            agent.thaw()
            if agent.running:
                agent.kill()
        for machine in self.machines.values():
            machine.remove()

    def _signal(self, nodes: Sequence[str], *numbers: signal.Signals) -> float:
        pids = [pid for node in nodes for pid in self.agents[node].family()]
        at = time.monotonic()
        for number in numbers:
            for pid in pids:
                os.kill(pid, number)
        return at

    def _start(self, node: str, kubeconfig: Path) -> None:
        machine = self.machines[node]
        command = [
            TORCHRUN,
            "--rdzv-backend=kubernetes",
            f"--rdzv-endpoint={NAMESPACE}/{self.name}",
            "--rdzv-id=run-1",
            *([] if self._pods else [f"--rdzv-conf=node_id={node}"]),
            f"--nnodes=1:{SIZE}",
            "--nproc-per-node=1",
            "--max-restarts=100",
            f"--local-addr={machine.address}",
            str(_WORKER),
            str(self.folder),
        ]
        variables = {**os.environ, "KUBECONFIG": str(kubeconfig), "DETECTION_NODE": node, "OMP_NUM_THREADS": "1"}
        log = self.folder / f"{node}.log"
        with self.host.forking:
            self.agents[node] = Process(command, log, variables, self.host.torchruns, machine.network)

    def _trains(self, after: int) -> tuple[int, float] | None:
        return next_round(self.records("start"), self.machines, after)

    def _crashed(self, node: str) -> float | None:
        return next((record.time for record in self.records("crash") if record.node == node), None)


def status_of(cluster: Cluster, name: str) -> RendezvousStatus:
    """That of a Rendezvous as it is now."""
    return decode(Rendezvous, cluster.request("GET", f"{RENDEZVOUSES}/{name}")).status


@contextmanager
def begun(host: Host, name: str, folder: Path, *, pods: bool = False) -> Iterator[Group]:
    """A group that trains."""
    group = Group(host, name, folder, pods=pods)
    try:
        group.begin()
        yield group
    finally:
        group.close()
