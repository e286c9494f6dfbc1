"""What the agents of the end-to-end tests run: a group that steps together until it is told to stop.

Each worker appends what it is and what it does to a file of its own; `tests.support.journal` reads them.

Usage: worker.py FOLDER [--together | --collectives]. It ends with 0 once FOLDER/stop exists.
FOLDER/crash-<node>-<local rank> makes that worker fail (and is removed by it). With --collectives every step is an
all_reduce, so that a group with a missing or a wrong member cannot step, and each worker imports torch, which takes
seconds of a processor. With --together they wait for each other at each step, too, by connections to rank 0: a frozen
worker holds up the others, and they fail when one dies, as with gloo. Else nothing is exchanged, and FOLDER/stop-<node>
ends the workers of one node.
"""

import json
import os
import socket
import sys
import time
from collections.abc import Callable
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


def exchange_with_all() -> Callable[[bytes], list[bytes]]:
    """Connect with all members of this round. What is returned gives rank 0 their bytes, and them that of rank 0."""
    where = folder / f"rank-0-at-{identity['master']}"
    if identity["rank"] != 0:
        while not where.exists():
            time.sleep(0.01)
        stream = socket.create_connection(("127.0.0.1", int(where.read_text()))).makefile("rwb", buffering=0)

        def ask(byte: bytes) -> list[bytes]:
            stream.write(byte)
            return [stream.read(1)]

        return ask
    # Where torch's store would be, unless that of the agents is there.
    own = os.environ["TORCHELASTIC_USE_AGENT_STORE"] == "False"
    server = socket.create_server(("127.0.0.1", int(os.environ["MASTER_PORT"]) if own else 0))
    hidden = where.with_suffix(".new")
    hidden.write_text(str(server.getsockname()[1]))
    hidden.rename(where)
    members = [server.accept()[0].makefile("rwb", buffering=0) for _ in range(int(os.environ["WORLD_SIZE"]) - 1)]

    def answer(byte: bytes) -> list[bytes]:
        received = [member.read(1) for member in members]
        for member in members:
            member.write(byte)
        return received

    return answer


if "--together" in sys.argv:
    exchange = exchange_with_all()
    write("group", **identity)
    step, go_on = 0, True
    while go_on:
        crash_if_told()
        # Rank 0 alone looks for the file: all must stop at the same step.
        go_on = not (identity["rank"] == 0 and (folder / "stop").exists())
        received = exchange(b"1" if go_on else b"0")
        assert all(received), "another member has gone"
        go_on = go_on and (identity["rank"] == 0 or received == [b"1"])
        step += 1
        write("step", step=step, **identity)
        time.sleep(0.1)
    write("end", **identity)
    sys.exit(0)

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
