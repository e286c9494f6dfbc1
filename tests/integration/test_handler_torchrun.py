"""Real torchrun processes with this back end; the test plays the operator."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.integration.handler_support import PlayedOperator
from tests.waiting import wait_until

from rendezvous_controlplane import LocalControlPlane

PATIENCE = 150.0
"""Seconds; on a busy machine the import of torch alone takes half a minute, and torchrun and worker do it in turn."""

WORKER = """
import os, sys, time
import torch, torch.distributed as dist
dist.init_process_group("gloo")
value = torch.ones(1)
dist.all_reduce(value)
print("SUM", int(value), "RANK", dist.get_rank(), "OF", dist.get_world_size(), flush=True)
if dist.get_world_size() == 1 and len(sys.argv) > 1:
    time.sleep(float(sys.argv[1]))
dist.destroy_process_group()
"""


class Torchruns:
    """The torchrun processes of one test."""

    def __init__(self, kubeconfig: Path, namespace: str, folder: Path):
        self._kubeconfig = kubeconfig
        self._namespace = namespace
        self._folder = folder
        self._script = folder / "worker.py"
        self._script.write_text(WORKER)
        self.all: list[subprocess.Popen[bytes]] = []

    def start(self, node_id: str, *arguments: str, sleep: str | None = None) -> subprocess.Popen[bytes]:
        command = [
            *(sys.executable, "-m", "torch.distributed.run"),
            *("--rdzv-backend=kubernetes", f"--rdzv-endpoint={self._namespace}/train"),
            *(f"--rdzv-conf=node_id={node_id},close_timeout=5", "--nproc-per-node=1"),
            *arguments,
            str(self._script),
            *([sleep] if sleep else []),
        ]
        environment = {**os.environ, "KUBECONFIG": str(self._kubeconfig), "OMP_NUM_THREADS": "1"}
        with open(self._folder / f"{node_id}.log", "wb") as log:
            process = subprocess.Popen(command, env=environment, stdout=log, stderr=subprocess.STDOUT)
        self.all.append(process)
        return process

    def log(self, node_id: str) -> str:
        return (self._folder / f"{node_id}.log").read_text()


@pytest.fixture
def torchruns(control_plane: LocalControlPlane, namespace: str, tmp_path: Path) -> Iterator[Torchruns]:
    made = Torchruns(control_plane.kubeconfig, namespace, tmp_path)
    yield made
    for process in made.all:
        process.kill()
        process.wait()


def test_two_nodes_train(operator: PlayedOperator, torchruns: Torchruns) -> None:
    operator.create()
    made = [torchruns.start(node_id) for node_id in ("a", "b")]
    operator.publish(operator.joined({"train.a": 1, "train.b": 1}, timeout=PATIENCE))
    assert [process.wait(PATIENCE) for process in made] == [0, 0], torchruns.log("a") + torchruns.log("b")
    assert "SUM 2 RANK 0 OF 2" in torchruns.log("a")
    assert "SUM 2 RANK 1 OF 2" in torchruns.log("b")
    # The user sees what the handler says, with torchrun's default logging.
    assert "this node has joined round 1" in torchruns.log("a")
    assert {item["spec"]["leaveReason"] for item in operator.participants().values()} == {"Succeeded"}


def test_workers_are_restarted_when_a_node_comes(operator: PlayedOperator, torchruns: Torchruns) -> None:
    operator.create()
    a = torchruns.start("a", sleep="1000")
    operator.publish(operator.joined({"train.a": 1}, timeout=PATIENCE))
    wait_until(lambda: "SUM 1 RANK 0 OF 1" in torchruns.log("a"), "the first round", timeout=PATIENCE)
    b = torchruns.start("b")
    operator.joined({"train.a": 1, "train.b": 1}, timeout=PATIENCE)
    operator.write(waitingNodes=1)
    operator.publish(operator.joined({"train.a": 2, "train.b": 1}, timeout=PATIENCE), round_number=2)
    assert [a.wait(PATIENCE), b.wait(PATIENCE)] == [0, 0], torchruns.log("a") + torchruns.log("b")
    assert "SUM 2 RANK 0 OF 2" in torchruns.log("a")


def test_a_late_node_of_a_finished_run_ends_with_0(operator: PlayedOperator, torchruns: Torchruns) -> None:
    operator.create()
    a = torchruns.start("a")
    operator.joined({"train.a": 1}, timeout=PATIENCE)
    operator.refuse("train.a", "RunSucceeded", "run none has succeeded")
    assert a.wait(PATIENCE) == 0, torchruns.log("a")
    assert "ends without having trained" in torchruns.log("a")
    assert "run none has succeeded" in torchruns.log("a")
    assert "Traceback" not in torchruns.log("a")
    assert operator.participant("train.a")["spec"]["leaveReason"] == "Succeeded"


def test_a_closed_run_is_an_error(operator: PlayedOperator, torchruns: Torchruns) -> None:
    operator.create()
    a = torchruns.start("a")
    operator.joined({"train.a": 1}, timeout=PATIENCE)
    operator.refuse("train.a", "RunClosed", "run none is closed; choose another --rdzv-id")
    assert a.wait(PATIENCE) == 1
    assert "RendezvousClosedError" in torchruns.log("a")
    assert "choose another --rdzv-id" in torchruns.log("a")
    assert operator.participant("train.a")["spec"]["leaveReason"] == "Failed"


def test_a_failing_worker_leaves_as_failed(operator: PlayedOperator, torchruns: Torchruns) -> None:
    operator.create()
    a = torchruns.start("a", sleep="no number")
    operator.publish(operator.joined({"train.a": 1}, timeout=PATIENCE))
    assert a.wait(PATIENCE) == 1
    assert operator.participant("train.a")["spec"]["leaveReason"] == "Failed"


def test_a_signal_leaves_as_failed_without_delay(operator: PlayedOperator, torchruns: Torchruns) -> None:
    operator.create()
    a = torchruns.start("a", sleep="1000")
    operator.publish(operator.joined({"train.a": 1}, timeout=PATIENCE))
    wait_until(lambda: "SUM 1" in torchruns.log("a"), "the workers", timeout=PATIENCE)
    a.send_signal(signal.SIGTERM)
    assert a.wait(45) != 0
    assert operator.participant("train.a")["spec"]["leaveReason"] == "Failed"


def test_a_signal_while_joining_again_is_obeyed(operator: PlayedOperator, torchruns: Torchruns) -> None:
    operator.create()
    a = torchruns.start("a", "--max-restarts=3", sleep="1000")
    operator.publish(operator.joined({"train.a": 1}, timeout=PATIENCE))
    wait_until(lambda: "SUM 1" in torchruns.log("a"), "the workers", timeout=PATIENCE)
    operator.write(waitingNodes=1)
    operator.joined({"train.a": 2}, timeout=PATIENCE)
    a.send_signal(signal.SIGTERM)
    assert a.wait(45) != 0
    assert "SignalException" in torchruns.log("a")
    assert operator.participant("train.a")["spec"]["leaveReason"] == "Failed"


def test_a_wrong_setting_is_named(torchruns: Torchruns) -> None:
    a = torchruns.start("a", "--rdzv-conf=join_timeout=soon")
    assert a.wait(PATIENCE) == 1
    assert "--rdzv-conf join_timeout=soon: must be a positive integer" in torchruns.log("a")
