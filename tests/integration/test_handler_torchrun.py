"""Real torchrun processes with this back end; the test plays the operator."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.integration.handler_support import PlayedOperator
from tests.support.fork_server import ForkServer
from tests.support.processes import TORCHRUN, Process
from tests.support.waiting import wait_until

from rendezvous_controlplane import LocalControlPlane

WORKER = """
import os, socket, sys, time
rank, world = (int(os.environ[name]) for name in ("RANK", "WORLD_SIZE"))
socket.create_connection((os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"])), 30).close()
print("RANK", rank, "OF", world, flush=True)
if world == 1 and len(sys.argv) > 1:
    time.sleep(float(sys.argv[1]))
"""


PATIENCE = 60.0
"""Seconds for a torchrun to start, on a busy machine."""


class Torchruns:
    """The torchrun processes of one test."""

    def __init__(self, server: ForkServer, kubeconfig: Path, namespace: str, folder: Path):
        self._server = server
        self._kubeconfig = kubeconfig
        self._namespace = namespace
        self._folder = folder
        self._script = folder / "worker.py"
        self._script.write_text(WORKER)
        self.all: list[Process] = []

    def start(self, node_id: str, *arguments: str, sleep: str | None = None) -> Process:
        command = [
            TORCHRUN,
            *("--rdzv-backend=kubernetes", f"--rdzv-endpoint={self._namespace}/train"),
            *(f"--rdzv-conf=node_id={node_id},close_timeout=5", "--nproc-per-node=1"),
            *arguments,
            str(self._script),
            *([sleep] if sleep else []),
        ]
        environment = {**os.environ, "KUBECONFIG": str(self._kubeconfig), "OMP_NUM_THREADS": "1"}
        self.all.append(Process(command, self._folder / f"{node_id}.log", environment, self._server))
        return self.all[-1]


@pytest.fixture
def torchruns(
    torchrun_server: ForkServer, control_plane: LocalControlPlane, namespace: str, tmp_path: Path
) -> Iterator[Torchruns]:
    made = Torchruns(torchrun_server, control_plane.kubeconfig, namespace, tmp_path)
    yield made
    for process in made.all:
        process.kill()


def test_two_nodes_train(operator: PlayedOperator, torchruns: Torchruns) -> None:
    operator.create()
    a, b = (torchruns.start(node_id) for node_id in ("a", "b"))
    operator.publish(operator.joined({"train.a": 1, "train.b": 1}, timeout=PATIENCE))
    assert [a.wait(), b.wait()] == [0, 0], a.log + b.log
    assert "RANK 0 OF 2" in a.log
    assert "RANK 1 OF 2" in b.log
    # The user sees what the handler says, with torchrun's default logging.
    assert "this node has joined round 1" in a.log
    assert {item["spec"]["leaveReason"] for item in operator.participants().values()} == {"Succeeded"}


def test_workers_are_restarted_when_a_node_comes(operator: PlayedOperator, torchruns: Torchruns) -> None:
    operator.create()
    a = torchruns.start("a", sleep="1000")
    operator.publish(operator.joined({"train.a": 1}, timeout=PATIENCE))
    wait_until(lambda: "RANK 0 OF 1" in a.log, "the first round")
    b = torchruns.start("b")
    operator.joined({"train.a": 1, "train.b": 1}, timeout=PATIENCE)
    operator.write(waitingNodes=1)
    operator.publish(operator.joined({"train.a": 2, "train.b": 1}, timeout=PATIENCE), round_number=2)
    assert [a.wait(), b.wait()] == [0, 0], a.log + b.log
    assert "RANK 0 OF 2" in a.log


def test_a_late_node_of_a_finished_run_ends_with_0(operator: PlayedOperator, torchruns: Torchruns) -> None:
    operator.create()
    a = torchruns.start("a")
    operator.joined({"train.a": 1}, timeout=PATIENCE)
    operator.refuse("train.a", "RunSucceeded", "run none has succeeded")
    assert a.wait() == 0, a.log
    assert "ends without having trained" in a.log
    assert "run none has succeeded" in a.log
    assert "Traceback" not in a.log
    assert operator.participant("train.a")["spec"]["leaveReason"] == "Succeeded"


@pytest.mark.parametrize(
    ("more", "code"),
    [
        ({}, 1),  # an operator of an older release
        ({"closedReason": "RunFailed"}, 93),  # a late start
        ({"closedReason": "RestartBudgetExhausted"}, 94),
    ],
)
def test_a_closed_run_is_an_error(
    operator: PlayedOperator, torchruns: Torchruns, more: dict[str, str], code: int
) -> None:
    operator.create()
    a = torchruns.start("a")
    operator.joined({"train.a": 1}, timeout=PATIENCE)
    operator.refuse("train.a", "RunClosed", "run none is closed; choose another --rdzv-id", **more)
    assert a.wait() == code
    assert "RendezvousClosedError" in a.log
    assert "choose another --rdzv-id" in a.log
    assert operator.participant("train.a")["spec"]["leaveReason"] == "Failed"


def test_a_failing_worker_leaves_as_failed(operator: PlayedOperator, torchruns: Torchruns) -> None:
    operator.create()
    a = torchruns.start("a", sleep="no number")
    operator.publish(operator.joined({"train.a": 1}, timeout=PATIENCE))
    assert a.wait() == 1
    assert operator.participant("train.a")["spec"]["leaveReason"] == "Failed"


def test_a_signal_leaves_as_terminated_without_delay(operator: PlayedOperator, torchruns: Torchruns) -> None:
    operator.create()
    a = torchruns.start("a", sleep="1000")
    operator.publish(operator.joined({"train.a": 1}, timeout=PATIENCE))
    wait_until(lambda: "RANK 0 OF 1" in a.log, "the workers")
    a.terminate()
    assert a.wait(45) != 0
    assert operator.participant("train.a")["spec"]["leaveReason"] == "Terminated"


def test_ctrl_c_before_the_first_round_leaves_as_terminated(operator: PlayedOperator, torchruns: Torchruns) -> None:
    operator.create()
    a = torchruns.start("a")
    operator.joined({"train.a": 1}, timeout=PATIENCE)
    wait_until(lambda: " as train.a (" in a.log, "the agent to wait")  # its object is there a moment before
    a.popen.send_signal(signal.SIGINT)
    assert a.wait() == -signal.SIGINT
    assert operator.participant("train.a")["spec"]["leaveReason"] == "Terminated"


def test_a_signal_while_joining_again_is_obeyed(operator: PlayedOperator, torchruns: Torchruns) -> None:
    operator.create()
    a = torchruns.start("a", "--max-restarts=3", sleep="1000")
    operator.publish(operator.joined({"train.a": 1}, timeout=PATIENCE))
    wait_until(lambda: "RANK 0 OF 1" in a.log, "the workers")
    operator.write(waitingNodes=1)
    operator.joined({"train.a": 2}, timeout=PATIENCE)
    a.terminate()
    assert a.wait(45) != 0
    assert "SignalException" in a.log
    assert operator.participant("train.a")["spec"]["leaveReason"] == "Terminated"


def test_a_wrong_setting_is_named(torchruns: Torchruns) -> None:
    a = torchruns.start("a", "--rdzv-conf=join_timeout=soon")
    assert a.wait() == 1
    assert "--rdzv-conf join_timeout=soon: must be a positive integer" in a.log
