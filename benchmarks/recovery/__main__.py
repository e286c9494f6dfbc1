"""Measures how long a group is down after a fault, with this rendezvous and with other launchers.

``python -m benchmarks.recovery [--only NAMES] [--faults F1,F2] [--runs 5] [--again]``. Each run is a file of its own,
and what is there is not measured again: a program that was interrupted goes on where it was.
"""

import argparse
import json
import os
import shutil
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks import machine
from benchmarks.cluster import ROOT
from benchmarks.recovery import case
from benchmarks.recovery.journal import Ending
from benchmarks.recovery.launcher import FAULTS, Launcher
from benchmarks.recovery.launchers import ALL
from benchmarks.recovery.report import RESULTS

_LOGS = ROOT / "build" / "recovery"
_TRIES = 2
"""A group that does not train at all is started once more; the result has the reason."""


class Measurements:
    """All runs of this program.

    Args:
        results: folder of the results.
        lookups: how names are looked up, in words.
    """

    def __init__(self, results: Path, lookups: str) -> None:
        self.total = 0
        self._results = results
        self._lookups = lookups
        self._began = time.monotonic()
        self._number = 0

    def all_of(self, launcher: Launcher, faults: Sequence[str], run: int) -> None:
        """Measure those of these faults that have no result yet."""
        files = {fault: self._results / f"{launcher.name}-{fault}-{run}.json" for fault in faults}
        left = [fault for fault in faults if not files[fault].exists()]
        self._number += len(faults) - len(left)
        if not left:
            return
        if missing := launcher.missing():
            print(f"{launcher.name} is left out: {missing}", file=sys.stderr, flush=True)
            self._number += len(left)
            return
        with launcher.servers():
            for fault in left:
                self._number += 1
                where = f"[{self._number}/{self.total}, {(time.monotonic() - self._began) / 60:.0f} min]"
                print(f"{where} {launcher.name}, {fault}, run {run}", file=sys.stderr, flush=True)
                found = self._one(launcher, fault, run)
                files[fault].write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
                print(f"  {say(found)}", file=sys.stderr, flush=True)

    def _one(self, launcher: Launcher, fault: str, run: int) -> dict[str, Any]:
        found: dict[str, Any] = {
            "launcher": launcher.name,
            "fault": fault,
            "run": run,
            **machine.short(),
            "name_lookups": self._lookups,
            "versions": launcher.versions(),
            "noise": machine.noise(),
        }
        failures: list[str] = []
        for attempt in range(1, _TRIES + 1):
            folder = _LOGS / f"{launcher.name}-{fault}-{run}-{attempt}"
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True)
            try:
                return {**found, "did_not_begin": failures, **case.run(launcher, fault, folder)}
            except (case.DidNotBeginError, TimeoutError) as error:
                print(f"  {error}; the logs are in {folder}", file=sys.stderr, flush=True)
                failures.append(str(error))
        load = round(os.getloadavg()[0], 1)
        return {**found, "did_not_begin": failures, "ending": Ending.DID_NOT_BEGIN.value, "load": load}


def say(found: dict[str, Any]) -> str:
    """One result, for a terminal."""
    seconds = "/".join(_short(found.get(name)) for name in ("ended", "started", "stepped"))
    return f"{found['ending']}: {seconds} s, pause {_short(found.get('pause'))} s, load {found['load']}"


def _short(seconds: float | None) -> str:
    return "-" if seconds is None else f"{seconds:.1f}"


def main() -> int:
    """Run the command line."""
    known = [launcher.name for launcher in ALL]
    parser = argparse.ArgumentParser(prog="python -m benchmarks.recovery", description=__doc__)
    parser.add_argument("--only", default=",".join(known), help="launchers, with commas between them (default: all)")
    parser.add_argument("--faults", default=",".join(FAULTS), help="faults, with commas between them (default: all)")
    parser.add_argument("--runs", type=int, default=5, help="how often each is measured (default: 5)")
    parser.add_argument("--again", action="store_true", help="forget the results of these, and measure them again")
    parser.add_argument("--results", type=Path, default=RESULTS, help="folder of the results")
    arguments = parser.parse_args()
    only, faults = arguments.only.split(","), arguments.faults.split(",")
    for what, wanted, allowed in (("--only", only, known), ("--faults", faults, list(FAULTS))):
        if unknown := [one for one in wanted if one not in allowed]:
            parser.error(f"{what}: {', '.join(unknown)} is not one of {', '.join(allowed)}")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that all servers and nodes end, too
    lookups = machine.without_name_lookups("benchmarks.recovery", sys.argv[1:])
    arguments.results.mkdir(parents=True, exist_ok=True)
    if arguments.again:
        for file in arguments.results.glob("*.json"):
            if any(file.name.startswith(f"{name}-{fault}-") for name in only for fault in faults):
                file.unlink()
    measurements = Measurements(arguments.results, lookups)
    launchers = [launcher() for launcher in ALL if launcher.name in only]
    # All launchers once, then all of them again: what else the machine does is then shared among them.
    plan = [(run, launcher) for run in range(1, arguments.runs + 1) for launcher in launchers]
    measurements.total = sum(len(set(faults) & set(launcher.faults)) for _, launcher in plan)
    for run, launcher in plan:
        measurements.all_of(launcher, [fault for fault in faults if fault in launcher.faults], run)
    print("`python -m benchmarks.recovery.report` writes the page", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
