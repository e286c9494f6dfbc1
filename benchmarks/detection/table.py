"""The rows of the table: their names, what is done, the limits, and how often each is measured."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

from benchmarks.detection import large, rows
from benchmarks.detection.large import LargeGroup
from benchmarks.detection.rows import Outcome
from benchmarks.detection.small import Group

LOSSY_SECONDS, WITHOUT_API_SECONDS = 600.0, 1800.0


@dataclass(frozen=True)
class Row:
    """One row: of a group of three (``small`` or ``outage``), or of 256 (``large``)."""

    what: str
    """For people."""
    wanted: str
    told_limit: float | None = None
    """Seconds until all others must be told; None: that is not measured."""
    round_limit: float | None = None
    """Seconds until the others must be in a new round."""
    small: Callable[[Group, Outcome], None] | None = None
    large: Callable[[LargeGroup, Outcome], None] | None = None
    lonely: tuple[int, ...] = ()
    """In a group of 256, the numbers of the members that something happens to; number 0 has rank 0."""
    pods: bool = False
    filtered: bool = False
    """Whether the switch must drop packets."""
    outage: Callable[[Group, Outcome, Callable[[], float]], None] | None = None
    """Like ``small``, but the API server is stopped before; what it is given starts it again, and returns when."""
    runs: int | None = None
    """How often at most it is measured; None: as often as the command line says."""


def _without_api(cut: Callable[[Group], tuple[str, ...]]) -> Callable[[Group, Outcome], None]:
    return lambda group, found: rows.without_api(group, found, WITHOUT_API_SECONDS, cut(group))


_LAST = large.SIZE - 1
_ALIVE = "no node restarts, none is dropped; a worker that fails then is reported as that"

ROWS: Mapping[str, Row] = {
    "kill": Row("SIGKILL of an agent and its worker", "asked in 3 s", 3, small=rows.killed),
    "kill-rank-0": Row(
        "SIGKILL of the agent of rank 0 and its worker", "asked in 3 s", 3, small=partial(rows.killed, rank_0=True)
    ),
    "power": Row("power cut of two of three machines", "asked in 15 s", 15, small=rows.power_cut),
    "power-rank-0": Row(
        "power cut of the machine of rank 0", "asked in 15 s", 15, small=partial(rows.power_cut, rank_0=True)
    ),
    "stop": Row("SIGSTOP of an agent and its worker", "asked in 15 s; it comes back", 15, small=rows.stopped),
    "stop-rank-0": Row(
        "SIGSTOP of the agent of rank 0 and its worker", "asked in 15 s; it comes back", 15,
        small=partial(rows.stopped, rank_0=True),
    ),
    "kill-256": Row("SIGKILL of an agent, 256 agents", "asked in 6 s", 6, large=large.killed, lonely=(_LAST,)),
    "kill-rank-0-256": Row(
        "SIGKILL of the agent of rank 0, 256 agents", "asked in 6 s", 6, large=large.killed, lonely=(0,)
    ),
    "power-256": Row(
        "power cut of a machine with two of 256", "asked in 18 s", 18, large=large.power_cut, lonely=(_LAST - 1, _LAST)
    ),
    "power-rank-0-256": Row(
        "power cut of the machine of rank 0, 256 agents", "asked in 18 s", 18, large=large.power_cut, lonely=(0,)
    ),
    "stop-256": Row(
        "SIGSTOP of an agent, 256 agents", "asked in 18 s; it comes back", 18, large=large.stopped, lonely=(_LAST,)
    ),
    "stop-rank-0-256": Row(
        "SIGSTOP of the agent of rank 0, 256 agents", "asked in 18 s; it comes back", 18,
        large=large.stopped, lonely=(0,),
    ),
    "path-of-rank-0": Row(
        "the path of rank 0 to all others breaks; a minute later a worker fails",
        "training goes on, Degraded; then another host, and no other node is held out",
        small=rows.path_of_rank_0, filtered=True,
    ),
    "pulsing-rank-0": Row(
        "the agent of rank 0 is stopped for 3 s of each 5 s, for a minute", "no node is dropped",
        small=rows.pulsing_rank_0,
    ),
    "loss": Row(
        "a member loses 20 % of the packets to and from its peers, 10 minutes", "no node is dropped",
        small=partial(rows.lossy, seconds=LOSSY_SECONDS), filtered=True,
    ),
    "no-api-all": Row(
        "no member has a way to the API server, 30 minutes", _ALIVE,
        small=_without_api(lambda group: tuple(group.machines)), runs=1,
    ),
    "no-api-member": Row(
        "one member has none, 30 minutes", _ALIVE, small=_without_api(lambda group: (group.others[0],)), runs=1
    ),
    "no-api-rank-0": Row(
        "rank 0 has none, 30 minutes", _ALIVE, small=_without_api(lambda group: (group.rank_0,)), runs=1
    ),
    "fails-while-away": Row(
        "a worker fails while the API server is away", "all train again when it is back",
        outage=rows.failed_while_away,
    ),
    "pod-lost": Row(
        "a member is lost permanently, labelled pods, no other pod is made", "new round in 8 s", round_limit=8,
        small=rows.pod_lost, pods=True,
    ),
}  # fmt: skip


def judged(row: Row, found: Outcome) -> list[str]:
    """All that is not as the row wants it."""
    missed = list(found.missed)
    for what, limit, seconds in (
        ("asked", row.told_limit, found.told),
        ("new round", row.round_limit, found.new_round),
    ):
        if limit is not None and (seconds is None or seconds > limit):
            missed.append(f"{what}: {'never' if seconds is None else f'{seconds:.1f} s'}, and {limit:.0f} s wanted")
    return missed
