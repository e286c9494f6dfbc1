"""What there is, and what may happen, in the searches."""

from tests.model.system import Setup

TWO = Setup()
RELEASES = ("this", "older", "newer", "unreadable")
USUAL = frozenset({"lags", "fails"})
TIMES = (("last_call_seconds", 5), ("replacement_seconds", 5))
PEERS = frozenset({"deafens", "powers", "bars"})


def budget(most: int, of_node: int) -> tuple[tuple[str, int], ...]:
    """The limits of failures within two minutes."""
    return (("max_restarts", most), ("restarts_window_seconds", 120), ("restarts_per_node", of_node))


WALKS = {
    "one operator whose watches lag": Setup(agents=4, may=USUAL | {"compacts"}),
    "two operators, and restarts that are asked for": Setup(agents=4, operators=2, may=USUAL | {"requests"}),
    "pods that lose their label, are evicted, go, or are deleted by force": Setup(
        agents=4, may=USUAL | {"labels", "pods", "evicts", "forces"}
    ),
    "agents that are cut off, or paused": Setup(agents=4, may=USUAL | {"cuts", "pauses"}),
    "paths that break apart": Setup(agents=4, max_nodes=3, may=USUAL | {"splits", "parts"}),
    "a group of one that is cut off": Setup(agents=3, min_nodes=1, max_nodes=1, may=USUAL | {"cuts", "pauses"}),
    "a spec that is edited": Setup(agents=4, min_nodes=1, max_nodes=3, may=USUAL | {"edits", "suspends", "requests"}),
    "a Rendezvous that is deleted and recreated": Setup(agents=4, may=USUAL | {"recreates", "cuts"}),
    "a restore of etcd, after which versions go back": Setup(
        agents=4, operators=2, may=USUAL | {"restores", "compacts", "requests"}
    ),
    "a restore of etcd with a revision that is bumped": Setup(
        agents=4, operators=2, may=USUAL | {"bumps", "compacts", "requests"}
    ),
    "a leader whose clock stands still": Setup(
        agents=4, operators=2, elects=True, may=USUAL | {"sleeps", "restarts", "requests"}
    ),
    "a restart budget in a window": Setup(
        agents=4, operators=2, max_nodes=3, may=USUAL | {"pods", "cuts", "restarts"}, spec=(*TIMES, *budget(1, 1))
    ),
    "a restart budget that no node may use": Setup(
        agents=4, operators=2, max_nodes=3, may=USUAL | {"pods", "cuts", "restarts"}, spec=(*TIMES, *budget(9, 0))
    ),
    "racks of two nodes": Setup(agents=5, max_nodes=4, groups=2, may=USUAL | {"pods", "evicts", "labels", "cuts"}),
    "racks that are kept for a while, and a restart budget": Setup(
        agents=4,
        operators=2,
        max_nodes=4,
        groups=2,
        may=USUAL | {"pods", "cuts", "restarts", "requests"},
        spec=(*TIMES, *budget(2, 2), ("group_mode", "Escalate"), ("escalation_seconds", 20)),
    ),
    "two runs that end": Setup(agents=5, runs=("run", "run", "other"), may=USUAL | {"ends", "pods"}),
    "other releases": Setup(agents=4, max_nodes=3, releases=RELEASES, may=USUAL | {"edits"}),
    "nodes that are unhealthy": Setup(
        agents=4,
        operators=2,
        max_nodes=3,
        may=USUAL | {"sickens", "cuts", "pods", "restarts"},
        spec=(*TIMES, *budget(1, 1)),
    ),
    "nodes that are unhealthy, of several releases": Setup(
        agents=4, max_nodes=3, releases=("this", "older", "this", "newer"), may=USUAL | {"sickens", "edits", "ends"}
    ),
    "all of it": Setup(
        agents=6,
        operators=2,
        max_nodes=3,
        may=USUAL
        | {"cuts", "splits", "parts", "pauses", "labels", "pods", "evicts", "requests", "edits", "suspends", "ends"},
    ),
    "members that beat to rank 0": Setup(agents=4, peers=True, max_nodes=4, may=frozenset({"lags", "splits"}) | PEERS),
    "members that beat, two operators, and requests that fail": Setup(
        agents=4, operators=2, peers=True, max_nodes=3, may=USUAL | PEERS | {"cuts", "pauses", "restarts"}
    ),
    "a second path beside pods that go": Setup(
        agents=4, peers=True, max_nodes=3, may=USUAL | PEERS | {"labels", "pods", "evicts", "forces", "cuts"}
    ),
    "members of other releases that beat, with rare heartbeats": Setup(
        agents=4,
        peers=True,
        max_nodes=4,
        releases=("this", "newer", "older", "this"),
        may=USUAL | PEERS | {"cuts", "parts"},
        spec=(*TIMES, ("heartbeat_interval_seconds", 30)),
    ),
    "members that beat, whose heartbeats are rare": Setup(
        agents=4,
        peers=True,
        max_nodes=4,
        may=USUAL | PEERS | {"cuts", "splits", "parts"},
        spec=(*TIMES, ("heartbeat_peers_interval_seconds", 60)),
    ),
    "rare heartbeats, with two operators, pods and newcomers": Setup(
        agents=5,
        operators=2,
        peers=True,
        max_nodes=3,
        releases=("this", "this", "older"),
        may=USUAL | PEERS | {"cuts", "pauses", "restarts", "pods"},
        spec=(*TIMES, ("heartbeat_peers_interval_seconds", 300)),
    ),
    "a sick host, or a sick member": Setup(
        agents=4, peers=True, max_nodes=4, may=frozenset({"lags", "lies", "splits", "pauses"}) | PEERS
    ),
    "machines that are reported as down": Setup(
        agents=4, max_nodes=3, may=USUAL | {"machines", "splits", "pauses", "powers"}
    ),
    "pods that ought to have ended on machines that are reported as down": Setup(
        agents=4, max_nodes=2, may=USUAL | {"machines", "evicts", "cuts"}, spec=(*TIMES, ("reentry_seconds", 600))
    ),
    "machines that are reported as down, and a second path": Setup(
        agents=4,
        operators=2,
        peers=True,
        max_nodes=4,
        may=USUAL | PEERS | {"machines", "evicts", "cuts", "pauses", "restarts"},
    ),
    "ranks by racks, machines that get other labels, and reads that fail": Setup(
        agents=4, operators=2, max_nodes=3, racks=("r", "s"), may=USUAL | {"relabels", "restarts", "requests"}
    ),
    "whole segments of racks": Setup(
        agents=5, max_nodes=4, racks=("r", "r", "s"), segment=2, may=USUAL | {"relabels", "pods", "cuts"}
    ),
    "machines with marks": Setup(agents=4, max_nodes=3, may=USUAL | {"marks", "pods", "requests"}),
    "machines with marks, a restart budget, and nodes that fail too often": Setup(
        agents=4,
        operators=2,
        max_nodes=3,
        may=USUAL | {"marks", "pods", "restarts"},
        spec=(*TIMES, *budget(9, 9), ("max_failures_per_node", 0), ("too_few_seconds", 30)),
    ),
    "all of it with a second path": Setup(
        agents=6,
        operators=2,
        peers=True,
        max_nodes=4,
        may=USUAL
        | PEERS
        | {"cuts", "splits", "parts", "pauses", "labels", "pods", "evicts", "requests", "edits", "suspends", "ends"}
        | {"lies", "restarts", "sickens"},
    ),
}

EVERY = {
    "one operator": Setup(agents=2, may=USUAL | {"labels", "requests"}, min_nodes=1, max_nodes=1),
    "two operators": Setup(agents=2, operators=2, may=frozenset({"lags"}), min_nodes=1, max_nodes=1),
}
