"""Real torchrun agents, a real operator, and what a test needs to disturb them and to see what they did."""

import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.support import objects
from tests.support.api import Api, Json
from tests.support.fork_server import ForkServer
from tests.support.journal import Journal, Record
from tests.support.processes import CUT_TORCHRUN, TORCHRUN, Process
from tests.support.recorder import Recorder
from tests.support.waiting import wait_until

from rendezvous_api import names
from rendezvous_api.codec import decode
from rendezvous_api.rendezvous import Rendezvous, RendezvousStatus
from rendezvous_controlplane import LocalControlPlane

_READ_LATE = {
    "KUBECONFIG",
    "TORCH_DISABLE_SHARE_RDZV_TCP_STORE",
    "CUT_STORES",
    "PET_RDZV_CONF",
    "RDZV_CREATE",
    "RDZV_HEALTH_CHECK",
    "HEALTH_FOLDER",
}
"""Variables that torchrun and the handler read when they need them; others may be read while torch is imported."""
WORKER = Path(__file__).with_name("worker.py")
ANOTHER_LAUNCHER = (
    sys.executable,
    "-c",
    "import sys; from torch.distributed.run import parse_args, run; run(parse_args(sys.argv[1:]))",
)
"""What ``accelerate launch``, ``tune run`` and ``fabric run`` do."""


def rounds(status: RendezvousStatus) -> list[tuple[int, str | None]]:
    """How many nodes each round had and why it ended, for short assertions."""
    return [(record.nodes, record.reason) for record in status.history]


class Job:
    """One Rendezvous and the agents that meet at it.

    Args:
        control_plane: its API server.
        namespace: of the Rendezvous.
        folder: empty; for logs and journals.
        kubeconfig: of the agents; the administrator's if None.
        torchruns: forks the agents; without it each imports torch itself.
    """

    def __init__(
        self,
        control_plane: LocalControlPlane,
        namespace: str,
        folder: Path,
        kubeconfig: Path | None = None,
        torchruns: ForkServer | None = None,
    ) -> None:
        self.control_plane = control_plane
        self.api = Api(control_plane, namespace)
        self.namespace = namespace
        self.folder = folder
        self.kubeconfig = kubeconfig or control_plane.kubeconfig
        self._torchruns = torchruns
        self.name = "train"
        self.journal = Journal(folder)
        self.processes: list[Process] = []
        self.agents: dict[str, Process] = {}

    def create(self, min_nodes: int, max_nodes: int, **spec: Any) -> None:
        """Create the Rendezvous. Gathering times are short unless the test says otherwise.

        Nodes over ``min_nodes`` may then come too late for the first round: who counts rounds needs a longer last call.
        """
        defaults = {"lastCallSeconds": 3, "replacementSeconds": 3, "scaleUpIntervalSeconds": 0}
        spec = {"minNodes": min_nodes, "maxNodes": max_nodes, **defaults, **spec}
        self.api.create(objects.rendezvous(self.name, **spec))

    def patch(self, patch: Mapping[str, Any]) -> None:
        """Merge-patch the Rendezvous, as a user would with kubectl."""
        self.api.patch(names.RENDEZVOUS_KIND, self.name, patch)

    def request_restart(self, value: str = "now") -> None:
        """Ask for a new round by the annotation, as a user would."""
        self.patch({"metadata": {"annotations": {names.ANNOTATION_RESTART_REQUESTED_AT: value}}})

    def recorder(self) -> Recorder:
        """Records the states of the Rendezvous; see there."""
        return Recorder(self.control_plane.get_client(), self.namespace, self.name)

    def agent(
        self,
        node: str,
        *,
        nnodes: str = "1:1",
        run_id: str | None = "run-1",
        conf: str = "",
        workers: int = 1,
        together: bool = False,
        collectives: bool = False,
        max_restarts: int = 100,
        environment: Mapping[str, str] | None = None,
        arguments: Sequence[str] = (),
        launcher: Sequence[str] = (TORCHRUN,),
        script: Sequence[str] = (),
    ) -> Process:
        """Start a torchrun as a node of that name would.

        Args:
            node: name of the node.
            nnodes: 1:1 is torchrun's default: the object decides.
            run_id: the option --rdzv-id; None: it is left out.
            conf: more of --rdzv-conf.
            workers: how many it starts.
            together: whether the workers wait for each other at each step; else each steps by itself.
            collectives: whether they do so by an all_reduce of torch.
            max_restarts: torchrun's own limit.
            environment: more variables.
            arguments: more options of torchrun.
            launcher: what is run in the place of torchrun's console script.
            script: what the workers run, with its options, in the place of the tests' own script.
        """
        own = [str(WORKER), str(self.folder), *["--together"] * together, *["--collectives"] * collectives]
        command = [
            *launcher,
            "--rdzv-backend=kubernetes",
            f"--rdzv-endpoint={self.namespace}/{self.name}",
            *([f"--rdzv-id={run_id}"] if run_id is not None else []),
            f"--rdzv-conf=node_id={node}" + (f",{conf}" if conf else ""),
            f"--nnodes={nnodes}",
            f"--nproc-per-node={workers}",
            f"--max-restarts={max_restarts}",
            "--local-addr=127.0.0.1",
            *arguments,
            *(script or own),
        ]
        usual = (environment or {}).keys() <= _READ_LATE and tuple(launcher) in ((TORCHRUN,), (CUT_TORCHRUN,))
        return self.program(node, command, environment, self._torchruns if usual else None)

    def program(
        self,
        node: str,
        command: Sequence[str],
        environment: Mapping[str, str] | None = None,
        server: ForkServer | None = None,
    ) -> Process:
        """Start any program as a node of that name; a torchrun may be forked by a server."""
        variables = {
            **os.environ,
            "KUBECONFIG": str(self.kubeconfig),
            "TEST_NODE": node,
            "OMP_NUM_THREADS": "1",
            "GLOO_SOCKET_IFNAME": "lo",
            **(environment or {}),
        }
        number = len(self.processes)
        process = Process(command, self.folder / f"agent-{number:02d}-{node}.log", variables, server)
        self.processes.append(process)
        self.agents[node] = process
        return process

    def stop_training(self) -> None:
        """Tell all workers to end after their present step."""
        (self.folder / "stop").touch()

    def crash(self, node: str, local_rank: int = 0) -> None:
        """Make one worker fail at its next step."""
        (self.folder / f"crash-{node}-{local_rank}").touch()

    @property
    def rendezvous(self) -> Rendezvous:
        """The Rendezvous as it is now."""
        return decode(Rendezvous, self.api.read(names.RENDEZVOUS_KIND, self.name))

    @property
    def status(self) -> RendezvousStatus:
        """Its status as it is now."""
        return self.rendezvous.status

    def participant(self, node: str) -> Json:
        """The participant object of a node, as JSON."""
        return self.api.read(names.PARTICIPANT_KIND, f"{self.name}.{node}")

    def ranks(self) -> dict[str, int]:
        """Rank of each node of the current round."""
        return {member.name.removeprefix(f"{self.name}."): member.rank for member in self.status.participants}

    def wait_for_round(self, nodes: set[str], *, after: int = 0, timeout: float = 120.0) -> RendezvousStatus:
        """Wait until a round of exactly these nodes, later than ``after``, runs."""

        def published() -> RendezvousStatus | None:
            status = self.status
            names = {member.name.removeprefix(f"{self.name}.") for member in status.participants}
            return status if status.round > after and names == nodes and status.waiting_nodes == 0 else None

        return wait_until(published, f"a round of {sorted(nodes)} after round {after}", timeout)

    def wait_for_training(self, nodes: set[str], *, since: float = 0.0, timeout: float = 120.0) -> list[Record]:
        """Wait until exactly these nodes step together in one group."""
        return wait_until(
            lambda: self.journal.stepping(nodes, since=since), f"steps of a group of {sorted(nodes)}", timeout
        )

    def end(self) -> None:
        """End every process of the test, frozen ones too."""
        for process in self.processes:
            process.thaw()
            if process.running:
                process.kill()
