"""What the demo plays on: a control plane, the operator, torchrun agents, and a folder with all of their files."""

import os
import shlex
import shutil
import sys
import tempfile
import uuid
from collections.abc import Callable
from pathlib import Path
from types import TracebackType

from kubernetes import client, config

from demo import processes, signals
from demo.console import Console, DemoError
from demo.processes import Program
from demo.step_log import Step, read_steps
from rendezvous_api import names
from rendezvous_api.codec import decode
from rendezvous_api.rendezvous import Rendezvous
from rendezvous_controlplane import LocalControlPlane

ROOT = Path(__file__).resolve().parent.parent
NAMESPACE = "default"
RENDEZVOUS_FILE = Path("examples/digits/rendezvous.yaml")
RENDEZVOUS = "digits"
TRAINING_SCRIPT = Path("examples/digits/train.py")
RUN_ID = "demo"

EPOCHS = 60  # twice as many as the demo needs before it lets go of the brake
STEP_SECONDS = 0.2

# What would lead our processes elsewhere: options of torchrun from the environment, a torchrun or a pod around us, and
# proxies, which a connection within this machine shall not take.
_NOT_INHERITED = ("PET_", "TORCHELASTIC_", "TORCH_ELASTIC_", "KUBERNETES_SERVICE_", "HTTP_PROXY", "HTTPS_PROXY")


class Stage:
    """Everything that runs; `with Stage(console) as stage:` ends all of it, however the block ends."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._id = uuid.uuid4().hex[:12]
        self._programs = f"{self._id}/programs"
        self._objects: client.CustomObjectsApi | None = None
        self.folder = Path(tempfile.mkdtemp(prefix="kube-rendezvous-demo-"))
        for name in ("tmp", "checkpoints"):
            (self.folder / name).mkdir()
        # Its servers carry the mark, too, so that it can be seen that none is left.
        os.environ[processes.MARK] = f"{self._id}/control-plane"
        self.plane = LocalControlPlane(self.folder / "control-plane")
        self.operator: Program | None = None
        #: The torchrun agents that run, by node.
        self.agents: dict[str, Program] = {}
        self.checkpoint = self.folder / "checkpoints" / "digits.pt"
        self._brake = self.folder / "slow-down"
        self._brake.touch()
        self._step_log = self.folder / "steps.log"

    def __enter__(self) -> "Stage":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        signals.ignore()
        processes.kill_marked(self._programs)
        self.plane.stop()
        # What stays, should somebody want to read the logs, is small.
        shutil.rmtree(self.folder / "control-plane" / "etcd", ignore_errors=True)

    def left_running(self) -> list[int]:
        """The processes that were started here and still run."""
        return processes.marked(self._id)

    def remove_files(self) -> None:
        """Remove the folder."""
        shutil.rmtree(self.folder, ignore_errors=True)

    # ---- starting and killing

    def start_control_plane(self) -> None:
        """Start etcd and the API server."""
        self.plane.start()
        # Its connections go to this machine: no proxy.
        configuration = client.Configuration()
        config.load_kube_config(str(self.plane.kubeconfig), client_configuration=configuration)
        configuration.proxy = None
        self._objects = client.CustomObjectsApi(client.ApiClient(configuration))

    def start_operator(self) -> Program:
        """Start the operator as a process of its own."""
        self.operator = self._start("operator", [_tool("kube-rendezvous-operator")])
        return self.operator

    def environment(self) -> dict[str, str]:
        """The environment of every program but for its mark."""
        return {
            **{key: value for key, value in os.environ.items() if not key.upper().startswith(_NOT_INHERITED)},
            "KUBECONFIG": str(self.plane.kubeconfig),
            "OMP_NUM_THREADS": "1",
            "GLOO_SOCKET_IFNAME": "lo",  # all nodes are on this machine, whatever its host name resolves to
            "PYTHONUNBUFFERED": "1",
            "TMPDIR": str(self.folder / "tmp"),  # torchrun leaves files there when it is killed
        }

    def mark_of(self, name: str) -> str:
        """The mark of a program that is started elsewhere, so that it ends with the block, too."""
        return f"{self._programs}/{name}"

    def kill_operator(self) -> None:
        """Kill the operator with SIGKILL."""
        assert self.operator is not None
        processes.kill(self.operator)
        self.operator = None

    def start_agent(self, node: str) -> Program:
        """Start a torchrun agent, which stands for one node."""
        options = [
            f"--checkpoints={self.checkpoint.parent}",
            f"--epochs={EPOCHS}",
            f"--step-seconds={STEP_SECONDS}",
            f"--slow-while={self._brake}",
            f"--log-steps={self._step_log}",
        ]
        command = [_tool("torchrun"), *torchrun_options(node), str(ROOT / TRAINING_SCRIPT), *options]
        self.agents[node] = self._start(node, command)
        return self.agents[node]

    def kill_agent(self, node: str) -> int:
        """Kill a torchrun agent and its workers with SIGKILL. Returns how many processes that were."""
        return len(processes.kill(self.agents.pop(node)))

    def release_brake(self) -> None:
        """Let the training go on at full speed."""
        self._brake.unlink()

    # ---- seeing

    def rendezvous(self) -> Rendezvous:
        """The Rendezvous as it is now."""
        assert self._objects is not None
        item = self._objects.get_namespaced_custom_object(
            names.GROUP, names.VERSION, NAMESPACE, names.RENDEZVOUS_PLURAL, RENDEZVOUS, _request_timeout=10
        )
        return decode(Rendezvous, item)

    def steps(self) -> list[Step]:
        """The optimizer steps of all workers so far."""
        return read_steps(self._step_log)

    def show(self, *arguments: str) -> None:
        """Show what a kubectl command prints."""
        self._console.command(f"kubectl {shlex.join(arguments)}", self.plane.kubectl(*arguments))

    def check_running(self) -> None:
        """Raise DemoError if a process has ended that should run."""
        if ended := self.plane.ended_server():
            raise DemoError(ended)
        programs = [*self.agents.values(), *([self.operator] if self.operator is not None else [])]
        for program in programs:
            if program.exit_code is not None:
                raise DemoError(
                    f"{program.name} has ended with exit code {program.exit_code}; the end of its log:\n"
                    + program.log_tail()
                )

    def wait(self, what: str, reached: Callable[[], bool], timeout: float) -> float:
        """Wait for something while all processes run, and show meanwhile what the Rendezvous waits for."""

        def reached_and_running() -> bool:
            self.check_running()
            return reached()

        return self._console.wait(what, reached_and_running, timeout, self._state)

    # ---- inside

    def _state(self) -> str:
        running = self.rendezvous().status.condition(names.CONDITION_RUNNING)
        return f"{running.reason}: {running.message}" if running is not None else "no status yet"

    def _start(self, name: str, command: list[str]) -> Program:
        return processes.start(self._programs, name, command, self.environment(), self.folder / f"{name}.log")


def torchrun_options(node: str, run_id: str = RUN_ID) -> list[str]:
    """The options of torchrun with which one agent stands for a node."""
    return [
        "--nnodes=2:4",
        "--max-restarts=1000",
        "--rdzv-backend=kubernetes",
        f"--rdzv-endpoint={RENDEZVOUS}",
        f"--rdzv-id={run_id}",
        f"--rdzv-conf=node_id={node}",  # in a cluster the name of the pod says it
        "--local-addr=127.0.0.1",  # in a cluster the address of the pod
    ]


def _tool(name: str) -> str:
    """A program of this virtual environment."""
    return str(Path(sys.executable).with_name(name))
