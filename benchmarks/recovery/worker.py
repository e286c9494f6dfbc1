"""What each launcher trains: an all_reduce each 0.1 s, and a small checkpoint each 10 steps.

Usage: worker.py FOLDER [--heartbeats] [--timeout=SECONDS]. Each worker appends lines of JSON to a file of its own below
FOLDER, see `benchmarks.recovery.journal`. With ``--heartbeats`` each step is also reported to NVRx, as it advises.
``--timeout`` is that of a collective, in seconds; by default that of torch, 30 minutes. The script ends only with its
launcher.
"""

import argparse
import time
from datetime import timedelta
from typing import Any

from benchmarks.recovery.steps import CHECKPOINT_STEPS, STEP_SECONDS, folder, pid, write

write("start")

# After the first line: the import takes seconds, and no launcher has to do with them.
import torch  # noqa: E402
import torch.distributed as dist  # noqa: E402

parser = argparse.ArgumentParser()
parser.add_argument("folder")
parser.add_argument("--heartbeats", action="store_true")
parser.add_argument("--timeout", type=float)
options = parser.parse_args()
dist.init_process_group("gloo", timeout=timedelta(seconds=options.timeout) if options.timeout is not None else None)
rank, nodes = dist.get_rank(), dist.get_world_size()
pids: list[Any] = [None] * nodes
dist.all_gather_object(pids, pid)
group = "-".join(str(one) for one in pids)

if options.heartbeats:
    from nvidia_resiliency_ext.fault_tolerance import RankMonitorClient

    monitor = RankMonitorClient()
    monitor.init_workload_monitoring()
else:
    monitor = None

checkpoint = folder / "checkpoint.pt"
state = torch.load(checkpoint) if checkpoint.exists() else {"step": 0, "weights": torch.zeros(1000)}
while True:
    dist.all_reduce(state["weights"])
    state["step"] += 1
    write("step", group=group, nodes=nodes, rank=rank)
    if monitor is not None:
        monitor.send_heartbeat()
    if rank == 0 and state["step"] % CHECKPOINT_STEPS == 0:
        torch.save(state, checkpoint.with_suffix(".new"))
        checkpoint.with_suffix(".new").rename(checkpoint)
    time.sleep(STEP_SECONDS)
