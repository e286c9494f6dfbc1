"""Measures how soon the others of a group know that a member is lost, and that no healthy member is dropped.

``python -m benchmarks.detection [--rows NAMES] [--runs 5] [--at-once 2] [--again]``. Each run is a file of its own, and
what is there is not measured again: a program that was interrupted goes on where it was. It needs root, and Linux.
"""

import argparse
import json
import os
import shutil
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

from benchmarks import machine
from benchmarks.cluster import ROOT, running_cluster
from benchmarks.detection.large import LargeGroup
from benchmarks.detection.network import Filter, Machine, in_own_network
from benchmarks.detection.report import RESULTS
from benchmarks.detection.rows import Outcome
from benchmarks.detection.slowness import Slowness
from benchmarks.detection.small import Host, NotSeenError, begun
from benchmarks.detection.table import ROWS, Row, judged
from benchmarks.group import NotFinishedError
from tests.support.fork_server import ForkServer

from rendezvous_controlplane import ensure_binaries

_LOGS = ROOT / "build" / "detection"
_FIRST_LARGE_MACHINE = 5000
"""Numbers of the machines of large groups; those of small ones begin with 0."""
_large_machines = count(_FIRST_LARGE_MACHINE)


class _Outage:
    """Stops the API server once all groups of a row are ready for it, and starts it once all of them want it back."""

    def __init__(self, host: Host, groups: int) -> None:
        self._plane = host.cluster.plane
        self._stop = threading.Barrier(groups, self._plane.stop_apiserver)
        self._start = threading.Barrier(groups, self._start_again)
        self._back_at = 0.0

    def begin(self) -> None:
        """The API server goes away when all groups have called this."""
        self._stop.wait(600)

    def end(self) -> float:
        """It is there again when this returns; returns when it was."""
        self._start.wait(600)
        return self._back_at

    def abort(self) -> None:
        """A group takes no part any more, so no other may wait for it."""
        self._stop.abort()
        self._start.abort()

    def _start_again(self) -> None:
        self._plane.start_apiserver()
        self._back_at = time.monotonic()


class Measurements:
    """All runs of this program.

    Args:
        results: folder of the results.
        host: what all small groups share.
        at_once: how many small groups there are at a time.
        commit: of this program, when it began; files may change while it runs.
    """

    def __init__(self, results: Path, host: Host, at_once: int, commit: str) -> None:
        self._results, self._host, self._at_once, self._commit = results, host, at_once, commit
        self._slowness = Slowness()

    def all_of(self, plan: Mapping[str, Sequence[int]]) -> None:
        """Measure these runs of these rows: small groups side by side, then outages, then large groups."""
        side_by_side = [(name, run) for name, runs in plan.items() for run in runs if ROWS[name].small is not None]
        self._at_once_of([(name, run, None) for name, run in side_by_side])
        for name, runs in plan.items():
            if ROWS[name].outage is not None:
                for begin in range(0, len(runs), self._at_once):
                    batch = runs[begin : begin + self._at_once]
                    outage = _Outage(self._host, len(batch))
                    self._at_once_of([(name, run, outage) for run in batch])
            if ROWS[name].large is not None:
                for run in runs:
                    self._write(name, run, 1, partial(self._large, name, ROWS[name], run))

    def _at_once_of(self, runs: "Sequence[tuple[str, int, _Outage | None]]") -> None:
        groups = min(self._at_once, len(runs))
        with ThreadPoolExecutor(max(1, groups)) as threads:
            for name, run, outage in runs:
                threads.submit(self._write, name, run, groups, partial(self._small, name, ROWS[name], run, outage))
            try:
                threads.shutdown()
            except BaseException:
                self._host.ending.set()
                threads.shutdown(cancel_futures=True)
                raise

    def _write(self, name: str, run: int, at_once: int, measure: Callable[[Outcome], None]) -> None:
        here = {**machine.short(), "commit": self._commit}
        about = {"row": name, "run": run, **here, "at_once": at_once}
        found, began = Outcome(), time.monotonic()
        try:
            measure(found)
        except (NotSeenError, NotFinishedError, TimeoutError, threading.BrokenBarrierError) as error:
            found.missed.append(str(error) or type(error).__name__)
        except BaseException:
            traceback.print_exc()  # an error of this program; a thread would keep it for itself
            raise
        if self._host.ending.is_set():
            return
        seconds = {"told": found.told, "new_round": found.new_round, **found.more}
        rounded = {key: round(value, 2) if isinstance(value, float) else value for key, value in seconds.items()}
        result: dict[str, Any] = {**about, **rounded, "load_after": _load()}
        result |= {"loop": self._slowness.since(began), "missed": judged(ROWS[name], found)}
        (self._results / f"{name}-{run}.json").write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
        words = "; ".join(result["missed"]) or "as wanted"
        print(f"{name}, run {run}: told {result['told']} s, new round {result['new_round']} s: {words}", flush=True)

    def _small(self, name: str, row: Row, run: int, outage: _Outage | None, found: Outcome) -> None:
        try:
            with begun(self._host, f"{name}-{run}", _folder(name, run), pods=row.pods) as group:
                found.more["load"] = _load()
                if row.small is not None:
                    row.small(group, found)
                if row.outage is not None and outage is not None:
                    outage.begin()
                    row.outage(group, found, outage.end)
        except BaseException:
            if outage is not None:
                outage.abort()
            raise

    def _large(self, name: str, row: Row, run: int, found: Outcome) -> None:
        assert row.large is not None
        cluster = self._host.cluster
        group = LargeGroup(cluster, f"{name}-{run}", Machine(next(_large_machines), cluster.plane.port), row.lonely)
        try:
            group.begin()
            found.more["load"] = _load()
            row.large(group, found)
        finally:
            group.close()


def _folder(name: str, run: int) -> Path:
    folder = _LOGS / f"{name}-{run}"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder


def _load() -> float:
    return round(os.getloadavg()[0], 1)


@contextmanager
def _host(filtered: bool) -> Iterator[Host]:
    _LOGS.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        torchruns = stack.enter_context(ForkServer("torchrun"))
        log = _LOGS / f"operator-{time.strftime('%Y%m%d-%H%M%S', time.gmtime())}-{os.getpid()}.log"
        cluster = stack.enter_context(running_cluster(log=log))
        yield Host(cluster, torchruns, Filter() if filtered else None)


def main() -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.detection", description=__doc__)
    parser.add_argument("--rows", default=",".join(ROWS), help=f"with commas between them: {', '.join(ROWS)}")
    parser.add_argument("--runs", type=int, default=5, help="how often each is measured (default: 5)")
    parser.add_argument("--at-once", type=int, default=2, help="how many groups of three at a time (default: 2)")
    parser.add_argument("--again", action="store_true", help="forget the results of these, and measure them again")
    parser.add_argument("--results", type=Path, default=RESULTS, help="folder of the results")
    arguments = parser.parse_args()
    wanted = arguments.rows.split(",")
    if unknown := [name for name in wanted if name not in ROWS]:
        parser.error(f"--rows: {', '.join(unknown)} is not one of {', '.join(ROWS)}")
    if arguments.runs < 1 or arguments.at_once < 1:
        parser.error(f"--runs {arguments.runs} and --at-once {arguments.at_once} must be 1 or more")
    ensure_binaries()
    in_own_network("benchmarks.detection", sys.argv[1:])
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that all servers and agents end, too
    results: Path = arguments.results
    commit = machine.short()["commit"]
    results.mkdir(parents=True, exist_ok=True)
    plan = {name: list(range(1, min(arguments.runs, ROWS[name].runs or arguments.runs) + 1)) for name in wanted}
    for name, runs in plan.items():
        if arguments.again:
            for run in runs:
                (results / f"{name}-{run}.json").unlink(missing_ok=True)
        plan[name] = [run for run in runs if not (results / f"{name}-{run}.json").exists()]
    with _host(any(ROWS[name].filtered for name in wanted)) as host:
        Measurements(results, host, arguments.at_once, commit).all_of(plan)
    print("`python -m benchmarks.detection.report` writes the page", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
