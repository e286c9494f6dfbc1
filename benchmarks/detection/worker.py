"""What the agents run: a worker that steps by itself and waits for no other one.

Usage: worker.py FOLDER. It appends lines of JSON to a file of its own below FOLDER; `tests.support.journal` reads them,
and their times are of CLOCK_MONOTONIC. It ends when its agent tells it to, or fails once FOLDER/crash-NODE is there.
"""

import json
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

STEP_SECONDS = 0.2

folder, node = Path(sys.argv[1]), os.environ["DETECTION_NODE"]
identity = {
    "round": int(os.environ["RDZV_ROUND"]),
    "rank": int(os.environ["GROUP_RANK"]),
    "nodes": int(os.environ["GROUP_WORLD_SIZE"]),
}
journal = os.open(folder / f"journal-{node}-{os.getpid()}.jsonl", os.O_WRONLY | os.O_APPEND | os.O_CREAT)


def write(event: str) -> None:
    """Write what has just happened."""
    line = {"event": event, "time": time.monotonic(), "node": node, "pid": os.getpid(), **identity}
    os.write(journal, f"{json.dumps(line)}\n".encode())


def stop(*_: Any) -> None:
    """The agent ends its workers: it knows that the round has ended."""
    write("told")
    os._exit(0)


signal.signal(signal.SIGTERM, stop)
write("start")
crash = folder / f"crash-{node}"
while True:
    if crash.exists():
        crash.unlink()
        write("crash")
        os._exit(17)
    write("step")
    time.sleep(STEP_SECONDS)
