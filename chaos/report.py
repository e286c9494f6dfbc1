"""Writes docs/reliability.md from the results in chaos/results: ``python -m chaos.report``."""

import json
import statistics
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from hack import generated

from chaos.causes import SLOW_FACTOR, STARVED_SECONDS
from chaos.checker import BOUND_SECONDS, RULES, describe
from chaos.schedule import HEARTBEAT_SECONDS, MAX_MISSED, SUSPECT_SECONDS, Kind
from chaos.summary import Summary

ROOT = Path(__file__).parents[1]
RESULTS = Path(__file__).with_name("results")
PAGE = ROOT / "docs" / "reliability.md"
_FINDINGS = Path(__file__).with_name("findings.md")

Row = Sequence[str]


def fault_rows(schedules: Sequence[Summary]) -> Iterator[Row]:
    """How often each kind of fault was done, and what followed."""
    yield ["Fault", "Times", "Alone", "Of these without a restart", "Median", "90 %", "Longest"]
    words = {kind.name: kind.value for kind in Kind}
    done = {name for schedule in schedules for name in schedule["faults"]}
    for name in [*words, *sorted(done - words.keys())]:
        times = sum(schedule["faults"].get(name, 0) for schedule in schedules)
        if not times:
            continue
        after = [one for schedule in schedules for one in schedule["recoveries"] if name in one["kinds"]]
        alone = [one for one in after if one["kinds"] == [name]]
        calm = len([one for one in alone if not one["rounds"]])
        yield [
            words.get(name, f"`{name}`"),
            str(times),
            str(len(alone)),
            str(calm) if alone else "-",
            *_percentiles(after, (50, 90, 100)),
        ]
    every = [one for schedule in schedules for one in schedule["recoveries"]]
    times = sum(sum(schedule["faults"].values()) for schedule in schedules)
    alone = [one for one in every if len(one["kinds"]) == 1]
    calm = len([one for one in alone if not one["rounds"]])
    yield ["**all**", str(times), str(len(alone)), str(calm), *_percentiles(every, (50, 90, 100))]


def recovery_rows(schedules: Sequence[Summary]) -> Iterator[Row]:
    """All recoveries together, with and without a restart."""
    every = [one for schedule in schedules for one in schedule["recoveries"]]
    shown = (50, 90, 99, 100)
    yield ["", "Recoveries", "Median", "90 %", "99 %", "Longest"]
    for title, chosen in (
        ("training went on", [one for one in every if not one["rounds"]]),
        ("1 round was ended", [one for one in every if one["rounds"] == 1]),
        ("2 or more rounds were ended", [one for one in every if one["rounds"] > 1]),
        ("**all**", every),
    ):
        yield [title, str(len(chosen)), *_percentiles(chosen, shown)]


def round_rows(schedules: Sequence[Summary]) -> Iterator[Row]:
    """How many rounds ended, by reason."""
    yield ["Reason", "Rounds"]
    rounds: Counter[str] = Counter()
    for schedule in schedules:
        rounds.update(schedule["rounds"])
    yield from ([f"`{reason}`", str(number)] for reason, number in rounds.most_common())
    yield ["**all**", str(rounds.total())]


def run_rows(runs: Sequence[Any]) -> Iterator[Row]:
    """On what the page rests."""
    yield ["Date", "Commit", "Seeds", "Seconds each", "Cores", "Slower by (median)", "at most"]
    for run in runs:
        seeds = [schedule["seed"] for schedule in run["schedules"]]
        slowness = [schedule["slowness"] for schedule in run["schedules"] if "slowness" in schedule]
        machine = run["machine"]
        yield [
            machine["date"],
            f"`{machine['commit']}`",
            f"{min(seeds)} to {max(seeds)}",
            f"{run['seconds']:g}",
            str(machine["cores"]),
            f"{statistics.median(factor for factor, _ in slowness):.1f}" if slowness else "not measured",
            f"{max(factor for _, factor in slowness):.1f}" if slowness else "",
        ]


def violation_rows(schedules: Sequence[Summary]) -> Iterator[Row]:
    """What was broken."""
    yield ["Seed", "Promise", "What was seen"]
    for schedule in schedules:
        for violation in schedule["violations"]:
            yield [str(schedule["seed"]), violation["rule"], violation["message"]]


def _percentiles(recoveries: Sequence[Any], shown: Sequence[int]) -> list[str]:
    seconds = sorted(one["seconds"] for one in recoveries if one["seconds"] is not None)
    if not seconds:
        return ["-"] * len(shown)
    return [f"{seconds[min(len(seconds) - 1, len(seconds) * part // 100)]:.1f} s" for part in shown]


def page(runs: Sequence[Any], findings: str) -> str:
    """The page."""
    schedules = [schedule for run in runs for schedule in run["schedules"]]
    return "\n".join(
        [
            "<!-- Written by `python -m chaos.report` from chaos/results. Do not edit. -->",
            "",
            "# Reliability",
            "",
            _INTRODUCTION.strip(),
            "",
            "- [What it rests on](#what-it-rests-on)",
            "- [Faults and recoveries](#faults-and-recoveries)",
            "- [What is checked](#what-is-checked)",
            "- [What was found](#what-was-found)",
            "- [Run it](#run-it)",
            "",
            "## What it rests on",
            "",
            *_rests_on(schedules),
            "",
            generated.table_of(run_rows(runs)),
            "",
            "## Faults and recoveries",
            "",
            _RECOVERIES.strip(),
            "",
            generated.table_of(fault_rows(schedules)),
            "",
            generated.table_of(recovery_rows(schedules)),
            "",
            "Rounds that ended:",
            "",
            generated.table_of(round_rows(schedules)),
            "",
            "## What is checked",
            "",
            _CHECKS.strip(),
            "",
            *(f"- {describe(rule)}" for rule in RULES),
            "",
            _BOUNDS.strip(),
            "",
            "## What was found",
            "",
            *_found(schedules, findings),
            "## Run it",
            "",
            _RUN.strip(),
            "",
        ]
    )


def _rests_on(schedules: Sequence[Summary]) -> list[str]:
    minutes = sum(schedule["seconds"] for schedule in schedules) / 60
    operators = Counter(
        "one operator"
        if schedule["operators"] == 1
        else "two operators that elect a leader"
        if schedule["leader_elect"]
        else "two operators that both decide"
        for schedule in schedules
    )
    sizes = Counter(f"{schedule['nodes']} nodes" for schedule in schedules)
    return [
        f"**{len(schedules)} schedules**, {minutes:.0f} minutes of faults:",
        "",
        f"- {sum(schedule['steps'] for schedule in schedules):,} all-reduces of a whole group",
        f"- {sum(schedule['requests'] for schedule in schedules):,} requests, "
        f"{sum(schedule['failed_requests'] for schedule in schedules):,} of which were made to fail",
        f"- {_listed(operators)}",
        f"- {_listed(sizes)}",
        "",
        "That is very little. It finds what goes wrong often, and proves nothing about what goes wrong rarely.",
    ]


def _found(schedules: Sequence[Summary], findings: str) -> list[str]:
    broken = [schedule for schedule in schedules if schedule["violations"]]
    return [
        f"A promise was broken in {len(broken)} of {len(schedules)} schedules.",
        "",
        *([generated.table_of(violation_rows(schedules)), ""] if broken else []),
        *([findings.strip(), ""] if findings else []),
    ]


def _listed(numbers: Counter[str]) -> str:
    return ", ".join(f"{number} with {what}" for what, number in sorted(numbers.items()))


_INTRODUCTION = """
Random faults, several at a time, are done to real processes: torchrun agents whose workers make an all-reduce (gloo)
five times a second, operators, kube-apiserver and etcd. A checker then reads what every worker, agent and API object
has gone through, and compares it with what this project promises. `make chaos` does it, and wrote this page.
"""

_RECOVERIES = """
Most episodes have one to three faults at a time, some begin before the group has recovered from the last one.
*Alone*: the episode had this fault only. *Without a restart*: no round ended. The times are those from the moment at
which the last fault was healed until all nodes that may train have made an all-reduce together; all episodes with a
fault of this kind count, also those with others. Where training never stopped, that is the next all-reduce. Agents
and workers are forked from a process that has imported torch, so the times have no import of torch in them. Where an
agent was started again, its start is in them.
"""

_CHECKS = """
Each of these is one function of [checker.py](../chaos/checker.py), and violations that are planted into a good
journal show that it can fail (`tests/unit/test_chaos_checker.py`):
"""

_BOUNDS = f"""
The bound is {BOUND_SECONDS:.0f} s, where the machine gives the processes what they ask for. Where it lets them wait
(*slower by*, from the scheduler's own account of this program), the bound is as much longer; the tables say what it
really took. [causes.py](../chaos/causes.py) has the reasons that each kind of fault may have, and how many rounds it
may cost. A worker that is stopped, errors and lost answers of requests, an operator that dies, stops or is cut off,
an API server that is away, a slow etcd and new times in the spec may cost none at all. The group has a heartbeat
interval of {HEARTBEAT_SECONDS} s, is silent after {MAX_MISSED} s and loses a suspect after {SUSPECT_SECONDS} s. Where
this program was left out for {STARVED_SECONDS:.0f} s, or was slower by {SLOW_FACTOR:.0f} or more, a loss counts as
explained.

What is not covered: machines of their own, real networks between the nodes, and pods (there is no kubelet; `make
test-cluster` has them). Slow disk: etcd is stopped for up to 1.5 s again and again. The store that a node cannot
reach: the agent's own connections to it hang; a way between the workers is never cut.
"""

_RUN = """
```sh
make chaos SECONDS=120 SEED=7                                    # one schedule
.venv/bin/python -m chaos --seconds 120 --seed 7 --schedules 30  # those of the seeds 7 to 36
.venv/bin/python -m chaos.report                                 # this page, from chaos/results
```

A seed stands for the same faults in the same order each time. How many of them the time holds, and what the group is
doing at that moment, depends on the machine. The exit code is 1 if a promise was broken; the program then prints how
to play this seed again, and where the journals and logs are. With `--keep` the numbers are added to `chaos/results`.
"""


def main() -> int:
    """Write the page, or with ``--check`` compare it with what is there."""
    return generated.main("python -m chaos.report", __doc__, _files)


def _files() -> dict[Path, str]:
    runs = [json.loads(path.read_text(encoding="utf-8")) for path in sorted(RESULTS.glob("*.json"))]
    if not runs:
        raise SystemExit(f"error: there are no results in {RESULTS}: run `python -m chaos --keep`")
    return {PAGE: page(runs, _FINDINGS.read_text(encoding="utf-8") if _FINDINGS.exists() else "")}


if __name__ == "__main__":
    sys.exit(main())
