"""What it costs that every agent is sent the whole list of members, and what the alternatives would cost.

* whole list: one write of a Rendezvous with N members, until all N watchers of it have received it, as it is now.
* small object: the same write without the list: round, store and size, as a derived object for the agents would be.
* ranks from the store: N clients that are connected to the round's TCPStore each read one key with their rank, which
  the agent of rank 0 has written for all: what would have to follow a small object.

Watchers are asyncio tasks over one process, clients of the store are threads; servers and clients share the machine.

    python -m benchmarks.fan_out
"""

import argparse
import asyncio
import contextlib
import json
import statistics
import sys
import threading
import time
from collections.abc import Sequence
from datetime import timedelta

from benchmarks import machine
from benchmarks.bare import RENDEZVOUS, Api, Json
from benchmarks.cluster import Cluster, running_cluster
from benchmarks.costs import cpu_seconds
from torch.distributed import TCPStore

from rendezvous_api import names
from rendezvous_api.codec import encode
from rendezvous_api.rendezvous import Member, RendezvousStatus, RoundRecord, RunReference, Store

_SECONDS = timedelta(seconds=60)
_AT_ONCE = 50


def status(nodes: int, listed: bool, number: int) -> Json:
    """The status of a round; the operator is not there, so nothing changes it."""
    members = [Member(f"train.node-{rank:04d}", "abcd1234", 1, rank) for rank in range(nodes if listed else 1)]
    record = RoundRecord(number, "run-1", len(members), "2030-01-01T00:00:00.000000Z")
    found: Json = encode(
        RendezvousStatus(
            run=RunReference("run-1"),
            round=number,
            nodes=len(members),
            participants=tuple(members),
            store=Store("192.0.2.1", 29500),
            history=(record,),
        )
    )
    return found


class Watcher:
    """One node that watches the Rendezvous."""

    def __init__(self, api: Api, path: str) -> None:
        self._api = api
        self._path = path
        self.received: asyncio.Queue[int] = asyncio.Queue()
        """Bytes of each state."""

    async def follow(self) -> None:
        """Read the watch until it is cancelled."""
        async for line in self._api.watch(self._path):
            await self.received.put(len(line))


async def fan_out(cluster: Cluster, nodes: int, listed: bool, repeats: int) -> tuple[list[float], int, float]:
    """Seconds of each write until all have it, bytes of one state, CPU seconds of the API server for one write."""
    name = f"fan-out-{nodes}-{'list' if listed else 'small'}"
    path = f"{RENDEZVOUS}/{name}"
    writer = Api(cluster.plane.url, cluster.admin_token, cluster.tls())
    apis = [Api(cluster.plane.url, cluster.admin_token, cluster.tls()) for _ in range(nodes)]
    kind = {"apiVersion": names.API_VERSION, "kind": names.RENDEZVOUS_KIND, "metadata": {"name": name}}
    await writer.request("POST", RENDEZVOUS, {**kind, "spec": {"minNodes": 1, "maxNodes": nodes}})
    watchers = [Watcher(api, path) for api in apis]
    tasks = []
    for first in range(0, nodes, _AT_ONCE):  # so many handshakes at once that nobody is refused
        some = watchers[first : first + _AT_ONCE]
        tasks += [asyncio.create_task(watcher.follow()) for watcher in some]
        await asyncio.gather(*(watcher.received.get() for watcher in some))
    server = cluster.processes()["kube-apiserver"]
    took, size, before = [], 0, cpu_seconds(server)
    for number in range(1, repeats + 1):
        began = time.perf_counter()
        code, answer = await writer.request(
            "PATCH", f"{path}/status", {"status": status(nodes, listed, number)}, merge=True
        )
        if code != 200:
            raise RuntimeError(f"the status was not written: {code} {answer.get('message')}")
        received = await asyncio.gather(*(watcher.received.get() for watcher in watchers))
        took.append(time.perf_counter() - began)
        size = received[0]
        await asyncio.sleep(0.5)
    cpu = (cpu_seconds(server) - before) / repeats
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    for api in [writer, *apis]:
        await api.session.close()
    return took, size, cpu


def ranks_from_the_store(nodes: int, repeats: int) -> list[float]:
    """Seconds from the writing of all ranks by one until each of N connected clients has read its own."""
    server = TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False, timeout=_SECONDS)
    clients = [
        TCPStore("127.0.0.1", server.port, is_master=False, wait_for_workers=False, timeout=_SECONDS)
        for _ in range(nodes)
    ]
    took = []
    for number in range(repeats):
        keys = [f"{number}/{i}" for i in range(nodes)]
        threads = [threading.Thread(target=client.get, args=(key,)) for client, key in zip(clients, keys, strict=True)]
        for thread in threads:
            thread.start()
        time.sleep(0.5)
        began = time.perf_counter()
        server.multi_set(keys, [str(i) for i in range(nodes)])
        for thread in threads:
            thread.join()
        took.append(time.perf_counter() - began)
    return took


async def _measure(cluster: Cluster, sizes: Sequence[int], repeats: int) -> list[Sequence[str]]:
    rows: list[Sequence[str]] = [
        ["nodes", "whole list: s", "KB", "API server CPU s", "small object: s", "KB", "API server CPU s", "ranks: s"]
    ]
    for nodes in sizes:
        cells = [str(nodes)]
        for listed in (True, False):
            took, size, cpu = await fan_out(cluster, nodes, listed, repeats)
            cells += [f"{statistics.median(took):.3f}", f"{size / 1000:.1f}", f"{cpu:.2f}"]
        ranks = await asyncio.to_thread(ranks_from_the_store, nodes, repeats)
        rows.append([*cells, f"{statistics.median(ranks):.3f}"])
        print(json.dumps(rows[-1]), file=sys.stderr, flush=True)
    return rows


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.fan_out", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sizes", type=int, nargs="+", default=[32, 128, 512, 1000])
    parser.add_argument("--repeats", type=int, default=5)
    arguments = parser.parse_args()
    machine.without_name_lookups("benchmarks.fan_out", sys.argv[1:])
    with contextlib.ExitStack() as stack:
        cluster = stack.enter_context(running_cluster(operator=False))
        rows = asyncio.run(_measure(cluster, arguments.sizes, arguments.repeats))
    print("\n".join(f"| {' | '.join(row)} |" for row in rows))


if __name__ == "__main__":
    main()
