"""The join of a group beside the least that it can cost, in turn: ``python -m benchmarks.against_floor``.

Two measurements one after the other meet the same noise of the machine, so a ratio of medians of such pairs says more
than two medians of different minutes. Takes some two minutes.
"""

import argparse
import statistics
import sys

from benchmarks import machine
from benchmarks.backends import Floor, Kubernetes
from benchmarks.cluster import running_cluster
from benchmarks.group import Group
from benchmarks.scenarios import ALL, measure

PAIRS = {32: 15, 1000: 3}
"""How often, by the number of nodes."""
LIMIT_SECONDS = 60.0


def main() -> None:
    """Measure, and print a line for each pair and for each size."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.against_floor", description=__doc__)
    parser.add_argument("--nodes", type=int, choices=[*PAIRS], help="one size (default: all of them)")
    chosen = parser.parse_args().nodes
    sizes = list(PAIRS) if chosen is None else [chosen]
    print(f"name lookups: {machine.without_name_lookups('benchmarks.against_floor', sys.argv[1:])}")
    with running_cluster() as cluster:
        kubernetes = Kubernetes(cluster)
        backends = (kubernetes, Floor(kubernetes, cluster))
        group = Group()
        try:
            measure("join", kubernetes, group, 8, LIMIT_SECONDS)  # the first one pays for what is done once
            for nodes in sizes:
                found: tuple[list[float], list[float]] = ([], [])
                for pair in range(PAIRS[nodes]):
                    for backend, seconds in zip(backends, found, strict=True):
                        run = measure("join", backend, group, nodes, LIMIT_SECONDS)
                        print(f"{nodes} nodes, pair {pair + 1}, {backend.name}: {run.failure or run.seconds[ALL]}")
                        if run.failure is None:
                            seconds.append(run.seconds[ALL])
                ours, floor = (statistics.median(seconds) if seconds else float("nan") for seconds in found)
                met = "; ".join(f"{len(seconds)} of {PAIRS[nodes]}" for seconds in found)
                print(f"{nodes} nodes: {ours:.3f} s, floor {floor:.3f} s, ratio {ours / floor:.2f}; met: {met}")
        finally:
            group.close()


if __name__ == "__main__":
    main()
