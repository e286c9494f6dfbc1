"""Measures this rendezvous beside torch's own, in one run on one machine: ``make bench``, ``make bench-quick``."""

import argparse
import contextlib
import json
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks import machine
from benchmarks.backends import (
    C10D,
    C10D_STUBBED,
    ETCD,
    FLOOR,
    KUBERNETES,
    Backend,
    C10d,
    C10dStubbed,
    EtcdV2,
    Floor,
    Kubernetes,
    Shape,
    find_etcd_v2,
    running_etcd_v2,
)
from benchmarks.cluster import ROOT, Cluster, running_cluster
from benchmarks.costs import Costs, counted
from benchmarks.footprint import footprint
from benchmarks.group import Group, NotFinishedError
from benchmarks.plan import COST_SIZES, IDLE_SECONDS, QUICK_COST_SIZES, QUICK_IDLE_SECONDS, Entry, plan
from benchmarks.report import table
from benchmarks.scenarios import ALL, measure

from rendezvous_controlplane.binaries import program_version

RESULTS = ROOT / "benchmarks" / "results"

_COST_LIMIT_SECONDS = 120.0


class Run:
    """One run of all of it, and what it has found so far."""

    def __init__(self, found: dict[str, Any], backends: dict[str, Backend], group: Group) -> None:
        self._found = found
        self._backends = backends
        self._group = group
        self._began = time.monotonic()

    def times(self, entries: list[Entry]) -> None:
        """Measure how long everything takes."""
        entries = [entry for entry in entries if entry.backend in self._backends]
        hopeless: set[tuple[str, int]] = set()
        for number, entry in enumerate(entries, start=1):
            if (entry.backend, entry.nodes) in hopeless:
                continue
            runs = []
            for _ in range(entry.runs):
                runs.append(
                    measure(entry.scenario, self._backends[entry.backend], self._group, entry.nodes, entry.limit)
                )
                took = runs[-1].failure or f"{runs[-1].seconds[ALL]:.3f} s"
                where = f"[{number}/{len(entries)}, {self._elapsed()}]"
                self._say(f"{where} {entry.backend}, {entry.scenario}, {entry.nodes} nodes: {took}")
                if runs[-1].failure:
                    # It would be so again, and most other scenarios begin with what has failed.
                    hopeless.add((entry.backend, entry.nodes))
                    break
            self._found["results"].append({**asdict(entry), "runs": [asdict(run) for run in runs]})

    def costs(self, cluster: Cluster, sizes: tuple[int, ...], idle: float) -> None:
        """Measure what a group costs the cluster: one that joins, joins again, and then only trains."""
        backend = self._backends[KUBERNETES]
        for nodes in sizes:
            self._say(f"[costs, {self._elapsed()}] {nodes} nodes join, join again, and train for {idle:.0f} s")
            try:
                self._found["costs"] += list(self._costs_of(cluster, nodes, idle))
            except NotFinishedError as error:
                self._say(f"[costs, {self._elapsed()}] {nodes} nodes: {error}")
                self._found["costs_not_finished"].append({"nodes": nodes, "why": str(error)})
                self._group.close()
            self._group.shut_down(limit=60)
            backend.close()

    def _costs_of(self, cluster: Cluster, nodes: int, idle: float) -> Iterator[dict[str, Any]]:
        members = range(nodes)
        self._backends[KUBERNETES].open(self._group, Shape(nodes, nodes, nodes))
        time.sleep(2)
        for phase in ("join", "restart", "idle"):
            costs = Costs()
            with counted(cluster, costs):
                if phase == "idle":
                    time.sleep(idle)
                else:
                    began = self._group.join(members)
                    self._group.await_all("joined", members, began, _COST_LIMIT_SECONDS)
            yield {"nodes": nodes, "phase": phase, **asdict(costs)}

    def _elapsed(self) -> str:
        minutes, seconds = divmod(int(time.monotonic() - self._began), 60)
        return f"{minutes} min {seconds:02d} s"

    def _say(self, text: str) -> None:
        print(text, file=sys.stderr, flush=True)


@contextlib.contextmanager
def _etcd_v2(folder: Path) -> Iterator[tuple[str | None, dict[str, Backend]]]:
    program = find_etcd_v2()
    if program is None:
        print("no etcd with the v2 API was found (ETCD_V2, PATH, apt): etcd-v2 is left out", file=sys.stderr)
        yield None, {}
        return
    with running_etcd_v2(program, folder) as port:
        version = subprocess.run([program, "--version"], capture_output=True, text=True, check=True).stdout
        yield version.splitlines()[0].rpartition(" ")[2], {ETCD: EtcdV2(port)}


def run(quick: bool, lookups: str) -> dict[str, Any]:
    """Measure everything. Takes some 10 minutes; ``quick`` some 3."""
    memory = Path("/dev/shm")
    folder = tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None)
    with folder as data, running_cluster() as cluster, _etcd_v2(Path(data)) as (etcd_version, etcd):
        plane = cluster.plane
        found: dict[str, Any] = {
            "machine": machine.describe(plane.version, program_version(plane.binaries.etcd), etcd_version),
            "name_lookups": lookups,
            "footprint": [footprint() for _ in range(3)],
            "results": [],
            "costs": [],
            "costs_not_finished": [],
        }
        kubernetes = Kubernetes(cluster)
        backends: dict[str, Backend] = {
            FLOOR: Floor(kubernetes, cluster),
            KUBERNETES: kubernetes,
            C10D: C10d(),
            C10D_STUBBED: C10dStubbed(),
            **etcd,
        }
        group = Group()
        try:
            measure("join", kubernetes, group, 8, 60)  # the first one pays for what is done once
            this = Run(found, backends, group)
            this.times(list(plan(quick)))
            sizes, idle = (QUICK_COST_SIZES, QUICK_IDLE_SECONDS) if quick else (COST_SIZES, IDLE_SECONDS)
            this.costs(cluster, sizes, idle)
        finally:
            group.close()
        found["machine"]["noise_after"] = machine.noise()
    return found


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer sizes and runs; does not count for the page")
    parser.add_argument("--json", type=Path, help="where all numbers go (default: benchmarks/results/, or build/)")
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that all servers end, too
    lookups = machine.without_name_lookups("benchmarks", sys.argv[1:])
    found = run(arguments.quick, lookups)
    stamp = found["machine"]["date"].replace(" UTC", "").replace(" ", "-").replace(":", "")
    target = arguments.json or (ROOT / "build" / "bench-quick.json" if arguments.quick else RESULTS / f"{stamp}.json")
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    print(table([found]))
    print(f"all numbers are in {target}", file=sys.stderr)


if __name__ == "__main__":
    main()
