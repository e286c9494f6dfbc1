"""What the nodes train: an all-reduce several times a second, each one a line of the journal.

Usage: worker.py FOLDER. It ends with 0 once FOLDER/stop exists.
"""

import json
import os
import sys
import time
from pathlib import Path

import torch
import torch.distributed as dist

STEP_SECONDS = 0.2

folder = Path(sys.argv[1])
node = os.environ["CHAOS_NODE"]
journal = os.open(folder / f"steps-{node}-{os.getpid()}.jsonl", os.O_WRONLY | os.O_APPEND | os.O_CREAT)
identity = {
    "node": node,
    "round": int(os.environ["RDZV_ROUND"]),
    "master": f"{os.environ['MASTER_ADDR']}:{os.environ['MASTER_PORT']}",
    "rank": int(os.environ["RANK"]),
    "nodes": int(os.environ["WORLD_SIZE"]),
}


def write(step: int, entered: float) -> None:
    """Write an all-reduce that has just ended."""
    line = json.dumps({**identity, "step": step, "entered": entered, "at": time.monotonic()})
    os.write(journal, f"{line}\n".encode())


write(0, time.monotonic())
dist.init_process_group("gloo")
for step in range(1, sys.maxsize):
    entered = time.monotonic()
    # Rank 0 alone looks for the file: all must stop at the same step.
    stop = torch.tensor([float(identity["rank"] == 0 and (folder / "stop").exists()), 1.0])
    dist.all_reduce(stop)
    if stop[1].item() != identity["nodes"]:
        raise RuntimeError(f"{stop[1].item():g} nodes took part, of {identity['nodes']}")
    write(step, entered)
    if stop[0].item():
        break
    time.sleep(STEP_SECONDS)
dist.destroy_process_group()
