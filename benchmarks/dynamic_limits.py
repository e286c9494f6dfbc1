"""How many nodes can meet without the operator: torch's DynamicRendezvousHandler over one ConfigMap.

N handlers, threads of a few processes, all call next_rendezvous at once and must form one round of N (join); then all
call it once more, as after a failure (restart). Measured is the time until the last one has returned, and how many of
their writes of the state were tried and lost. Each handler has connections of its own, as on machines of their own; but
they share the processors of this one, with each other, etcd and kube-apiserver. etcd runs without fsync. The agents are
a service account, so that priority and fairness of the API server hold for them as in a cluster.

    python -m benchmarks.dynamic_limits --nodes 2 8 32 64 128
"""

import argparse
import multiprocessing
import os
import platform
import secrets
import threading
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rendezvous_controlplane import LocalControlPlane

NAMESPACE = "benchmark"
ROLE = Path(__file__).parents[1] / "examples" / "without-operator-rbac.yaml"


@dataclass
class Phase:
    """What the nodes of one process did in one phase."""

    finished: int
    """Nodes that have returned."""
    last: float
    """Seconds from the common start to the last return."""
    writes: int
    conflicts: int
    errors: list[str]


def in_threads(count: int, function: Callable[[int], None]) -> None:
    """Call the function with 0 to count - 1, each in a thread, and wait for all."""
    threads = [threading.Thread(target=function, args=(number,), daemon=True) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def run_nodes(kubeconfig: str, run_id: str, nodes: int, share: int, limit: int, start: Any, results: Any) -> None:
    """One process with its share of the nodes."""
    os.environ["KUBECONFIG"] = kubeconfig
    from torch.distributed.elastic.rendezvous import RendezvousParameters
    from torch.distributed.elastic.rendezvous.dynamic_rendezvous import create_handler

    from rendezvous_handler.operatorless.backend import create_backend
    from rendezvous_handler.operatorless.config_map import Owner

    conf = {"join_timeout": limit, "close_timeout": 1}
    params = RendezvousParameters(
        "kubernetes-dynamic", f"{NAMESPACE}/limits", run_id, nodes, nodes, "127.0.0.1", **conf
    )
    made = [create_backend(params) for _ in range(share)]
    backends = [backend for backend, _ in made]
    for number, backend in enumerate(backends):
        # As in a cluster, where each agent has a pod: owners make the object larger and its writes slower.
        backend.owner = Owner("Pod", f"train-worker-{number}-abcde", str(uuid.uuid4()))
    handlers = [create_handler(store, backend, params) for backend, store in made]
    for _ in ("join", "restart"):
        returned: list[float] = []
        errors: list[str] = []
        before = sum(backend.writes for backend in backends), sum(backend.conflicts for backend in backends)
        start.wait()
        began = time.monotonic()

        def join(number: int, began: float = began, returned: Any = returned, errors: Any = errors) -> None:
            try:
                handlers[number].next_rendezvous()
            except Exception as error:  # noqa: BLE001 - every way to fail is counted
                errors.append(f"{type(error).__name__}: {error}"[:200])
            else:
                returned.append(time.monotonic() - began)

        in_threads(share, join)
        tried = sum(backend.writes for backend in backends) - before[0]
        lost = sum(backend.conflicts for backend in backends) - before[1]
        results.put(Phase(len(returned), max(returned, default=0.0), tried, lost, errors))
        start.wait()  # the next phase begins when all have ended this one
    results.close()
    results.join_thread()
    os._exit(0)  # the handlers have threads that nobody can stop from outside


def measure(kubeconfig: str, nodes: int, processes: int, limit: int) -> None:
    """Measure one size and print a line for each phase."""
    context = multiprocessing.get_context("spawn")
    processes = min(processes, nodes)
    start, results = context.Barrier(processes), context.Queue()
    shares = [nodes // processes + (number < nodes % processes) for number in range(processes)]
    run_id = f"{nodes}-{secrets.token_hex(3)}"
    workers = [
        context.Process(target=run_nodes, args=(kubeconfig, run_id, nodes, share, limit, start, results))
        for share in shares
    ]
    for worker in workers:
        worker.start()
    try:
        for phase in ("join", "restart"):
            parts = [results.get(timeout=2 * limit + 120) for _ in workers]
            finished = sum(part.finished for part in parts)
            took = f"{max(part.last for part in parts):7.2f} s" if finished == nodes else f"no round in {limit} s"
            errors = [error for part in parts for error in part.errors]
            print(
                f"{nodes:5d} nodes  {phase:8s} {took}  {sum(part.writes for part in parts)} writes, "
                f"{sum(part.conflicts for part in parts)} of them lost"
                + (f"; {nodes - finished} nodes failed: {errors[0]}" if errors else ""),
                flush=True,
            )
            if finished < nodes:
                return
    finally:
        for worker in workers:
            worker.kill()
            worker.join()


def main() -> None:
    """Measure all sizes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--nodes", type=int, nargs="+", default=[2, 8, 32, 64, 128], help="sizes to measure")
    parser.add_argument("--processes", type=int, default=2, help="processes that share the nodes (default: 2)")
    parser.add_argument("--limit", type=int, default=120, help="seconds for each phase (default: 120)")
    parser.add_argument("--repeat", type=int, default=1, help="measure each size so often (default: 1)")
    arguments = parser.parse_args()
    import torch

    print(f"# Python {platform.python_version()}, torch {torch.__version__}, {os.cpu_count()} cores", flush=True)
    with LocalControlPlane() as control_plane:
        control_plane.kubectl("create", "namespace", NAMESPACE)
        control_plane.kubectl("apply", "-n", NAMESPACE, "-f", str(ROLE))
        account = "system:serviceaccount:benchmark:rendezvous-agent-without-operator"
        control_plane.kubectl("delete", "rolebinding", "--all", "-n", NAMESPACE)
        control_plane.kubectl(
            *("create", "rolebinding", "agents", "-n", NAMESPACE, f"--user={account}"),
            "--role=rendezvous-agent-without-operator",
        )
        token = control_plane.kubectl("create", "token", "rendezvous-agent-without-operator", "-n", NAMESPACE).strip()
        path = control_plane.kubeconfig_with_token(token)
        for nodes in arguments.nodes:
            for _ in range(arguments.repeat):
                measure(str(path), nodes, arguments.processes, arguments.limit)


if __name__ == "__main__":
    main()
