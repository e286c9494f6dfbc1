"""Writes docs/recovery.md from ``benchmarks/recovery/results``: ``python -m benchmarks.recovery.report [--check]``."""

import json
import statistics
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.recovery.journal import Ending
from hack import generated

ROOT = Path(__file__).parents[2]
RESULTS = Path(__file__).with_name("results")
PAGE = ROOT / "docs" / "recovery.md"
_FINDINGS = Path(__file__).with_name("findings.md")

Result = Mapping[str, Any]
Row = Sequence[str]

LAUNCHERS = {
    "kubernetes": "kubernetes, without pods",
    "kubernetes-pods": "kubernetes, labelled pods",
    "c10d": "c10d",
    "c10d-own-store": "c10d, store not shared",
    "c10d-timeout": "c10d, store not shared, collectives fail after 10 s",
    "nvrx": "NVRx",
    "nvrx-heartbeats": "NVRx, heartbeats in the script",
    "nvrx-control": "NVRx, store served apart",
    "dlrover": "DLRover",
    "torchft": "torchft",
}
"""What each is called on the page."""
BRIEF = {
    "kubernetes-5s": "kubernetes, without pods, `timeouts.replacementSeconds` 5",
    "c10d-5s": "c10d, store not shared, `last_call_timeout=5`",
    "dlrover-5s": "DLRover, `lastcall_timeout=5`",
    "torchft-1s": "torchft, `--heartbeat_timeout_ms=1000`",
}
"""The same with shorter waits, for `BRIEF_FAULT` only."""
BRIEF_FAULT = "F2"
_ALL = {**LAUNCHERS, **BRIEF}

TITLES = {
    "F1": "F1: a worker is killed",
    "F2": "F2: all processes of a node are killed",
    "F3": "F3: all processes of the node of rank 0 are killed",
    "F4": "F4: a third node joins",
    "F5": "F5: a node is stopped for 60 s",
}
_WHAT = {
    "F1": "SIGKILL to one worker, not that of rank 0. Its agent goes on.",
    "F2": """
SIGKILL to an agent and its workers at once, not those of rank 0. No node is started in its place. The kernel of the
machine goes on, and closes their connections. A machine that loses its power does not: see F5, and
[detection](detection.md).
""",
    "F3": """
The same with the node of rank 0. With c10d and NVRx it is the one that serves the store. No other server is killed: not
the API server, the operator, nvrx-control, DLRover's master or torchft's lighthouse.
""",
    "F4": """
Two nodes train. A third one is launched. Its start and its import of torch are in the times. The group is full with
it. A Rendezvous with a greater maxNodes first gathers nodes for `scaleUp.intervalSeconds` (60 s), while training goes
on.
""",
    "F5": "SIGSTOP to an agent and its workers, not those of rank 0, and SIGCONT after 60 s.",
}
_BUSY = 4
"""Load for each core, above which a run says more about the machine. The group itself makes a load of 1 or 2."""
NOTHING_MEASURED = "**Nothing has been measured yet.** This page says what would be, and how."
_PARTS = ("ended", "started", "stepped", "pause")


def page(results: Sequence[Result], findings: str) -> str:
    """The page in Markdown; without results it says so, and what would be measured."""
    parts = [
        "<!-- Written by `python -m benchmarks.recovery.report` from benchmarks/recovery/results. Do not edit. -->",
        "# Recovery",
        _INTRODUCTION.strip(),
    ]
    if results:
        parts += [busy(results), "## The short table", _SHORT.strip(), generated.table_of(overview(results))]
    else:
        parts.append(NOTHING_MEASURED)
    for fault, title in TITLES.items():
        measured = any(run["fault"] == fault for run in results)
        table = generated.table_of(fault_rows(results, fault)) if measured else "Not measured yet."
        parts += [f"## {title}", _WHAT[fault].strip(), table]
        if fault == BRIEF_FAULT and any(run["launcher"] in BRIEF for run in results):
            parts += [_SHORTER_WAITS.strip(), generated.table_of(fault_rows(results, fault, BRIEF))]
    parts += [findings.strip(), "## How it is measured", _HOW.strip()]
    if results:
        parts.append(generated.table_of(version_rows(results)))
        parts += ["## The machine", _MACHINE.strip(), generated.table_of(machine_rows(results))]
    parts += ["## Run it", _RUN.strip()]
    return "\n\n".join(part for part in parts if part) + "\n"


def busy(results: Sequence[Result]) -> str:
    """A warning, if the machine had too much else to do in some of the runs."""
    found = [run for run in results if run["load"] > _BUSY * run["cores"]]
    if not found:
        return ""
    return (
        f"**{len(found)} of {len(results)} runs were made while the machine was busy** with other work, with a load\n"
        f"of more than {_BUSY} for each core. An import of torch takes minutes then, and no group steps in the time\n"
        "limit. These runs say nothing about a launcher."
    )


def overview(results: Sequence[Result]) -> Iterator[Row]:
    """For each launcher and fault, how long it took until the new group had made a step."""
    yield ["", *(title.partition(":")[0] for title in TITLES)]
    for launcher, title in LAUNCHERS.items():
        cells = [_short(_of(results, launcher, fault)) for fault in TITLES]
        if any(cells):
            yield [title, *(cell or "-" for cell in cells)]


def fault_rows(results: Sequence[Result], fault: str, launchers: Mapping[str, str] = LAUNCHERS) -> Iterator[Row]:
    """All that was measured of one fault, for these launchers: what each is called, by its name."""
    yield ["", "Runs", "Workers ended", "Last new worker started", "First step", "Pause", "What followed"]
    for launcher, title in launchers.items():
        runs = _of(results, launcher, fault)
        if runs:
            stepped = [run for run in runs if run["ending"] in (Ending.RECOVERED, Ending.UNNOTICED)]
            times = [_times([run[part] for run in stepped if run[part] is not None]) for part in _PARTS]
            yield [title, str(len(runs)), *times, "; ".join(endings(runs))]


def endings(runs: Sequence[Result]) -> Iterator[str]:
    """How runs of one launcher and fault have ended, with their numbers."""
    counted = Counter(_ending(run) for run in runs)
    yield from (f"{words}: {number} of {len(runs)}" for words, number in counted.most_common())


def version_rows(results: Sequence[Result]) -> Iterator[Row]:
    """Which version of what was measured."""
    yield ["", "Versions"]
    for launcher, title in _ALL.items():
        runs = [run for run in results if run["launcher"] == launcher]
        versions = {", ".join(f"{name} {version}" for name, version in run["versions"].items()) for run in runs}
        if versions:
            yield [title, "; ".join(sorted(versions))]


def machine_rows(results: Sequence[Result]) -> Iterator[Row]:
    """On what the runs were made, and how busy it was."""
    yield ["", "Runs", "From", "To", "Commits", "Cores", "Load before the fault", "The same loop, ms", "Names"]
    for launcher, title in _ALL.items():
        runs = [run for run in results if run["launcher"] == launcher]
        if not runs:
            continue
        dates = sorted(run["date"] for run in runs)
        commits = ", ".join(sorted({f"`{run['commit']}`" for run in runs}))
        cores = ", ".join(sorted({str(run["cores"]) for run in runs}))
        loads = _times([run["load"] for run in runs])
        loops = _times([run["noise"]["median_ms"] for run in runs])
        lookups = "; ".join(sorted({run["name_lookups"] for run in runs}))
        yield [title, str(len(runs)), dates[0], dates[-1], commits, cores, loads, loops, lookups]


def _of(results: Sequence[Result], launcher: str, fault: str) -> list[Result]:
    return [run for run in results if run["launcher"] == launcher and run["fault"] == fault]


def _short(runs: Sequence[Result]) -> str:
    if not runs:
        return ""
    recovered = [run for run in runs if run["ending"] == Ending.RECOVERED]
    stepped = [run["stepped"] for run in recovered]
    others = [run for run in runs if run["ending"] != Ending.RECOVERED]
    sizes = " or ".join(sorted({str(run["nodes"]) for run in recovered}))
    parts = [f"{_times(stepped)}, {sizes} nodes"] if stepped else []
    parts += [f"**{words}**" for words in endings(others)] if not stepped else []
    if stepped and others:
        parts.append(f"**{len(others)} of {len(runs)} did not**")
    return "; ".join(parts)


def _ending(run: Result) -> str:
    """What followed, in words that do not differ from run to run but for what matters."""
    if run["ending"] == Ending.RECOVERED:
        return f"a group of {run['nodes']}"
    if run["ending"] == Ending.UNNOTICED:
        return "not acted on: all went on when it woke"
    if run["ending"] == Ending.AGENTS_ENDED:
        codes = sorted({str(end["code"]) for end in run["agents"].values()})
        return f"all other agents ended, with exit code {' and '.join(codes)}"
    if run["ending"] == Ending.NEVER:
        went_on = "; the group of before trained on" if run["goes_on"] else ""
        return f"never in {run['limit_seconds']:.0f} s{went_on}"
    return "the group did not begin to train"


def _times(values: Sequence[float]) -> str:
    if not values:
        return "-"
    median = f"{statistics.median(values):.1f}"
    return median if len(values) == 1 else f"{median} ({min(values):.1f} to {max(values):.1f})"


_INTRODUCTION = """
How long a group does not train after a fault, with this rendezvous and with other launchers, on one machine without a
GPU. All are real processes: three nodes with one worker each, an all_reduce (gloo) each 0.1 s, and a small checkpoint
each 10 steps. All train the same script but torchft, which needs one of its own. gloo reports the death of a worker to
the others within 0.1 s. NCCL does not: there, survivors wait until something ends them.

Times are seconds from the fault: median (least to most). Without brackets there is one run.
"""

_SHORT = """
The time until all members of the new group had made a step, and how many members it has. What the script imports takes
some seconds of it; the tables below also have the times without. **Bold**: what followed when no new group trained.
"""

_SHORTER_WAITS = """
Most of these times are waits that can be set. By default DLRover waits 60 s for more nodes. c10d does so for 30 s, when
it has lost the node by 15 s of silence. torchft loses a replica group after 5 s without heartbeats. A Rendezvous waits
30 s for a replacement, without pods from the last heartbeat of the node. In labelled pods it waits 5 s when no pod is
on its way. With shorter waits a group may go on without a node that would have come. The same with shorter ones:
"""

_HOW = """
*Workers ended*: the workers of all nodes but the one that the fault was done to. *Last new worker started*: the last
worker of the new group was there, before its import of torch; compare this column. *First step*: all members of the new
group have made a step. *Pause*: from the last step of the group before to that one. The columns have the runs in which
training went on; *What followed* has all. After a fault, 120 s are waited, and after the end of F5 the same.

* **kubernetes**: the defaults of a Rendezvous with minNodes 2 and maxNodes 3. *Without pods* the operator has only what
  the agents write. *Labelled pods*: each node has a pod without a kubelet. When a node is killed, the benchmark
  writes at once into the pod's status that its container was terminated. A kubelet takes about a second for that, and
  one on a machine without power never does it. No controller creates another pod, and the pods have no owner. For the
  pods of a Job the group waits longer, as without pods, since a Job makes its pods after a delay. The control plane and
  the operator run on the same cores as the nodes.
* **c10d**: `torchrun --nnodes=2:3`, with the defaults. The first node serves the store, and has rank 0. *Store not
  shared*: with TORCH_DISABLE_SHARE_RDZV_TCP_STORE=1. *Collectives fail after 10 s*: the script gives
  `init_process_group` a timeout. In all other scripts but that of torchft it is that of torch, 30 minutes.
* **NVRx**: `ft_launcher --nnodes=3:4` with a spare, which is how it replaces a lost node; for F4 `--nnodes=2:3` without
  one. It always trains with the lower number of nodes. Its wheel is made for a newer glibc and for Python 3.12, so only
  its parts in Python are used here: the launcher, and not the CUDA parts, for which there is no GPU. *Heartbeats in the
  script*: the script reports each step. 10 s without one count as a hang, and that is looked for each 5 s. *Store
  served apart*: by `nvrx-control`, and not by the first node.
* **DLRover**: `dlrover-run --nnodes=2:3` with its local master. It starts lost nodes again on Kubernetes; that part is
  not measured.
* **torchft**: a lighthouse with the times of its examples, and three replica groups. Its script is another one: it
  needs a quorum and a vote at each step, and its collectives fail after 5 s. A step is one that is committed. The step
  after a fault is the first one of another quorum, which may have two nodes: the others go on while a worker starts
  again. Its workers are not ended: where no worker is new, those columns are empty.

All have up to 100 restarts. What none of them needs is left out: health checks of GPUs and of networks. The launchers
that are no part of torch have an environment of their own, in which an import of torch may take longer.
"""

_MACHINE = """
*The same loop*: a calculation in Python, whose time shows how busy the machine was before the run. *Names*: what
answers when torch's TCPStore looks up the address of the loopback.
"""

_RUN = """
```sh
make bench-recovery                                                             # all, five runs each, then this page
.venv/bin/python -m benchmarks.recovery --only c10d,kubernetes --faults F1,F2 --runs 1
.venv/bin/python -m benchmarks.recovery.report                                  # this page
```

All of it takes some hours. Each run is a file in `benchmarks/recovery/results`; what is there is not measured again. So
you can interrupt it and go on. `--again` forgets the results first, and measures all that is named again. The logs of
all nodes are in `build/recovery/`. The other launchers are installed into `.venv-recovery` by `hack/setup recovery`.
What is missing there is left out, with the reason.
"""


def main() -> int:
    """Write the page, or with ``--check`` compare it with what is there."""
    return generated.main("python -m benchmarks.recovery.report", __doc__, _files)


def _files() -> dict[Path, str]:
    results = [json.loads(path.read_text(encoding="utf-8")) for path in sorted(RESULTS.glob("*.json"))]
    return {PAGE: page(results, _FINDINGS.read_text(encoding="utf-8") if _FINDINGS.exists() else "")}


if __name__ == "__main__":
    sys.exit(main())
