"""What the handler adds to a process that has imported torch's elastic launcher already."""

import json
import subprocess
import sys
import textwrap

from benchmarks.cluster import ROOT

_PROGRAM = textwrap.dedent(
    """
    import json, os, time
    import torch, torch.distributed.run

    def megabytes():
        return int(open("/proc/self/statm").read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6

    before, began = megabytes(), time.perf_counter()
    import rendezvous_handler.torchrun.handler
    print(json.dumps({"seconds": time.perf_counter() - began, "megabytes": megabytes() - before}))
    """
)


def footprint() -> dict[str, float]:
    """Seconds and MB that the import of the handler takes, in a fresh process."""
    done = subprocess.run([sys.executable, "-c", _PROGRAM], capture_output=True, text=True, check=True, cwd=ROOT)
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return {key: round(value, 2) for key, value in found.items()}
