"""Every way in which torch lets somebody start a node: see "From a program" in docs/torch.md."""

import json
import signal
import sys
from typing import Any

import pytest
from tests.e2e.harness import Job
from tests.e2e.pods import Pods
from tests.support.fork_server import ForkServer
from tests.support.pages import fences, section
from tests.support.processes import Process
from tests.support.waiting import wait_until

from rendezvous_api.reasons import LeaveReason

ELASTIC_LAUNCH = """
import json, os, sys, time
from torch.distributed.launcher.api import LaunchConfig, elastic_launch


def train(stop, value):
    import torch, torch.distributed as dist

    dist.init_process_group("gloo")
    print("TRAINS", flush=True)
    while not os.path.exists(stop):
        time.sleep(0.1)
    total = torch.tensor([value])
    dist.all_reduce(total)
    dist.barrier()
    return [dist.get_rank(), dist.get_world_size(), int(total)]


if __name__ == "__main__":
    _, endpoint, node, stop = sys.argv
    config = LaunchConfig(
        min_nodes=2,
        max_nodes=2,
        nproc_per_node=1,
        rdzv_backend="kubernetes",
        rdzv_endpoint=endpoint,
        rdzv_configs={"node_id": node},
        local_addr="127.0.0.1",
        max_restarts=100,
    )
    print("RESULT", json.dumps(elastic_launch(config, train)(stop, 10)))
"""

LAUNCH_TWICE = """
import pathlib, sys, time
from torch.distributed.elastic.multiprocessing import SignalException
from torch.distributed.launcher.api import LaunchConfig, elastic_launch

TRAIN = '''
import pathlib, sys, time
folder, launch = sys.argv[1:]
(pathlib.Path(folder) / f"began-{launch}").touch()
while not (pathlib.Path(folder) / "stop").exists():
    time.sleep(0.05)
'''

_, endpoint, folder = sys.argv
config = LaunchConfig(
    min_nodes=1,
    max_nodes=1,
    nproc_per_node=1,
    run_id="run-1",
    rdzv_backend="kubernetes",
    rdzv_endpoint=endpoint,
    local_addr="127.0.0.1",
)


def launch(number):
    elastic_launch(config, sys.executable)("-c", TRAIN, folder, str(number))


try:
    launch(1)
except SignalException:
    print("INTERRUPTED", flush=True)
left = pathlib.Path(folder) / "left"
while not left.exists():
    time.sleep(0.05)
launch(2)
"""

HANDLER = """
import json, sys
from torch.distributed.elastic.rendezvous import RendezvousParameters, rendezvous_handler_registry
from torch.distributed.elastic.rendezvous.registry import get_rendezvous_handler

_, endpoint, node = sys.argv


def meet(backend):
    params = RendezvousParameters(backend, endpoint, backend, 2, 2, local_addr="127.0.0.1", node_id=node)
    handler = get_rendezvous_handler(params)
    info = handler.next_rendezvous()
    info.store.set(f"from-{info.rank}", node)
    other = info.store.get(f"from-{1 - info.rank}").decode()
    master = info.bootstrap_store_info
    found = [handler.get_backend(), handler.get_run_id(), info.rank, info.world_size, other, master.master_addr]
    assert handler.shutdown()
    print("RESULT", json.dumps(found))


try:
    meet("my-own-name")
except ValueError as error:
    print("REFUSED", error)
meet("kubernetes")

from rendezvous_handler.plugin import create_handler

rendezvous_handler_registry.register("my-own-name", create_handler)
meet("my-own-name")
"""


def start(job: Job, server: ForkServer, program: str, nodes: tuple[str, ...], *arguments: str) -> list[Process]:
    """Run the program as each of these nodes; it gets the endpoint, the node, and the arguments."""
    script = job.folder / "program.py"
    script.write_text(program)
    endpoint = f"{job.namespace}/{job.name}"
    return [job.program(node, [str(script), endpoint, node, *arguments], server=server) for node in nodes]


def results(process: Process) -> list[Any]:
    lines = [line for line in process.log.splitlines() if line.startswith("RESULT ")]
    return [json.loads(line.removeprefix("RESULT ")) for line in lines]


@pytest.mark.main_job
def test_torch_distributed_run_as_a_module_with_a_run_id_that_is_no_name(job: Job) -> None:
    job.create(2, 2)
    nodes = {"n0", "n1"}
    module = (sys.executable, "-m", "torch.distributed.run")
    run_id = "实验" * 25 + ":\nmodel=gpt2-xl,optimizer.lr=3e-4"  # torch makes a folder of that name
    agents = [job.agent(node, together=True, launcher=module, run_id=run_id) for node in sorted(nodes)]
    job.wait_for_training(nodes)
    job.stop_training()
    assert [agent.wait() for agent in agents] == [0, 0]


@pytest.mark.main_job
def test_elastic_launch_with_a_launch_config(job: Job, torchrun_server: ForkServer) -> None:
    job.create(2, 2)
    stop = job.folder / "stop"
    first, second = start(job, torchrun_server, ELASTIC_LAUNCH, ("n0", "n1"), str(stop))
    wait_until(lambda: first.log.count("TRAINS") + second.log.count("TRAINS") == 2, "two workers that train", 240)
    (spare,) = start(job, torchrun_server, ELASTIC_LAUNCH, ("n2",), str(stop))
    wait_until(lambda: job.status.spares == (f"{job.name}.n2",), "n2 to be a spare")
    job.stop_training()
    assert [first.wait(), second.wait()] == [0, 0]
    ranks = job.ranks()
    for node, process in (("n0", first), ("n1", second)):
        assert results(process) == [{str(ranks[node]): [ranks[node], 2, 20]}]
    # torch's own error for a handler that has nothing to do; see "Exit code 0 without training" in docs/torch.md.
    assert spare.wait() == 1
    assert "this node ends without having trained" in spare.log
    assert "AttributeError: 'NoneType' object has no attribute 'is_failed'" in spare.log


@pytest.mark.main_job
def test_the_program_on_the_page_runs_as_it_is(job: Job, torchrun_server: ForkServer) -> None:
    job.create(2, 2)
    page, *_ = fences(section("docs/torch.md", "## From a program"), "python")
    nodes = ("n0", "n1")
    processes = []
    for node in nodes:
        program = page.replace('"train"', repr(f"{job.namespace}/{job.name}")).replace('"node-1"', repr(node))
        script = job.folder / f"{node}.py"
        script.write_text(program)
        processes.append(job.program(node, [str(script)], server=torchrun_server))
    assert [process.wait() for process in processes] == [0, 0], "\n".join(process.log for process in processes)
    for node, process in zip(nodes, processes, strict=True):
        rank = job.ranks()[node]
        assert str({rank: f"rank {rank} of 2"}) in process.log


def test_a_launch_is_interrupted_and_followed_by_another_in_the_same_program(
    job: Job, torchrun_server: ForkServer
) -> None:
    """As in a notebook: torch does not say to its handler that a signal has ended the launch."""
    job.create(1, 1, heartbeatIntervalSeconds=1)
    pods = Pods(job)
    script = job.folder / "program.py"
    script.write_text(LAUNCH_TWICE)
    environment = pods.environment("w-0", pods.create("w-0"))
    command = [str(script), f"{job.namespace}/{job.name}", str(job.folder)]
    program = job.program("w-0", command, environment, torchrun_server)
    wait_until((job.folder / "began-1").exists, "the first launch", 60)
    program.popen.send_signal(signal.SIGINT)
    wait_until(lambda: "INTERRUPTED" in program.log, "the end of the first launch", 60)
    # Its node leaves by itself, although the program goes on.
    reason = wait_until(lambda: job.participant("w-0")["spec"].get("leaveReason"), "the node to leave")
    assert reason == LeaveReason.TERMINATED
    (job.folder / "left").touch()
    wait_until((job.folder / "began-2").exists, "the second launch", 60)
    assert [member.name for member in job.status.participants] == [f"{job.name}.w-0"]
    job.stop_training()
    assert program.wait(60) == 0


@pytest.mark.main_job
def test_get_rendezvous_handler_by_entry_point_and_by_register(job: Job, torchrun_server: ForkServer) -> None:
    job.create(2, 2)
    processes = start(job, torchrun_server, HANDLER, ("n0", "n1"))
    assert [process.wait() for process in processes] == [0, 0], "\n".join(process.log for process in processes)
    for process in processes:
        assert "REFUSED The rendezvous backend 'my-own-name' is not registered" in process.log
    found = [results(process) for process in processes]
    for number, backend in enumerate(("kubernetes", "my-own-name")):
        ranks = [of_node[number][2] for of_node in found]
        assert sorted(ranks) == [0, 1]
        for of_node, rank, other in zip(found, ranks, ("n1", "n0"), strict=True):
            assert of_node[number] == [backend, backend, rank, 2, other, "127.0.0.1"]
    assert {"n0": ranks[0], "n1": ranks[1]} == job.ranks()
