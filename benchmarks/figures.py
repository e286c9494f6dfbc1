"""The measurements of several runs of the benchmark, put together, and the goals held against them."""

import statistics
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from benchmarks.backends import C10D, C10D_STUBBED, FLOOR, KUBERNETES
from benchmarks.scenarios import ALL, TOLD

Found = Mapping[str, Any]
"""What one run has written."""

JOIN, RESTART, LAST_COMER = "join", "restart", "last comer"

NOT_MEASURED = "not measured"


@dataclass(frozen=True)
class Times:
    """All measurements of one thing."""

    seconds: tuple[float, ...]
    failures: tuple[str, ...] = ()
    limit: float = 0.0

    @property
    def median(self) -> float | None:
        """None where it did not finish."""
        return None if self.failures or not self.seconds else statistics.median(self.seconds)

    def __str__(self) -> str:
        if self.median is None:
            more = f", {len(self.seconds)} of {len(self.seconds) + len(self.failures)} did" if self.seconds else ""
            return f"not in {self.limit:.0f} s{more}" if self.failures else ""
        return (
            f"{number(self.median)} ({number(min(self.seconds))} to {number(max(self.seconds))}; {len(self.seconds)})"
        )


class Figures:
    """Everything that was measured of times, by backend, scenario, number of nodes and part."""

    def __init__(self, runs: Sequence[Found]) -> None:
        seconds: defaultdict[tuple[str, str, int, str], list[float]] = defaultdict(list)
        failures: defaultdict[tuple[str, str, int, str], list[str]] = defaultdict(list)
        limits: dict[tuple[str, str, int, str], float] = {}
        for backend, scenario, nodes, part, limit, found in _measured(runs):
            key = (backend, scenario, nodes, part)
            limits[key] = limit
            if isinstance(found, str):
                failures[key].append(found)
            else:
                seconds[key].append(found)
        self._times = {
            key: Times(tuple(seconds[key]), tuple(failures[key]), limit) for key, limit in sorted(limits.items())
        }

    def times(self, backend: str, scenario: str, nodes: int, part: str = ALL) -> Times:
        """The measurements of one thing; none where it was not measured."""
        return self._times.get((backend, scenario, nodes, part), Times(()))

    def sizes(self, scenario: str, backend: str | None = None) -> list[int]:
        """Numbers of nodes at which a scenario was measured."""
        return sorted({key[2] for key in self._times if key[1] == scenario and backend in (None, key[0])})

    def ratio(self, scenario: str, nodes: int, over: str, under: str) -> float | None:
        """How many times as long one backend takes as another."""
        above, below = self.times(over, scenario, nodes).median, self.times(under, scenario, nodes).median
        return above / below if above is not None and below else None


@dataclass(frozen=True)
class Goal:
    """What is to be reached, and what was."""

    what: str
    wanted: str
    reached: str
    met: bool


def goals(figures: Figures, runs: Sequence[Found]) -> list[Goal]:
    """All goals, judged by the medians over all runs."""
    return [
        *(_all_finished(_against_c10d(figures, name), figures, name) for name in (JOIN, LAST_COMER, RESTART)),
        *(_all_finished(_against_stubbed(figures, name), figures, name) for name in (JOIN, LAST_COMER, RESTART)),
        _at_256(figures),
        _all_finished(_against_floor(figures), figures, JOIN, largest=1000),
        _all_finished(_small_joins(figures), figures, JOIN, largest=32),
        _told(figures),
        _new_round(figures),
        _requests(runs),
        _heartbeats(runs),
        _footprint(runs),
    ]


def _all_finished(goal: Goal, figures: Figures, scenario: str, largest: int = 256) -> Goal:
    """The goal, missed if this rendezvous has not finished in every run up to that size."""
    found = {nodes: figures.times(KUBERNETES, scenario, nodes) for nodes in figures.sizes(scenario, KUBERNETES)}
    unfinished = [f"{times} at {nodes}" for nodes, times in found.items() if times.failures and nodes <= largest]
    return replace(goal, reached=", ".join([goal.reached, *unfinished]), met=False) if unfinished else goal


def number(seconds: float) -> str:
    """Two significant digits and a bit, without noise."""
    return f"{seconds:.0f}" if seconds >= 20 else f"{seconds:.1f}" if seconds >= 5 else f"{seconds:.2f}"


def requests_per_node(costs: Mapping[str, Any]) -> float:
    """Requests of one phase, by all nodes and the operator, for each node."""
    return float(sum(costs["requests"].values()) / costs["nodes"])


def _measured(runs: Sequence[Found]) -> Iterator[tuple[str, str, int, str, float, float | str]]:
    for found in runs:
        for result in found["results"]:
            where = (result["backend"], result["scenario"], result["nodes"])
            for run in result["runs"]:
                if run["failure"]:
                    # A group that does not come together has failed to join, too.
                    scenario = JOIN if where[1] == RESTART else where[1]
                    for name in dict.fromkeys([where[1], scenario]):
                        yield where[0], name, where[2], ALL, result["limit"], run["failure"]
                for part, seconds in run["seconds"].items():
                    if part == f"join {ALL}":
                        yield where[0], JOIN, where[2], ALL, result["limit"], seconds
                    else:
                        yield *where, part, result["limit"], seconds


def _at_least(ratios: Mapping[int, float], wanted: Mapping[int, float]) -> tuple[str, bool]:
    text = ", ".join(f"{ratio:.1f}x at {nodes}" for nodes, ratio in ratios.items())
    return text or NOT_MEASURED, bool(ratios) and all(ratios[nodes] >= wanted[nodes] for nodes in ratios)


def _against_c10d(figures: Figures, scenario: str) -> Goal:
    wanted = {2: 10.0, 8: 10.0, 32: 10.0, 128: 5.0}
    found = {nodes: figures.ratio(scenario, nodes, C10D, KUBERNETES) for nodes in wanted}
    ratios = {nodes: ratio for nodes, ratio in found.items() if ratio is not None}
    return Goal(
        f"{scenario} against c10d as shipped", "10x faster up to 32 nodes, 5x at 128", *_at_least(ratios, wanted)
    )


def _against_stubbed(figures: Figures, scenario: str) -> Goal:
    sizes = figures.sizes(scenario, C10D_STUBBED)
    found = {nodes: figures.ratio(scenario, nodes, C10D_STUBBED, KUBERNETES) for nodes in sizes}
    ratios = {nodes: ratio for nodes, ratio in found.items() if ratio is not None}
    text, met = _at_least(ratios, dict.fromkeys(ratios, 1.0))
    return Goal(f"{scenario} against c10d without its stack inspection", "faster everywhere", text, met)


def _at_256(figures: Figures) -> Goal:
    ours, theirs = figures.times(KUBERNETES, JOIN, 256), figures.times(C10D, JOIN, 256)
    text = f"finished in {ours.median:.2f} s" if ours.median is not None else "not finished"
    reached = f"{text} (c10d as shipped: {theirs})" if 256 in figures.sizes(JOIN, KUBERNETES) else NOT_MEASURED
    return Goal("join at 256 nodes", "finished", reached, ours.median is not None)


def _against_floor(figures: Figures) -> Goal:
    found = {nodes: figures.ratio(JOIN, nodes, KUBERNETES, FLOOR) for nodes in (128, 256, 512, 1000)}
    ratios = {nodes: ratio for nodes, ratio in found.items() if ratio is not None}
    text = ", ".join(f"{ratio:.2f}x at {nodes}" for nodes, ratio in ratios.items()) or NOT_MEASURED
    met = bool(ratios) and all(ratio <= 2 for ratio in ratios.values())
    return Goal("join against the floor", "at most 2x from 128 to 1,000 nodes", text, met)


def _small_joins(figures: Figures) -> Goal:
    found = {nodes: figures.times(KUBERNETES, JOIN, nodes).median for nodes in (2, 8, 32)}
    medians = {nodes: seconds for nodes, seconds in found.items() if seconds is not None}
    text = ", ".join(f"{seconds:.3f} s at {nodes}" for nodes, seconds in medians.items()) or NOT_MEASURED
    return Goal("join of few", "under 0.1 s up to 32 nodes", text, all(s < 0.1 for s in medians.values()))


def _told(figures: Figures) -> Goal:
    found = {nodes: figures.times(KUBERNETES, "pod lost", nodes, TOLD).median for nodes in (2, 8, 32, 128)}
    medians = {nodes: seconds for nodes, seconds in found.items() if seconds is not None}
    text = ", ".join(f"{seconds:.3f} s at {nodes}" for nodes, seconds in medians.items()) or NOT_MEASURED
    met = bool(medians) and all(seconds < 0.5 for seconds in medians.values())
    return Goal("pod of a member lost, until all members are asked", "under 0.5 s up to 128 nodes", text, met)


def _new_round(figures: Figures) -> Goal:
    texts, met = [], True
    for scenario in ("pod lost", "replacement"):
        for nodes in (2, 8, 32, 128):
            told = figures.times(KUBERNETES, scenario, nodes, TOLD).median
            done = figures.times(KUBERNETES, scenario, nodes).median
            if told is not None and done is not None:
                texts.append(f"{done - told:.2f} s at {nodes} ({scenario})")
                met = met and done - told < 1
    return Goal("... and from then until the new round", "under 1 s", ", ".join(texts) or NOT_MEASURED, met)


def _requests(runs: Sequence[Found]) -> Goal:
    """Constant in N: no more per node in a large group than in a small one."""
    by_size: dict[int, list[float]] = {}
    for found in runs:
        for costs in found["costs"]:
            if costs["phase"] == "restart":
                by_size.setdefault(costs["nodes"], []).append(requests_per_node(costs))
    medians = {nodes: statistics.median(values) for nodes, values in sorted(by_size.items())}
    text = ", ".join(f"{value:.2f} at {nodes}" for nodes, value in medians.items()) or NOT_MEASURED
    values = list(medians.values())
    return Goal(
        "API requests per node and round", "constant in N", text, bool(values) and max(values) <= 1.25 * values[0]
    )


def _heartbeats(runs: Sequence[Found]) -> Goal:
    shares = [
        costs["cpu_seconds"]["kube-apiserver"] / costs["seconds"]
        for found in runs
        for costs in found["costs"]
        if costs["phase"] == "idle" and costs["nodes"] == 1000
    ]
    text = f"{statistics.median(shares):.2f} of a core" if shares else NOT_MEASURED
    met = bool(shares) and statistics.median(shares) < 1 / 3
    return Goal("heartbeats of 1,000 idle nodes", "under a third of one API-server core", text, met)


def _footprint(runs: Sequence[Found]) -> Goal:
    found = [one for run in runs for one in run["footprint"]]
    seconds, megabytes = (statistics.median(one[key] for one in found) for key in ("seconds", "megabytes"))
    text = f"{seconds:.2f} s and {megabytes:.0f} MB"
    return Goal("import of the handler beyond torch", "under 1 s and 60 MB", text, seconds < 1 and megabytes < 60)
