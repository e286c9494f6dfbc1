"""The real processes of one schedule: control plane, operators and agents, each with its own way to the API server."""

import contextlib
import os
import random
import shutil
import signal
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

from tests.support.api import Api, NotFoundError
from tests.support.fork_server import ForkServer
from tests.support.gateway import Gateways, as_admin
from tests.support.processes import CUT_TORCHRUN, Process, start_operator

from chaos.journal import StepReader, Why, Writer
from chaos.machine import Machine
from chaos.observer import Observer
from chaos.running import Running
from chaos.schedule import Setting
from chaos.workers import STUB, VARIABLE, Workers
from rendezvous_api import names
from rendezvous_controlplane import ControlPlaneError, LocalControlPlane

ROOT = Path(__file__).parents[1]
NAME = "train"
NAMESPACE = "default"
_START_SECONDS = 600.0
"""Servers that start slowly say something about the machine, not about the project."""
_CHECK_IN_SECONDS = 10
_ELECTION = {"lease-duration": 4, "renew-deadline": 3, "retry-period": 1}


class World:
    """Everything that runs; ``with World(...)`` ends all of it.

    Args:
        setting: with what it begins.
        folder: for the journal and the logs; it exists.
        torchruns: forks agents and workers.
    """

    def __init__(self, setting: Setting, folder: Path, torchruns: ForkServer) -> None:
        self.setting = setting
        self.folder = folder
        self.journal = Writer(folder)
        self.steps = StepReader(folder)
        self.max_nodes = setting.max_nodes
        self.wishes: list[Callable[[], object]] = []
        """What a person wants of the API server, and tries until it is done."""
        self._torchruns = torchruns
        self._plane_folder = folder / "plane"
        self._snapshot = folder / "snapshot"
        self.plane = LocalControlPlane(self._plane_folder, start_timeout=_START_SECONDS)
        self.api = Api(self.plane, NAMESPACE, self._plane_folder / "admin.kubeconfig")
        self._observers: list[Observer] = []
        self.gateways = Gateways()
        self.workers = Workers(torchruns, folder / "workers.sock")
        self._logs = 0
        self.operators = {
            f"operator-{number}": Running(f"operator-{number}", self._start_operator, self.journal)
            for number in range(setting.operators)
        }
        self.nodes: dict[str, Running] = {}
        self._ended = threading.Event()
        self.machine = Machine(self.journal)

    def __enter__(self) -> "World":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        self.machine.stop()
        for running in self._all():
            if running.process is not None:
                # When a signal ends all of us at once, the fork server that knows their exit codes may be gone already.
                with contextlib.suppress(AssertionError):
                    running.process.kill()
        for observer in self._observers:
            observer.stop()
        self.workers.close()
        self.gateways.close()
        self.plane.stop()
        shutil.rmtree(self._plane_folder / "etcd", ignore_errors=True)
        shutil.rmtree(self._snapshot, ignore_errors=True)
        self.journal.close()

    # ---- the beginning and the end

    def start(self) -> None:
        """Start all, without waiting for the nodes to train."""
        self.plane.start()
        self.plane.apply(ROOT / "crds")
        for plural in (names.RENDEZVOUS_PLURAL, names.PARTICIPANT_PLURAL):
            self._observers.append(Observer(as_admin(self.plane), NAMESPACE, plural, self.journal))
        self.machine.start()
        for operator in self.operators.values():
            operator.tend()
        self.create_rendezvous()
        for node in self.setting.names:
            self.add_node(node)

    def add_node(self, name: str) -> None:
        """Start a node of that name, at once or when its last process has ended."""
        node = self.nodes.setdefault(name, Running(name, self._start_agent, self.journal))
        node.wanted = True
        node.tend()

    def end_training(self) -> None:
        """Let the workers end with success, and all agents and operators with it."""
        self.journal.write("stopping")
        for node in self.nodes.values():
            if node.process is not None and not node.why:
                node.end(Why.SUCCEEDED, wanted=False)
        (self.folder / "stop").touch()
        self._wait_for(self.nodes)
        for operator in self.operators.values():
            if operator.process is not None:
                operator.end(Why.ASKED, wanted=False)
                operator.process.terminate()
        self._wait_for(self.operators)
        self._look_for_tracebacks()

    def _wait_for(self, running: Mapping[str, Running]) -> None:
        while any(one.process is not None for one in running.values()):
            for one in running.values():
                one.tend()
            time.sleep(0.1)

    def _look_for_tracebacks(self) -> None:
        for path in sorted(self.folder.glob("operator-*.log")):
            lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
            begins = [number for number, line in enumerate(lines) if line.startswith("Traceback")]
            if begins:
                rest = (line for line in lines[begins[0] + 1 :] if not line.startswith(" "))
                self.journal.write("traceback", name=path.name, text=next(rest, "")[:300], count=len(begins))

    # ---- what goes on

    def tend(self) -> None:
        """Start and restart what shall run, write down what has ended, and try what people want."""
        for running in self._all():
            running.tend()
        while self.wishes:
            try:
                self.wishes[0]()
            except ControlPlaneError:
                return
            del self.wishes[0]

    @property
    def is_whole(self) -> bool:
        """Whether all runs that shall run, nothing else does, and no person waits for the API server."""
        all_as_wanted = all((one.process is not None) == one.wanted and not one.ends for one in self._all())
        return all_as_wanted and not self.wishes

    def expected(self) -> tuple[list[str], int]:
        """Which nodes may train now, and how many of them must."""
        nodes = sorted(name for name, node in self.nodes.items() if node.wanted)
        return nodes, min(len(nodes), self.max_nodes)

    def create_rendezvous(self) -> None:
        """Create it as at the beginning; values that have been changed since are changed back later."""
        head = {"apiVersion": names.API_VERSION, "kind": names.RENDEZVOUS_KIND, "metadata": {"name": NAME}}
        self.api.create({**head, "spec": self.setting.spec})

    def delete_rendezvous(self) -> None:
        """Delete it, if it is there."""
        with contextlib.suppress(NotFoundError):
            self.api.delete(names.RENDEZVOUS_KIND, NAME)

    def patch(self, patch: Mapping[str, Any]) -> None:
        """Merge-patch the Rendezvous as soon as the API server takes it."""
        self.wishes.append(lambda: self.api.patch(names.RENDEZVOUS_KIND, NAME, patch))

    # ---- processes

    def running(self, name: str) -> Running:
        """The node or the operator of that name."""
        return self.nodes.get(name) or self.operators[name]

    def _all(self) -> tuple[Running, ...]:
        return (*self.nodes.values(), *self.operators.values())

    def pids(self, running: Running) -> list[int]:
        """All processes of a node or an operator, workers too."""
        family = running.process.family() if running.process is not None and running.process.running else []
        return [*family, *self.workers.of(family)]

    def workers_of(self, node: Running) -> list[int]:
        """The workers of a node that run now."""
        return self.workers.of(self.pids(node))

    def freeze(self, running: Running) -> None:
        """SIGSTOP to all of it."""
        send(self.pids(running), signal.SIGSTOP)

    def thaw(self, running: Running) -> None:
        """SIGCONT to all of it."""
        send(self.pids(running), signal.SIGCONT)

    def cut_file(self, node: str) -> Path:
        """While this file exists, the node reaches no store."""
        return self.folder / f"{node}.cut"

    def cut_peers_file(self, node: str) -> Path:
        """While this file exists, the connections of the node to the other nodes are broken in the way that it says."""
        return self.folder / f"{node}.peers"

    def _kubeconfig(self, name: str) -> Path:
        return self.gateways.open(name, as_admin(self.plane)).write_kubeconfig(self.folder / f"{name}.kubeconfig")

    def _log(self, name: str) -> Path:
        self._logs += 1
        return self.folder / f"{name}-{self._logs:02d}.log"

    def _start_operator(self, operator: Running) -> Process:
        election = [f"--leader-elect-{key}-seconds={seconds}" for key, seconds in _ELECTION.items()]
        flags = ["--leader-elect", f"--leader-elect-lease-namespace={NAMESPACE}", *election]
        kubeconfig = self._kubeconfig(operator.name)
        return start_operator(kubeconfig, self._log(operator.name), *(flags if self.setting.leader_elect else ()))

    def _start_agent(self, node: Running) -> Process:
        command = [
            CUT_TORCHRUN,
            "--rdzv-backend=kubernetes",
            f"--rdzv-endpoint={NAMESPACE}/{NAME}",
            "--rdzv-id=run-1",
            f"--rdzv-conf=node_id={node.name},read_timeout={_CHECK_IN_SECONDS}",
            "--max-restarts=1000",
            "--local-addr=127.0.0.1",
            str(STUB),
            str(self.folder),
        ]
        environment = {
            **os.environ,
            "KUBECONFIG": str(self._kubeconfig(node.name)),
            VARIABLE: str(self.workers.path),
            "CHAOS_NODE": node.name,
            "CUT_STORES": str(self.cut_file(node.name)),
            "CUT_PEERS": str(self.cut_peers_file(node.name)),
            "OMP_NUM_THREADS": "1",
            "GLOO_SOCKET_IFNAME": "lo",
        }
        return Process(command, self._log(node.name), environment, self._torchruns)

    # ---- the servers

    def stall_etcd(self, dice: random.Random) -> Callable[[], None]:
        """Let etcd stop for a moment again and again; returns what ends that."""
        over = threading.Event()

        def stall() -> None:
            while not over.is_set() and not self._ended.is_set():
                with self.plane.etcd_paused():
                    over.wait(dice.uniform(0.2, 1.5))
                over.wait(dice.uniform(0.05, 0.5))

        thread = threading.Thread(target=stall, name="slow etcd", daemon=True)
        thread.start()

        def end() -> None:
            over.set()
            thread.join()

        return end

    def take_snapshot(self) -> None:
        """Copy the data of etcd as it is now."""
        shutil.rmtree(self._snapshot, ignore_errors=True)
        self.plane.snapshot(self._snapshot)

    def restore_snapshot(self) -> None:
        """Begin again with the data of the snapshot."""
        self.plane.stop_apiserver()
        self.journal.write("restored")
        self.plane.restore(self._snapshot)


def send(pids: list[int], number: signal.Signals) -> None:
    """Send a signal to all of these that are there."""
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)
