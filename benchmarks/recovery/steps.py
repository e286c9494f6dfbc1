"""The lines of JSON that a worker writes, to a file of its own; see `benchmarks.recovery.journal`.

The first argument of the worker is the folder. It is imported before torch is, since that takes seconds.
"""

import json
import os
import sys
import time
from pathlib import Path
from typing import Any

STEP_SECONDS = 0.1
CHECKPOINT_STEPS = 10

folder = Path(sys.argv[1])
node, pid = os.environ["RECOVERY_NODE"], os.getpid()
_lines = os.open(folder / f"steps-{node}-{pid}.jsonl", os.O_WRONLY | os.O_APPEND | os.O_CREAT)


def write(event: str, **fields: Any) -> None:
    """Write what has just happened."""
    line = json.dumps({"event": event, "node": node, "pid": pid, "at": time.monotonic(), **fields})
    os.write(_lines, f"{line}\n".encode())
