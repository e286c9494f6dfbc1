"""What the pods of these tests train: a small model, data parallel, with checkpoints, until it is told to stop.

Each optimizer step is a line in a journal, with the time, the rank and the store of the round, which tells the round.
`harness.Group.journal` reads them. The times are those of one machine: the nodes of the test cluster share its clocks.

Usage: train.py FOLDER [--steps=N]. It ends with 0 after N steps, or at the next one once FOLDER/stop exists.
FOLDER/crash-POD makes that pod's worker fail (and is removed by it).
"""

import json
import os
import sys
import time
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch.nn.parallel import DistributedDataParallel

CHECKPOINT_EVERY = 5
STEP_SECONDS = 0.2

folder = Path(sys.argv[1])
steps = [argument.removeprefix("--steps=") for argument in sys.argv[2:]]
last_step = int(steps[0]) if steps else sys.maxsize
node = os.environ["POD_NAME"]
identity = {
    "rank": int(os.environ["RANK"]),
    "group_rank": int(os.environ["GROUP_RANK"]),
    "world": int(os.environ["WORLD_SIZE"]),
    "nodes": int(os.environ["GROUP_WORLD_SIZE"]),
    "master": f"{os.environ['MASTER_ADDR']}:{os.environ['MASTER_PORT']}",
    "restarts": int(os.environ["TORCHELASTIC_RESTART_COUNT"]),
}
journal = open(folder / f"journal-{node}-{os.getpid()}.jsonl", "a", buffering=1)  # noqa: SIM115


def write(event: str, **fields: object) -> None:
    """Add a line: one write, so that a worker that is killed leaves at most half a line."""
    record = {"event": event, "time": time.time(), "node": node, "pid": os.getpid(), **identity, **fields}
    journal.write(json.dumps(record) + "\n")


def load_checkpoint(path: Path, model: torch.nn.Module, optimizer: torch.optim.Optimizer) -> int:
    """Take over the last checkpoint; returns how many steps are done. Rank 0 reads it, so all have the same one."""
    states: list[Any] = [None]
    if identity["rank"] == 0 and path.exists():
        states = [torch.load(path, weights_only=True)]
    dist.broadcast_object_list(states)
    if states[0] is None:
        return 0
    model.load_state_dict(states[0]["model"])
    optimizer.load_state_dict(states[0]["optimizer"])
    return int(states[0]["step"])


def save_checkpoint(path: Path, model: torch.nn.Module, optimizer: torch.optim.Optimizer, step: int) -> None:
    """Write it whole or not at all."""
    new = path.with_suffix(".new")
    torch.save({"model": model.state_dict(), "optimizer": optimizer.state_dict(), "step": step}, new)
    os.replace(new, path)


def told_to_stop() -> bool:
    """Whether the file is there. Rank 0 alone looks: all must stop at the same step."""
    stop = torch.tensor(float(identity["rank"] == 0 and (folder / "stop").exists()))
    dist.broadcast(stop, 0)
    return bool(stop)


def main() -> None:
    """Train."""
    write("start")
    dist.init_process_group("gloo")
    torch.manual_seed(0)
    model = DistributedDataParallel(torch.nn.Linear(16, 1))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)
    checkpoint = folder / "checkpoint.pt"
    step = load_checkpoint(checkpoint, model, optimizer)
    write("group", step=step)
    while step < last_step and not told_to_stop():
        if (folder / f"crash-{node}").exists():
            (folder / f"crash-{node}").unlink()
            write("crash")
            os._exit(17)
        inputs = torch.randn(8, 16)
        optimizer.zero_grad()
        loss = torch.nn.functional.mse_loss(model(inputs), inputs.sum(dim=1, keepdim=True))
        loss.backward()
        optimizer.step()
        step += 1
        write("step", step=step, loss=loss.item())
        if identity["rank"] == 0 and step % CHECKPOINT_EVERY == 0:
            save_checkpoint(checkpoint, model, optimizer, step)
        time.sleep(STEP_SECONDS)
    dist.barrier()
    dist.destroy_process_group()
    write("end", step=step)


if __name__ == "__main__":
    main()
