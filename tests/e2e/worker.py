"""What the agents of the end-to-end tests run: a group that steps together until it is told to stop.

Each worker appends what it is and what it does to a file of its own; `tests.support.journal` reads them.

Usage: worker.py FOLDER [--collectives]. It ends with 0 once FOLDER/stop exists. FOLDER/crash-<node>-<local rank> makes
that worker fail (and is removed by it). With --collectives every step is an all_reduce, so that a group with a missing
or a wrong member cannot step, and each worker imports torch, which takes seconds of a processor. Else nothing is
exchanged, and FOLDER/stop-<node> ends the workers of one node.
"""

import json
import os
import sys
import time
from pathlib import Path

from kube_rendezvous import worker

folder = Path(sys.argv[1])
node = os.environ["TEST_NODE"]
journal = open(folder / f"journal-{node}-{os.getpid()}.jsonl", "a", buffering=1)  # noqa: SIM115


def write(event: str, **fields: object) -> None:
    journal.write(json.dumps({"event": event, "time": time.time(), "node": node, "pid": os.getpid(), **fields}) + "\n")


identity = {
    "rank": int(os.environ["RANK"]),
    "group_rank": int(os.environ["GROUP_RANK"]),
    "world": int(os.environ["WORLD_SIZE"]),
    "nodes": int(os.environ["GROUP_WORLD_SIZE"]),
    "master": f"{os.environ['MASTER_ADDR']}:{os.environ['MASTER_PORT']}",
    "run_id": os.environ["TORCHELASTIC_RUN_ID"],
    "restarts": int(os.environ["TORCHELASTIC_RESTART_COUNT"]),
    "round": worker.round(),
}
crash = folder / f"crash-{node}-{os.environ['LOCAL_RANK']}"
delay = folder / f"delay-{node}"
if delay.exists():
    time.sleep(float(delay.read_text()))
write("start", **identity)


def crash_if_told() -> None:
    if crash.exists():
        crash.unlink()
        write("crash", **identity)
        os._exit(17)


if "--collectives" not in sys.argv:
    # No worker waits for another, so that a group which should have ended is seen to make steps.
    step = 0
    while not ((folder / "stop").exists() or (folder / f"stop-{node}").exists()):
        crash_if_told()
        step += 1
        write("step", step=step, **identity)
        time.sleep(0.1)
    write("end", **identity)
    sys.exit(0)

import torch  # noqa: E402
import torch.distributed as dist  # noqa: E402

dist.init_process_group("gloo")
write("group", **identity)
step = 0
while True:
    crash_if_told()
    # Rank 0 alone looks for the file: all must stop at the same step.
    stop = torch.tensor([1.0 if identity["rank"] == 0 and (folder / "stop").exists() else 0.0, 1.0])
    dist.all_reduce(stop)
    assert stop[1].item() == identity["world"]
    step += 1
    write("step", step=step, **identity)
    if stop[0].item() > 0:
        break
    time.sleep(0.1)
dist.destroy_process_group()
write("end", **identity)
