"""Which faults a seed stands for: a pure function, so that a failing schedule can be replayed.

A schedule is a list of episodes. An episode is some faults at once or shortly after one another, each healed after its
time. Most episodes wait until all nodes train again; after the others the next one begins at once, and meets a group
that is still busy with the last one. How many episodes a given time holds depends on the machine. Which they are, and
in which order, depends on the seed alone.
"""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any

from tests.support.gateway import PATHS


class Kind(str, Enum):
    """What is done; what it may lead to is in `causes`."""

    KILL_NODE = "SIGKILL of a node, started again later"
    TERMINATE_NODE = "SIGTERM of an agent, started again later"
    STOP_NODE = "SIGSTOP of a node, SIGCONT later"
    STOP_AGENT = "SIGSTOP of an agent, SIGCONT later"
    STOP_WORKER = "SIGSTOP of a worker, SIGCONT later"
    KILL_WORKER = "SIGKILL of a worker"
    CUT_STORE = "a store that a node cannot reach"
    CUT_PEERS = "the connections of a node to the others break"
    CUT_NODE = "a node cut off from the API server"
    NODE_ERRORS = "requests of a node fail"
    DELETE_PARTICIPANT = "a participant deleted by hand"
    KILL_OPERATOR = "SIGKILL of an operator, started again later"
    STOP_OPERATOR = "SIGSTOP of an operator, SIGCONT later"
    CUT_OPERATOR = "an operator cut off from the API server"
    OPERATOR_ERRORS = "requests of an operator fail"
    STOP_API_SERVER = "the API server away"
    SLOW_ETCD = "etcd stalls as with a slow disk"
    RESTORE = "etcd restored from a snapshot, and the Rendezvous made again"
    RESTORE_ALONE = "etcd restored from a snapshot, and nothing else"
    RESTART_REQUEST = "a restart requested"
    SUSPEND = "suspend, and on again"
    FEWER_NODES = "maxNodes lowered and raised again"
    SPEC_VALUES = "other times in the spec, and back"
    ADD_NODE = "scale up by a node, and down again"


OF_A_PROCESS = frozenset(
    {
        Kind.KILL_NODE,
        Kind.TERMINATE_NODE,
        Kind.STOP_NODE,
        Kind.STOP_AGENT,
        Kind.STOP_WORKER,
        Kind.KILL_WORKER,
        Kind.CUT_STORE,
    }
)
"""Those of which a node has one at a time."""
OF_A_NODE = OF_A_PROCESS | {Kind.CUT_PEERS, Kind.CUT_NODE, Kind.NODE_ERRORS, Kind.DELETE_PARTICIPANT}
OF_AN_OPERATOR = frozenset({Kind.KILL_OPERATOR, Kind.STOP_OPERATOR, Kind.CUT_OPERATOR, Kind.OPERATOR_ERRORS})
OF_THE_SERVERS = frozenset({Kind.STOP_API_SERVER, Kind.SLOW_ETCD, Kind.RESTORE, Kind.RESTORE_ALONE})
"""Those of which an episode has one."""
AT_ONCE = frozenset({Kind.KILL_WORKER, Kind.DELETE_PARTICIPANT, Kind.RESTART_REQUEST})
"""Those that need no healing."""

WAYS = ("refused", "silent", "429", "500", "lost")
"""How a request fails: no connection, no answer, an error, or an answer that is lost after it was carried out."""
PEER_WAYS = ("in", "out", "in out", "closed")
"""What is lost on the connections to the other nodes; or they are closed, and none can be opened."""


@dataclass(frozen=True)
class Fault:
    """One fault of an episode."""

    kind: Kind
    after: float
    """Seconds since the episode began."""
    lasts: float
    """Seconds until it is healed; 0: it needs no healing."""
    target: str = ""
    """Node or operator; empty: the Rendezvous or a server."""
    paths: tuple[str, ...] = ()
    """Which requests fail."""
    way: str = ""
    """How they fail, or how the connections to the other nodes do."""
    share: float = 1.0
    """Which part of them fails."""
    spec: Mapping[str, Any] | None = None
    """The spec's new values, as a merge patch."""


@dataclass(frozen=True)
class Episode:
    """Faults that may be there at the same time."""

    number: int
    faults: tuple[Fault, ...]
    waits: bool
    """Whether the next episode waits until all train again."""


@dataclass(frozen=True)
class Setting:
    """What a schedule begins with."""

    nodes: int
    max_nodes: int
    operators: int
    leader_elect: bool
    spec: Mapping[str, Any]

    @property
    def names(self) -> list[str]:
        """The nodes that are there at the beginning."""
        return [f"n{number}" for number in range(self.nodes)]


@dataclass(frozen=True)
class Schedule:
    """All that a seed stands for."""

    seed: int
    setting: Setting
    episodes: tuple[Episode, ...]


MIN_NODES = 2
HEARTBEAT_SECONDS = 1
MAX_MISSED = 6
SUSPECT_SECONDS = 14
CONFIRM_SECONDS = 8
SPEC: Mapping[str, Any] = {
    "minNodes": MIN_NODES,
    "timeouts": {
        "lastCallSeconds": 2,
        "replacementSeconds": 2,
        "suspectSeconds": SUSPECT_SECONDS,
        "confirmSeconds": CONFIRM_SECONDS,
        "reentrySeconds": 60,
        "joinSeconds": 300,
        # An isolated round is kept as long as no node knows better: two groups never train at once.
        "isolatedRoundSeconds": 600,
    },
    "scaleUp": {"intervalSeconds": 0},
    "heartbeat": {"intervalSeconds": HEARTBEAT_SECONDS, "maxMissed": MAX_MISSED},
}
"""Short times, so that two minutes hold many faults; a busy machine still keeps a heartbeat interval of 1 s."""

_OTHER_VALUES: tuple[Mapping[str, Any], ...] = (
    {"heartbeat": {"intervalSeconds": 2}},
    {"heartbeat": {"maxMissed": 8}},
    {"timeouts": {"suspectSeconds": 30}},
    {"timeouts": {"lastCallSeconds": 8, "replacementSeconds": 4}},
    {"scaleUp": {"intervalSeconds": 5}},
)

_EPISODES = 100
"""More than any machine gets through; the time ends a schedule."""

_WEIGHTS: Mapping[Kind, int] = {
    Kind.KILL_NODE: 4,
    Kind.TERMINATE_NODE: 2,
    Kind.STOP_NODE: 3,
    Kind.STOP_AGENT: 2,
    Kind.STOP_WORKER: 1,
    Kind.KILL_WORKER: 3,
    Kind.CUT_STORE: 1,
    Kind.CUT_PEERS: 3,
    Kind.CUT_NODE: 4,
    Kind.NODE_ERRORS: 2,
    Kind.DELETE_PARTICIPANT: 1,
    Kind.KILL_OPERATOR: 3,
    Kind.STOP_OPERATOR: 2,
    Kind.CUT_OPERATOR: 2,
    Kind.OPERATOR_ERRORS: 3,
    Kind.STOP_API_SERVER: 2,
    Kind.SLOW_ETCD: 2,
    Kind.RESTORE: 1,
    Kind.RESTART_REQUEST: 1,
    Kind.SUSPEND: 1,
    Kind.FEWER_NODES: 2,
    Kind.SPEC_VALUES: 1,
    Kind.ADD_NODE: 2,
}


def schedule(seed: int, nodes: int | None = None, kinds: Sequence[Kind] = tuple(_WEIGHTS)) -> Schedule:
    """The schedule of a seed.

    Args:
        seed: for which it stands.
        nodes: how many agents; None: the seed says it.
        kinds: the faults to choose from; those without a weight come only when they are asked for.
    """
    dice = random.Random(seed)
    drawn = dice.randint(3, 5)
    count = nodes or drawn
    most = max(MIN_NODES + 1, count + dice.choice((-1, 0, 0, 1)))
    operators = dice.choice((1, 2, 2))
    leader_elect = operators == 2 and dice.random() < 0.7
    setting = Setting(count, most, operators, leader_elect, {**SPEC, "maxNodes": most})
    weights = {kind: _WEIGHTS.get(kind, 1) for kind in kinds}
    return Schedule(seed, setting, tuple(_episode(dice, number, setting, weights) for number in range(_EPISODES)))


def _episode(dice: random.Random, number: int, setting: Setting, weights: Mapping[Kind, int]) -> Episode:
    wanted = dice.choices((1, 2, 3), (5, 3, 2))[0]
    faults: list[Fault] = []
    for _ in range(wanted):
        kind = dice.choices(list(weights), list(weights.values()))[0]
        fault = _fault(dice, kind, setting)
        if _fits(fault, faults):
            faults.append(fault)
    ordered = tuple(sorted(faults, key=lambda fault: fault.after))
    return Episode(number, ordered, waits=dice.random() < 0.75)


def _fits(fault: Fault, others: list[Fault]) -> bool:
    """Two faults of one episode on the same thing would undo each other's healing."""
    for other in others:
        if fault.kind is other.kind and fault.target == other.target:
            return False
        if {fault.kind, other.kind} <= OF_A_PROCESS and fault.target == other.target:
            return False
        if {fault.kind, other.kind} <= {Kind.CUT_NODE, Kind.NODE_ERRORS} and fault.target == other.target:
            return False
        if {fault.kind, other.kind} <= OF_AN_OPERATOR and fault.target == other.target:
            return False
        if {fault.kind, other.kind} <= OF_THE_SERVERS:
            return False
        if {fault.kind, other.kind} <= {Kind.FEWER_NODES, Kind.SPEC_VALUES, Kind.SUSPEND}:
            return False
    return True


def _fault(dice: random.Random, kind: Kind, setting: Setting) -> Fault:
    after = round(dice.uniform(0, 5), 1)
    lasts = round(dice.choice((dice.uniform(1, 5), dice.uniform(5, 12), dice.uniform(12, 25))), 1)
    node = dice.choice(setting.names)
    operator = f"operator-{dice.randrange(setting.operators)}"
    if kind in AT_ONCE:
        lasts = 0.0
    if kind in OF_THE_SERVERS | {Kind.SUSPEND}:
        lasts = min(lasts, 12.0)
    target = node if kind in OF_A_NODE else operator if kind in OF_AN_OPERATOR else ""
    paths, way, share = _failing(dice, kind)
    spec: Mapping[str, Any] | None = None
    if kind is Kind.FEWER_NODES:
        spec = {"maxNodes": max(MIN_NODES, min(setting.max_nodes, setting.nodes) - 1)}
    elif kind is Kind.SPEC_VALUES:
        spec = dice.choice(_OTHER_VALUES)
    elif kind is Kind.SUSPEND:
        spec = {"suspend": True}
    elif kind is Kind.ADD_NODE:
        target = f"n{setting.nodes}"
    return Fault(kind, after, lasts, target, paths, way, share, spec)


def _failing(dice: random.Random, kind: Kind) -> tuple[tuple[str, ...], str, float]:
    if kind in (Kind.CUT_NODE, Kind.CUT_OPERATOR):
        some = dice.random() < 0.5
        paths = tuple(sorted(dice.sample(PATHS, dice.randint(1, 2)))) if some else PATHS
        return paths, dice.choice(("refused", "silent")), 1.0
    if kind is Kind.CUT_PEERS:
        return (), dice.choice(PEER_WAYS), 1.0
    if kind in (Kind.NODE_ERRORS, Kind.OPERATOR_ERRORS):
        return PATHS, dice.choice(("429", "500", "refused", "lost")), dice.choice((0.1, 0.3, 0.5))
    return (), "", 1.0
