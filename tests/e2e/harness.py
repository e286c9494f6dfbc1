"""Real torchrun agents, a real operator, and what a test needs to disturb them and to see what they did."""

import contextlib
import http.client
import json
import os
import signal
import ssl
import subprocess
import sys
from base64 import b64decode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from tests.waiting import wait_until

from rendezvous_api import names
from rendezvous_api.codec import decode
from rendezvous_api.rendezvous import Rendezvous, RendezvousStatus
from rendezvous_controlplane import ControlPlaneError, LocalControlPlane

WORKER = Path(__file__).with_name("worker.py")
T = TypeVar("T")


def rounds(status: RendezvousStatus) -> list[tuple[int, str | None]]:
    """How many nodes each round had and why it ended, for short assertions."""
    return [(record.nodes, record.reason) for record in status.history]


class Process:
    """A process started by a test, with its log in a file. It is in a session of its own."""

    def __init__(self, command: Sequence[str], log: Path, environment: Mapping[str, str]) -> None:
        self.log_path = log
        with log.open("ab") as output:
            self.popen = subprocess.Popen(
                command, env=dict(environment), stdout=output, stderr=subprocess.STDOUT, start_new_session=True
            )

    @property
    def log(self) -> str:
        """Everything that it has printed."""
        return self.log_path.read_text(errors="replace")

    @property
    def running(self) -> bool:
        """Whether it has not ended."""
        return self.popen.poll() is None

    def family(self) -> list[int]:
        """Its pid and those of all its descendants; torchrun puts each worker into a session of its own."""
        pids = [self.popen.pid]
        for pid in pids:
            with contextlib.suppress(OSError):
                for task in Path(f"/proc/{pid}/task").iterdir():
                    pids.extend(int(child) for child in (task / "children").read_text().split())
        return pids

    def signal_all(self, number: signal.Signals) -> None:
        """Send a signal to it and to all its descendants."""
        for pid in self.family():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)

    def kill(self) -> None:
        """SIGKILL to it and all its descendants at once, as when a node loses its power."""
        self.signal_all(signal.SIGSTOP)  # nobody may act on the death of another
        self.signal_all(signal.SIGKILL)
        self.popen.wait(30)

    def terminate(self) -> None:
        """SIGTERM to it alone, as the kubelet does."""
        self.popen.terminate()

    def freeze(self) -> None:
        """SIGSTOP to it and all its descendants."""
        self.signal_all(signal.SIGSTOP)

    def thaw(self) -> None:
        """SIGCONT to it and all its descendants."""
        self.signal_all(signal.SIGCONT)

    def wait(self, timeout: float = 90.0) -> int:
        """Exit code; fails with its log when it does not end in time."""
        try:
            return self.popen.wait(timeout)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"{self.log_path.name} has not ended after {timeout} s:\n{self.log[-6000:]}") from None


@dataclass(frozen=True)
class Record:
    """One line of a worker's journal."""

    event: str
    time: float
    node: str
    pid: int
    fields: Mapping[str, Any]

    def __getattr__(self, name: str) -> Any:
        return self.fields[name]


class Journal:
    """What all workers of a test have written."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def records(self, event: str | None = None, *, since: float = 0.0) -> list[Record]:
        """All records of an event, in the order of time (``time.time()``)."""
        found = []
        for path in self._folder.glob("journal-*.jsonl"):
            for line in path.read_text().splitlines():
                with contextlib.suppress(json.JSONDecodeError):  # a killed worker may leave half a line
                    fields = json.loads(line)
                    event_name, at, node, pid = (fields.pop(key) for key in ("event", "time", "node", "pid"))
                    found.append(Record(event_name, at, node, pid, fields))
        wanted = [record for record in found if (event is None or record.event == event) and record.time >= since]
        return sorted(wanted, key=lambda record: record.time)

    def stepping(self, nodes: set[str], *, since: float) -> list[Record] | None:
        """The last step of each of these nodes, if since then they all made one in one group of exactly these nodes."""
        steps = [record for record in self.records("step", since=since) if record.nodes == len(nodes)]
        masters = {record.master for record in steps}
        for master in masters:
            of_group = [record for record in steps if record.master == master]
            if {record.node for record in of_group} == nodes:
                return of_group
        return None

    def assert_no_split(self) -> None:
        """No group stepped after a newer one had stepped; all members of a group had the same list.

        A group is told by its master address: each round has a store of its own.
        """
        seen: dict[str, int] = {}
        for record in self.records("step"):
            order = seen.setdefault(record.master, len(seen))
            assert order == len(seen) - 1, f"a group of an older round made a step: {record}"
        for master in seen:
            worlds = {record.world for record in self.records("start") if record.master == master}
            assert len(worlds) == 1, f"members of the group at {master} disagree about its size: {worlds}"


class Job:
    """One Rendezvous and the agents that meet at it."""

    def __init__(self, control_plane: LocalControlPlane, namespace: str, folder: Path, kubeconfig: Path) -> None:
        self.control_plane = control_plane
        self.namespace = namespace
        self.folder = folder
        self.kubeconfig = kubeconfig
        self.name = "train"
        self.journal = Journal(folder)
        self.processes: list[Process] = []
        self.agents: dict[str, Process] = {}

    def create(self, min_nodes: int, max_nodes: int, **spec: Any) -> None:
        """Create the Rendezvous. Gathering times are short unless the test says otherwise.

        Nodes over ``min_nodes`` may then come too late for the first round: who counts rounds needs a longer last call.
        """
        defaults = {"lastCallTimeoutSeconds": 3, "replacementTimeoutSeconds": 3, "scaleUpIntervalSeconds": 0}
        rendezvous = {
            "apiVersion": "rdzv.dev/v1alpha1",
            "kind": "Rendezvous",
            "metadata": {"name": self.name, "namespace": self.namespace},
            "spec": {"minNodes": min_nodes, "maxNodes": max_nodes, **defaults, **spec},
        }
        self.control_plane.kubectl("create", "-f", "-", input=json.dumps(rendezvous))

    def patch(self, patch: Mapping[str, Any]) -> None:
        """Merge-patch the Rendezvous, as a user would with kubectl."""
        self.kubectl("patch", "rendezvous", self.name, "--type=merge", "-p", json.dumps(patch))

    def kubectl(self, *arguments: str) -> str:
        """Run kubectl in the namespace of the job."""
        return self.control_plane.kubectl("-n", self.namespace, *arguments)

    def read(self, plural: str, name: str) -> dict[str, Any]:
        """One object, as JSON. Tests poll, and the agents need the processor that a kubectl would take each time.

        Raises:
            ControlPlaneError: there is no such object, or no answer.
        """
        path = f"/apis/{names.API_VERSION}/namespaces/{self.namespace}/{plural}/{name}"
        # Read anew each time: a new API server may have new certificates.
        config = json.loads(self.control_plane.kubeconfig.read_text())
        authority = b64decode(config["clusters"][0]["cluster"]["certificate-authority-data"]).decode()
        token = config["users"][0]["user"]["token"]
        context = ssl.create_default_context(cadata=authority)
        connection = http.client.HTTPSConnection("127.0.0.1", self.control_plane.port, timeout=10, context=context)
        try:
            connection.request("GET", path, headers={"Authorization": f"Bearer {token}"})
            answer = connection.getresponse()
            body = answer.read()
        except (OSError, http.client.HTTPException) as error:
            raise ControlPlaneError(f"GET {path}: {error}") from error
        finally:
            connection.close()
        if answer.status != http.HTTPStatus.OK:
            raise ControlPlaneError(f"GET {path}: HTTP {answer.status}: {body.decode(errors='replace')}")
        found: dict[str, Any] = json.loads(body)
        return found

    def agent(
        self,
        node: str,
        *,
        nnodes: str = "1:1",
        run_id: str | None = "run-1",
        conf: str = "",
        workers: int = 1,
        light: bool = False,
        max_restarts: int = 100,
        environment: Mapping[str, str] | None = None,
        arguments: Sequence[str] = (),
        launcher: Sequence[str] = (str(Path(sys.executable).with_name("torchrun")),),
    ) -> Process:
        """Start a torchrun as a node of that name would. ``nnodes`` 1:1 is torchrun's default: the object decides."""
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
            str(WORKER),
            str(self.folder),
            *(["--light"] if light else []),
        ]
        return self.program(node, command, environment)

    def program(self, node: str, command: Sequence[str], environment: Mapping[str, str] | None = None) -> Process:
        """Start any program as a node of that name."""
        variables = {
            **os.environ,
            "KUBECONFIG": str(self.kubeconfig),
            "TEST_NODE": node,
            "OMP_NUM_THREADS": "1",
            "GLOO_SOCKET_IFNAME": "lo",
            **(environment or {}),
        }
        number = len(self.processes)
        process = Process(command, self.folder / f"agent-{number:02d}-{node}.log", variables)
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
        return decode(Rendezvous, self.read(names.RENDEZVOUS_PLURAL, self.name))

    @property
    def status(self) -> RendezvousStatus:
        """Its status as it is now."""
        return self.rendezvous.status

    def participant(self, node: str) -> dict[str, Any]:
        """The participant object of a node, as JSON."""
        return self.read(names.PARTICIPANT_PLURAL, f"{self.name}.{node}")

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
