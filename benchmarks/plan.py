"""Which scenarios are run, with how many members and how often."""

from collections.abc import Iterator
from dataclasses import dataclass

from benchmarks.backends import C10D, C10D_STUBBED, ETCD, FLOOR, KUBERNETES


@dataclass(frozen=True)
class Entry:
    """One scenario of one backend at one size."""

    backend: str
    scenario: str
    nodes: int
    runs: int
    limit: float
    """Seconds after which it counts as not finished."""


_ALL_SIZES = (2, 8, 32, 128, 256, 512, 1000)
_COMPARED = (2, 8, 32, 128, 256)
_WITH_LOSSES = (2, 8, 32, 128)
_SOME = (8, 128)

# The restart scenario joins first, and counts for both. The page puts several runs of all this together.
_FULL = (
    (FLOOR, "join", _ALL_SIZES, 2),
    (KUBERNETES, "restart", _ALL_SIZES, 2),
    (KUBERNETES, "last comer", (*_COMPARED, 512), 1),
    (KUBERNETES, "pod lost", _WITH_LOSSES, 1),
    (KUBERNETES, "replacement", _SOME, 1),
    (KUBERNETES, "scale-up", _SOME, 1),
    (KUBERNETES, "silence", (8,), 1),
    (C10D, "restart", _COMPARED, 1),
    (C10D, "last comer", _COMPARED, 1),
    (C10D, "silence", (8,), 1),
    (C10D, "scale-up", _SOME, 1),
    (C10D, "replacement", (8,), 1),
    (C10D_STUBBED, "restart", _COMPARED, 1),
    (C10D_STUBBED, "last comer", _COMPARED, 1),
    (ETCD, "restart", _COMPARED, 1),
    (ETCD, "last comer", _COMPARED, 1),
)
_QUICK = (
    (FLOOR, "join", (2, 32, 128), 2),
    (KUBERNETES, "restart", (2, 32, 128), 2),
    (KUBERNETES, "last comer", (2, 32, 128), 1),
    (KUBERNETES, "pod lost", (8,), 1),
    (KUBERNETES, "replacement", (8,), 1),
    (KUBERNETES, "scale-up", (8,), 1),
    (C10D, "restart", (2, 32, 128), 1),
    (C10D_STUBBED, "restart", (2, 32, 128), 1),
    (ETCD, "restart", (2, 32), 1),
)
_LIMIT_SECONDS = 30.0
_MANY, _RUNS_OF_MANY = 512, 1

COST_SIZES = (8, 128, 1000)
QUICK_COST_SIZES = (8, 128)
IDLE_SECONDS = 15.0
QUICK_IDLE_SECONDS = 10.0


def plan(quick: bool) -> Iterator[Entry]:
    """Everything, size by size within a backend."""
    for backend, scenario, sizes, runs in _QUICK if quick else _FULL:
        for nodes in sizes:
            yield Entry(backend, scenario, nodes, min(runs, _RUNS_OF_MANY) if nodes >= _MANY else runs, _LIMIT_SECONDS)
