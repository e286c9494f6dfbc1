"""How long a burst of N joins takes until all N clients hold the list of members, by who writes what.

* many: each client creates its own RendezvousParticipant, the real operator publishes the round in the one Rendezvous
  that all of them watch. This is what kube-rendezvous does.
* shared, compare-and-set: each client adds its entry to the status of one object that all of them watch, with the
  resourceVersion that it has seen; after a conflict it waits (10 ms, doubled with each conflict up to 1 s, and a random
  part of that), reads the object and tries again. This is what torch's own back ends do with a key of their store.
* shared, own key: each client merges its entry into a map in the status of one object, without a precondition, so that
  the API server settles conflicts. Nobody decides anything here: there are no ranks, and no one closes the list.

The clients are asyncio tasks of this one process, with a connection for the watch and one for requests each, opened
before the burst begins. etcd and kube-apiserver are real and run on this machine, etcd without fsync. The clients
are a service account, so that priority and fairness of the API server hold for them as in a cluster.

    python -m benchmarks.one_object_or_many
"""

import argparse
import asyncio
import contextlib
import json
import os
import platform
import random
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import aiohttp
from benchmarks.bare import PARTICIPANTS, Api, Json, participant
from benchmarks.cluster import NAMESPACE, ROOT, Cluster, running_cluster

from rendezvous_api import names
from rendezvous_controlplane import LocalControlPlane
from rendezvous_controlplane.binaries import program_version

GROUP = "benchmark.rdzv.dev"
SHARED_PLURAL = "sharedlists"
FIRST_BACK_OFF, LONGEST_BACK_OFF = 0.01, 1.0

SHARED_CRD: Json = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": f"{SHARED_PLURAL}.{GROUP}"},
    "spec": {
        "group": GROUP,
        "scope": "Namespaced",
        "names": {"kind": "SharedList", "plural": SHARED_PLURAL},
        "versions": [
            {
                "name": "v1",
                "served": True,
                "storage": True,
                "subresources": {"status": {}},
                "schema": {
                    "openAPIV3Schema": {
                        "type": "object",
                        "properties": {
                            "status": {
                                "type": "object",
                                "x-kubernetes-preserve-unknown-fields": True,
                            }
                        },
                    }
                },
            }
        ],
    },
}


@dataclass
class Count:
    """What one burst has cost."""

    writes: int = 0
    """Requests that were to change something, those that failed included."""
    conflicts: int = 0
    errors: int = 0
    """Answers 429 and 5xx."""
    watched_bytes: int = 0
    """What all watches together have received."""


@dataclass
class Burst:
    """One measurement."""

    seconds: float | None
    """None: not finished within the time limit."""
    count: Count


@dataclass
class Result:
    """All measurements of one way at one size."""

    way: str
    clients: int
    bursts: list[Burst] = field(default_factory=list)


class Client:
    """One node: it watches one object and has one way to join."""

    def __init__(self, number: int, clients: int, api: Api, path: str, count: Count) -> None:
        self.name = f"node-{number}"
        self.clients = clients
        self.api = api
        self.path = path
        """Of the object that is watched."""
        self.count = count
        self.watching = asyncio.Event()
        self.complete = asyncio.Event()

    async def prepare(self) -> None:
        """Open the connection for requests."""
        status, _ = await self.api.request("GET", self.path)
        assert status == 200, f"GET {self.path}: {status}"

    async def watch(self) -> None:
        """Read the watch until all clients are in the list."""
        async for line in self.api.watch(self.path):
            self.watching.set()
            self.count.watched_bytes += len(line)
            if self._is_complete(line):
                self.complete.set()
                return
        raise ConnectionError("the watch has ended")

    def _is_complete(self, line: bytes) -> bool:
        # A look at the bytes first: N clients parse N lists of N entries in this one process otherwise.
        if line.count(b'"incarnation"') < self.clients:
            return False
        status = json.loads(line)["object"].get("status", {})
        found = status.get("participants", {})
        listed = found if isinstance(found, dict) else {entry["name"] for entry in found}
        return len(listed) == self.clients and any(entry.endswith(self.name) for entry in listed)

    async def join(self) -> None:
        """Do what one node does to get into the list."""
        raise NotImplementedError

    async def write(self, method: str, path: str, body: Json, merge: bool = False) -> bool:
        """Make one write. Returns whether it was done; otherwise it is worth another try."""
        self.count.writes += 1
        status, answer = await self.api.request(method, path, body, merge)
        if status == 409:
            self.count.conflicts += 1
        elif status == 429 or status >= 500:
            self.count.errors += 1
        elif status >= 300:
            raise RuntimeError(f"{method} {path}: {status} {answer.get('message')}")
        return status < 300

    async def write_at_last(self, method: str, path: str, body: Json, merge: bool = False) -> None:
        """Make one write, however often it takes."""
        for longest in _back_offs():
            if await self.write(method, path, body, merge):
                return
            await asyncio.sleep(random.uniform(0, longest))

    def entry(self) -> Json:
        """What the list says about this node: as much as `status.participants[]` of a Rendezvous does."""
        return {"name": self.name, "incarnation": "abcd1234", "attempt": 1, "rank": 0}


class OwnObject(Client):
    """Creates its own RendezvousParticipant."""

    uid = ""

    async def prepare(self) -> None:
        """Open the connection, and remember which Rendezvous it is."""
        _, rendezvous = await self.api.request("GET", self.path)
        self.uid = rendezvous["metadata"]["uid"]

    async def join(self) -> None:
        """Create the object."""
        rendezvous = self.path.rpartition("/")[2]
        body = participant(rendezvous, self.uid, self.name)
        await self.write_at_last("POST", PARTICIPANTS, body)


class CompareAndSet(Client):
    """Adds itself to the list of the shared object if that is as it was read."""

    async def join(self) -> None:
        """Read, add, write; again after a conflict."""
        for longest in _back_offs():
            status, shared = await self.api.request("GET", self.path)
            if status == 200:
                listed = [*shared.get("status", {}).get("participants", []), self.entry()]
                body = {
                    "metadata": {"resourceVersion": shared["metadata"]["resourceVersion"]},
                    "status": {"participants": listed},
                }
                if await self.write("PATCH", f"{self.path}/status", body, merge=True):
                    return
            await asyncio.sleep(random.uniform(0, longest))


class OwnKey(Client):
    """Merges its entry into the map of the shared object."""

    async def join(self) -> None:
        """Write the one key."""
        body = {"status": {"participants": {self.name: self.entry()}}}
        await self.write_at_last("PATCH", f"{self.path}/status", body, merge=True)


WAYS: dict[str, type[Client]] = {
    "many": OwnObject,
    "shared, compare-and-set": CompareAndSet,
    "shared, own key": OwnKey,
}


class Benchmark:
    """One control plane with an operator, on which bursts are measured."""

    def __init__(self, cluster: Cluster, limit: float) -> None:
        self.cluster = cluster
        self.limit = limit
        self.context = cluster.tls()
        self.number = 0

    async def burst(self, way: str, clients: int) -> Burst:
        """Make N clients watch, let them join at once, and wait until all of them hold the whole list."""
        self.number += 1
        name = f"burst-{self.number}"
        kind, group, plural = names.RENDEZVOUS_KIND, names.API_VERSION, names.RENDEZVOUS_PLURAL
        spec: Json = {"spec": {"minNodes": clients, "maxNodes": clients}}
        if WAYS[way] is not OwnObject:
            kind, group, plural, spec = "SharedList", f"{GROUP}/v1", SHARED_PLURAL, {}
        collection = f"/apis/{group}/namespaces/{NAMESPACE}/{plural}"
        count = Count()
        async with contextlib.AsyncExitStack() as cleanup:
            apis = [Api(self.cluster.plane.url, self.cluster.token, self.context) for _ in range(clients)]
            for api in apis:
                cleanup.push_async_callback(api.session.close)
            body = {"apiVersion": group, "kind": kind, "metadata": {"name": name}, **spec}
            status, answer = await apis[0].request("POST", collection, body)
            assert status == 201, answer
            cleanup.push_async_callback(self._clean_up, apis[0], collection)
            if WAYS[way] is OwnObject:
                await self._noticed(apis[0], f"{collection}/{name}")
            members = [
                WAYS[way](number, clients, api, f"{collection}/{name}", count) for number, api in enumerate(apis)
            ]
            return await self._measure(members, count)

    async def _measure(self, members: Sequence[Client], count: Count) -> Burst:
        watches = [asyncio.create_task(member.watch()) for member in members]
        joins: list[asyncio.Task[None]] = []
        try:
            await asyncio.gather(*(member.prepare() for member in members))
            await asyncio.gather(*(member.watching.wait() for member in members))
            count.watched_bytes = 0
            began = time.perf_counter()
            joins = [asyncio.create_task(member.join()) for member in members]
            tasks = {*watches, *joins}
            done, pending = await asyncio.wait(tasks, timeout=self.limit, return_when=asyncio.FIRST_EXCEPTION)
            seconds = time.perf_counter() - began
            for task in done:
                task.result()
            return Burst(None if pending else seconds, count)
        finally:
            for task in [*watches, *joins]:
                task.cancel()
            await asyncio.gather(*watches, *joins, return_exceptions=True)

    async def _noticed(self, api: Api, path: str) -> None:
        """Wait until the operator has seen a Rendezvous, so that only joins are measured."""
        deadline = time.monotonic() + 60
        while not (await api.request("GET", path))[1].get("status", {}).get("conditions"):
            if time.monotonic() > deadline:
                raise TimeoutError("the operator has taken no notice of the Rendezvous for 60 s")
            await asyncio.sleep(0.1)

    async def _clean_up(self, api: Api, collection: str) -> None:
        for path in (collection, PARTICIPANTS):
            await api.request("DELETE", path)
        await asyncio.sleep(1)  # let the operator and the API server come to rest


def _back_offs() -> Iterator[float]:
    """Longest pause in seconds before each further try."""
    longest = FIRST_BACK_OFF
    while True:
        yield longest
        longest = min(2 * longest, LONGEST_BACK_OFF)


@contextlib.contextmanager
def _cluster() -> Iterator[Cluster]:
    """A cluster that knows the shared object, too."""
    with tempfile.TemporaryDirectory() as folder:
        shared = Path(folder) / "sharedlists.json"
        shared.write_text(json.dumps(SHARED_CRD), encoding="utf-8")
        with running_cluster([shared]) as cluster:
            yield cluster


async def _measure_all(benchmark: Benchmark, plan: Sequence[tuple[str, int]], repeats: int) -> AsyncIterator[Result]:
    for way, clients in plan:
        result = Result(way, clients)
        for repeat in range(repeats):
            burst = await benchmark.burst(way, clients)
            result.bursts.append(burst)
            took = "not finished" if burst.seconds is None else f"{burst.seconds:.2f} s"
            print(f"{way}, {clients} clients, {repeat + 1} of {repeats}: {took}  {burst.count}", file=sys.stderr)
            if burst.seconds is None:
                break  # two more would say the same and take as long
        yield result


def _cell(result: Result, limit: float) -> str:
    seconds = [burst.seconds for burst in result.bursts if burst.seconds is not None]
    if len(seconds) < len(result.bursts):
        return f"not finished in {limit:.0f} s"
    counts = [burst.count for burst in result.bursts]
    middle = statistics.median(seconds)
    writes, conflicts = (statistics.median(getattr(count, key) for count in counts) for key in ("writes", "conflicts"))
    errors = max(count.errors for count in counts)
    more = f", up to {errors} errors" if errors else ""
    megabytes = statistics.median(count.watched_bytes for count in counts) / 1e6
    return f"{middle:.2f} s ({writes:.0f} writes, {conflicts:.0f} conflicts{more}, {megabytes:.1f} MB watched)"


def _table(results: Sequence[Result], limit: float) -> str:
    sizes = sorted({result.clients for result in results})
    ways = list(dict.fromkeys(result.way for result in results))
    cells = {(result.way, result.clients): _cell(result, limit) for result in results}
    lines = [["N", *ways], ["---"] * (len(ways) + 1)]
    lines += [[str(size), *(cells.get((way, size), "") for way in ways)] for size in sizes]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _machine(plane: LocalControlPlane) -> Json:
    return {
        "cores": len(os.sched_getaffinity(0)),
        "load_before": round(os.getloadavg()[0], 1),
        "python": platform.python_version(),
        "kube-apiserver": plane.version,
        "etcd": program_version(plane.binaries.etcd),
        "aiohttp": aiohttp.__version__,
    }


def _write(path: Path, machine: Json, limit: float, results: Sequence[Result]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    written = {"machine": machine, "limit_seconds": limit, "results": [asdict(result) for result in results]}
    path.write_text(json.dumps(written, indent=2) + "\n", encoding="utf-8")


async def _run(arguments: argparse.Namespace) -> None:
    plan = [(way, size) for way in WAYS for size in (arguments.sizes if way != "many" else arguments.sizes_many)]
    with _cluster() as cluster:
        machine = _machine(cluster.plane)
        print(", ".join(f"{key} {value}" for key, value in machine.items()), file=sys.stderr)
        benchmark = Benchmark(cluster, arguments.limit)
        await benchmark.burst("many", 2)  # the first one pays for what is done once
        results: list[Result] = []
        async for result in _measure_all(benchmark, plan, arguments.repeats):
            results.append(result)
            _write(arguments.json, machine, arguments.limit, results)
    print(_table(results, arguments.limit))
    print(f"all numbers are in {arguments.json}", file=sys.stderr)


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.one_object_or_many",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--sizes", type=int, nargs="+", default=[8, 32, 128], help="clients, for the shared object")
    parser.add_argument("--sizes-many", type=int, nargs="+", default=[8, 32, 128, 256], help="clients, for own objects")
    parser.add_argument("--repeats", type=int, default=3, help="bursts of each kind; the median is shown")
    parser.add_argument("--limit", type=float, default=120, help="seconds that one burst may take")
    parser.add_argument("--json", type=Path, default=ROOT / "build" / "one_object_or_many.json", help="all numbers")
    asyncio.run(_run(parser.parse_args()))


if __name__ == "__main__":
    main()
