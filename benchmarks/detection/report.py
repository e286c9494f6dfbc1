"""Writes docs/detection.md from the results beside this file: ``python -m benchmarks.detection.report [--check]``."""

import json
import re
import statistics
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.detection.table import ROWS
from hack import generated

ROOT = Path(__file__).parents[2]
RESULTS = Path(__file__).with_name("results")
PAGE = ROOT / "docs" / "detection.md"
NOT_MEASURED = "not measured yet"
_FINDINGS = Path(__file__).with_name("findings.md")

Result = Mapping[str, Any]
Cells = Sequence[str]


def page(results: Sequence[Result], findings: str) -> str:
    """The page in Markdown."""
    sides = [name for name, row in ROWS.items() if row.told_limit or row.round_limit]
    parts = [
        "<!-- Written by `python -m benchmarks.detection.report` from benchmarks/detection/results. Do not edit. -->",
        "# Detection",
        _INTRODUCTION.strip(),
        "## A member is lost",
        _LOST.strip(),
        generated.table_of(lost_rows(results, sides)),
        "## A member is healthy",
        _HEALTHY.strip(),
        generated.table_of(healthy_rows(results, [name for name in ROWS if name not in sides])),
        "## What is not as it must be",
        "\n".join(missed(results)) or "All runs were as wanted.",
        findings.strip(),
        "## How it is measured",
        _HOW.strip(),
        "## The machine",
        _MACHINE.strip(),
        generated.table_of(machine_rows(results)),
        "## Run it",
        _RUN.strip(),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def lost_rows(results: Sequence[Result], names: Sequence[str]) -> Iterator[Cells]:
    """The seconds of each row in which a member is lost."""
    yield ["What happens", "Wanted", "Runs as wanted", "All others asked", "Their new round", "It is back", "Evidence"]
    for name in names:
        runs = _of(results, name)
        times = [_times(runs, key) for key in ("told", "new_round", "back")]
        yield [ROWS[name].what, ROWS[name].wanted, _as_wanted(runs), *times, _evidence(runs)]


def healthy_rows(results: Sequence[Result], names: Sequence[str]) -> Iterator[Cells]:
    """What was seen in each row in which no member is lost."""
    yield ["What happens", "Wanted", "Runs as wanted", "Asked after a failed worker", "The next round", "Also seen"]
    for name in names:
        runs = _of(results, name)
        also = [text for key in ("reason", "packets dropped", "held out") if (text := _also(runs, key))]
        yield [
            ROWS[name].what, ROWS[name].wanted, _as_wanted(runs), _times(runs, "told"), _times(runs, "new_round"),
            "; ".join(also) or "-",
        ]  # fmt: skip


def missed(results: Sequence[Result]) -> Iterator[str]:
    """A line for each run that was not as wanted."""
    for name in ROWS:
        for run in _of(results, name):
            if run["missed"]:
                busy = f"a load of {run.get('load', '-')} to {run['load_after']} and a loop of {_loop(run):.0f} ms"
                busy += f", at most {run['loop']['most_ms']:.0f} ms" if "loop" in run else ""
                yield f"- `{name}`, run {run['run']}, with {busy}: {'; '.join(run['missed'])}"


def machine_rows(results: Sequence[Result]) -> Iterator[Cells]:
    """On what each row was measured, and how busy it was."""
    yield [
        "",
        "Dates",
        "Commits",
        "Cores",
        "Groups at once",
        "Load before",
        "Load after",
        "The same loop, ms",
        "At most",
    ]
    for name in ROWS:
        if not (runs := _of(results, name)):
            continue
        days = sorted(run["date"] for run in runs)
        yield [
            f"`{name}`",
            f"{days[0]} to {days[-1]}" if days[0] != days[-1] else days[0],
            ", ".join(sorted({f"`{run['commit']}`" for run in runs})),
            *(", ".join(sorted({str(run[key]) for run in runs})) for key in ("cores", "at_once")),
            *(_times(runs, key) for key in ("load", "load_after")),
            _median([_loop(run) for run in runs]),
            _median([run["loop"]["most_ms"] for run in runs if "loop" in run]),
        ]


def _of(results: Sequence[Result], name: str) -> list[Result]:
    return sorted((run for run in results if run["row"] == name), key=lambda run: int(run["run"]))


def _loop(run: Result) -> float:
    """How long the same calculation took: in the time of the run, or before it where only that was measured."""
    return float((run.get("loop") or run["noise"])["median_ms"])


def _as_wanted(runs: Sequence[Result]) -> str:
    good = sum(not run["missed"] for run in runs)
    text = f"{good} of {len(runs)}" if runs else NOT_MEASURED
    return text if good == len(runs) else f"**{text}**"


def _times(runs: Sequence[Result], key: str) -> str:
    return _median([run[key] for run in runs if run.get(key) is not None])


def _median(values: Sequence[float]) -> str:
    if not values:
        return "-"
    median = f"{statistics.median(values):.1f}"
    return median if len(values) == 1 else f"{median} ({min(values):.1f} to {max(values):.1f})"


def _evidence(runs: Sequence[Result]) -> str:
    """What the Rendezvous of the first run says of the loss, with the names of nodes alone."""
    words = next((str(run["message"]) for run in runs if run.get("message")), "-")
    return _plain(words)


def _plain(words: str) -> str:
    """Without the name of the Rendezvous before that of a node, which differs from run to run."""
    return re.sub(r"[a-z0-9-]+-\d+\.", "", words)


def _also(runs: Sequence[Result], key: str) -> str:
    values = [run[key] for run in runs if run.get(key) is not None]
    if not values:
        return ""
    if all(isinstance(value, int) for value in values):
        return f"{key}: {min(values)} to {max(values)}"
    return f"{key}: {', '.join(sorted({_plain(value) for value in values}))}"


_INTRODUCTION = """
How soon the other members of a group know that one is lost, and that no healthy member is dropped: what the
[beats](protocol/peers.md) and the heartbeats promise together, measured on real processes. The times of a Rendezvous
are the defaults. No pod is known to the operator, unless the row says so.
"""

_LOST = """
Times are seconds from what happens: median (least to most). *All others asked*: the agents of all other members have
got the order to join again, and end their workers. *Their new round*: their workers run in a round without the lost
members. Without pods they wait first for a replacement. *It is back*: from its waking until all train in one round.
*Evidence*: the words of the Rendezvous in the first run.
"""

_HEALTHY = """
No node may be dropped here, and no worker may restart but the one that is made to fail. Times are seconds from the
failure of that worker, or from the moment at which the way to the API server was there again.
"""

_HOW = """
- **Three nodes.** Each is a torchrun agent with one worker. It runs on a machine of its own, which is a network
  namespace with a cable to a switch. The worker steps each 0.2 s by itself, so it never fails because of another one.
  API server, etcd and operator run on the same cores.
- **Two ways.** The agents reach each other by the switch, and the API server by a proxy of each machine. A power cut
  stops all processes, takes the cable and the proxy away, and then kills the processes: the others get no packet any
  more, not even the end of a connection. SIGKILL and SIGSTOP are sent to an agent and its worker.
- **256 nodes.** The agents are the handlers of this project without torchrun, many in a process. Those that something
  happens to are alone in a process, on a machine of their own. They have no workers: an agent is asked when
  `num_nodes_waiting` says so, and it is in a new round when `next_rendezvous` returns. So the rows about workers
  cannot be measured with them.
- **Packet loss.** The switch drops each packet to and from the member with a chance of 20 %, by nftables. It passes
  on all that goes to the API server.
- **A pod that is lost.** The pods are objects without a kubelet. The benchmark writes that the pod has failed at
  once, which takes a kubelet about a second.
- **No way to the API server.** The proxies of these members take packets and pass nothing on. After 30 minutes one
  worker fails, and then the way is mended. If one member can reach the API server, the others must be asked before.
- **No split.** All steps of all workers are in journals. After the first step of a round, no worker may make a step
  in an older one. A worker that was stopped is the exception: it may step until its agent has read the Rendezvous.
"""

_MACHINE = """
*The same loop*: a calculation in Python in the program that measures, again and again: its median in each run. It takes
4 ms when nothing else runs. *At most*: the one that took longest. All that is measured beside it is slower, or stands
still, in the same way: agents, API server, operator. In the first runs of this table it was measured before the run
only.
"""

_RUN = """
```sh
make bench-detection                                                            # all rows, then this page
.venv/bin/python -m benchmarks.detection --rows kill,power --runs 1
.venv/bin/python -m benchmarks.detection --rows loss,no-api-all --at-once 6     # six groups at a time
.venv/bin/python -m benchmarks.detection.report                                 # this page
```

It needs Linux and root, since it makes network namespaces, and nftables in the kernel. The program nft is that of the
machine, or it is downloaded as for [the test cluster](test-cluster.md). Each run is a file in
`benchmarks/detection/results`, and what is there is not measured again. `--again` forgets the results of the rows
that are named. The logs of all agents, and the journals of the workers, are in `build/detection/`. All of it takes
about two hours.
"""


def main() -> int:
    """Write the page, or with ``--check`` compare it with what is there."""
    return generated.main("python -m benchmarks.detection.report", __doc__, _files)


def _files() -> dict[Path, str]:
    results = [json.loads(path.read_text(encoding="utf-8")) for path in sorted(RESULTS.glob("*.json"))]
    return {PAGE: page(results, _FINDINGS.read_text(encoding="utf-8") if _FINDINGS.exists() else "")}


if __name__ == "__main__":
    raise SystemExit(main())
