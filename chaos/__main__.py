"""Plays schedules of random faults, and checks what they led to: ``python -m chaos --seconds 120 --seed 7``."""

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from hack import generated
from tests.support.fork_server import ForkServer

from chaos import journal
from chaos.checker import check
from chaos.play import Player
from chaos.report import RESULTS, ROOT, fault_rows, recovery_rows, round_rows
from chaos.schedule import Kind, Schedule, schedule
from chaos.summary import Summary, summarize


def play(chosen: Schedule, seconds: float, folder: Path, torchruns: ForkServer) -> Summary:
    """Play one schedule, say what happens, and return its numbers."""
    began = time.monotonic()

    def say(text: str) -> None:
        print(f"  {time.monotonic() - began:6.1f} s  {text}", flush=True)

    print(f"seed {chosen.seed}: {chosen.setting}", flush=True)
    Player(chosen, folder, torchruns, say).play(seconds)
    seen = journal.read(folder)
    violations = check(seen)
    for violation in violations:
        at = violation.at - began
        print(f"VIOLATION {at:6.1f} s  {violation.rule}: {violation.message}", flush=True)
    return summarize(seen, violations)


def _machine() -> dict[str, Any]:
    describe = ["git", "-C", str(ROOT), "describe", "--always", "--dirty", "--abbrev=12"]
    commit = subprocess.run(describe, capture_output=True, text=True, check=False).stdout.strip()
    return {
        "date": time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime()),
        "commit": commit or "unknown",
        "cores": len(os.sched_getaffinity(0)),
        "load": round(os.getloadavg()[0], 1),
    }


def _kinds(text: str) -> list[Kind]:
    try:
        return [Kind[name] for name in text.split(",")]
    except KeyError as error:
        raise argparse.ArgumentTypeError(f"{error.args[0]!r} is no kind of fault") from None


def main() -> int:
    """Play them, one after the other. 0: no promise was broken."""
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))  # all processes end with us
    parser = argparse.ArgumentParser(prog="python -m chaos", description=__doc__)
    parser.add_argument("--seconds", type=float, default=120.0, help="how long each schedule begins episodes (120)")
    parser.add_argument("--seed", type=int, default=1, help="of the first schedule; the next one has the next seed (1)")
    parser.add_argument("--schedules", type=int, default=1, help="how many (1)")
    parser.add_argument("--agents", type=int, choices=range(3, 10), help="how many nodes; else the seed says it")
    every = [kind.name for kind in Kind]
    parser.add_argument(
        "--kinds", type=_kinds, metavar="KIND,...", help=f"choose from these faults: {', '.join(every)}"
    )
    parser.add_argument("--out", type=Path, help="a folder for journals and logs; else a new one in the usual place")
    parser.add_argument("--keep", action="store_true", help=f"add the numbers to {RESULTS.relative_to(ROOT)}")
    options = parser.parse_args()
    out = (options.out or Path(tempfile.mkdtemp(prefix="chaos-"))).absolute()
    print(f"journals and logs: {out}", flush=True)
    machine = _machine()
    schedules: list[Summary] = []
    with ForkServer("torchrun") as torchruns:
        for seed in range(options.seed, options.seed + options.schedules):
            chosen = schedule(seed, options.agents, **({"kinds": options.kinds} if options.kinds else {}))
            schedules.append(play(chosen, options.seconds, out / f"seed-{seed}", torchruns))
            run = {"machine": machine, "seconds": options.seconds, "agents": options.agents, "schedules": schedules}
            # After each, so that one that is interrupted has not been for nothing.
            (out / "results.json").write_text(json.dumps(run, indent=1) + "\n", encoding="utf-8")
    for rows in (fault_rows, recovery_rows, round_rows):
        print(f"\n{generated.table_of(rows(schedules))}")
    broken = [one["seed"] for one in schedules if one["violations"]]
    more = f" --agents {options.agents}" if options.agents else ""
    more += f" --kinds {','.join(kind.name for kind in options.kinds)}" if options.kinds else ""
    for seed in broken:
        print(f"\nreplay: python -m chaos --seconds {options.seconds:g} --seed {seed}{more}")
    print(f"\n{len(schedules)} schedules, {len(broken)} with violations; journals and logs: {out}")
    if options.keep:
        RESULTS.mkdir(exist_ok=True)
        name = f"{time.strftime('%Y-%m-%d-%H%M', time.gmtime())}.json"
        (RESULTS / name).write_text((out / "results.json").read_text(encoding="utf-8"), encoding="utf-8")
    return int(bool(broken))


if __name__ == "__main__":
    sys.exit(main())
