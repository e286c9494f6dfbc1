"""The reads of the operator beside the watches: all objects at the start, and what a decision needs for certain."""

import asyncio
import logging
from collections.abc import Collection, Sequence
from dataclasses import replace

from rendezvous_api import names
from rendezvous_api.api_errors import ApiError
from rendezvous_api.backoff import Backoff, Failures
from rendezvous_operator.core import machines
from rendezvous_operator.core.train_jobs import with_train_jobs
from rendezvous_operator.core.world import Target, World
from rendezvous_operator.kube.client import MOST_SINGLE_READS, Client
from rendezvous_operator.reconcile.machines import Machines
from rendezvous_operator.reconcile.train_jobs import TrainJobs
from rendezvous_operator.watch.cache import Cache
from rendezvous_operator.watch.seen import Key, Listed, Read

logger = logging.getLogger(__name__)

BACKOFF = Backoff(first=0.5, longest=10.0)


class Reader:
    """Reads from the API server into the cache.

    Attributes:
        cache: gets all that is read, and what the watches show.
    """

    def __init__(
        self,
        client: Client,
        cache: Cache,
        namespace: str | None,
        train_jobs: TrainJobs | None = None,
        machines: Machines | None = None,
    ) -> None:
        """A reader.

        Args:
            client: for its requests.
            cache: see above.
            namespace: the one that is served; None: all.
            train_jobs: that are the workloads of their pods; None: JobSets are.
            machines: reads those that a decision needs; None: none may be read.
        """
        self._client = client
        self.cache = cache
        self._namespace = namespace
        self._train_jobs = train_jobs
        self._machines = machines

    async def world(self, key: Key) -> World | None:
        """All that is seen of a Rendezvous, with its pods' workloads and machines; None: it does not exist.

        Raises:
            ApiError: the owner of a JobSet was not read.
        """
        while True:
            world = await self._with_workloads(key)
            if world is None or self._machines is None:
                return world
            now = self.cache.clock()
            needed, silent = machines.to_know(now, world), machines.of_silent_members(now, world)
            if not self._machines.unread(needed, silent):
                return replace(world, machines=self._machines.known(needed))
            await self._machines.read(needed, silent)  # meanwhile others may have joined

    async def _with_workloads(self, key: Key) -> World | None:
        world, train_jobs = self.cache.world(key), self._train_jobs
        if train_jobs is None:
            return world
        while world is not None and (jobsets := train_jobs.unread(key, world)):
            await train_jobs.read(key, jobsets)
            world = self.cache.world(key)  # it may have changed meanwhile
        if world is None:
            train_jobs.forget(key)
            return None
        return with_train_jobs(world, train_jobs.of(key))

    async def list(self, kind: str) -> set[Key]:
        """List a kind, again and again until the API server answers. Returns the Rendezvous that need a decision."""
        failures = Failures(BACKOFF)
        while True:
            asked = self.cache.asks(kind)
            try:
                objects = await self._client.list(kind, self._namespace)
            except ApiError as error:
                logger.warning("waiting for the API server to list every %s: %s", kind, error.describe())
                await asyncio.sleep(failures.pause())
            else:
                return self.cache.take(Listed(asked, objects.items, objects.version))

    async def rendezvous(self, key: Key) -> set[Key]:
        """Read one Rendezvous. Returns the Rendezvous that need a decision; none if the API server does not answer."""
        asked = self.cache.asks(names.RENDEZVOUS_KIND)
        try:
            item = await self._client.read(names.RENDEZVOUS_KIND, *key)
        except ApiError:
            return set()
        return self.cache.take(Read(key, Target(names.RENDEZVOUS_KIND, key.name), item, asked))

    async def evidence(self, key: Key, targets: Collection[Target]) -> None:
        """Read objects of a Rendezvous, or learn that they do not exist, since a watch may be late.

        Raises:
            ApiError: some of them were not read.
        """
        reads = []
        for kind in sorted({target.kind for target in targets}):
            of_kind = sorted(target for target in targets if target.kind == kind)
            if len(of_kind) > MOST_SINGLE_READS:
                reads.append(self._all_of(key, kind, of_kind))
            else:
                reads += [self._one(key, target) for target in of_kind]
        await asyncio.gather(*reads)

    async def _one(self, key: Key, target: Target) -> None:
        asked = self.cache.asks(target.kind)
        item = await self._client.read(target.kind, key.namespace, target.name)
        self.cache.take(Read(key, target, item, asked))

    async def _all_of(self, key: Key, kind: str, targets: Sequence[Target]) -> None:
        asked = self.cache.asks(kind)
        # Without the label: a participant may name a pod that does not have it.
        objects = await self._client.list(kind, key.namespace, labelled=False)
        found = {item["metadata"]["name"]: item for item in objects.items}
        for target in targets:
            self.cache.take(Read(key, target, found.get(target.name), asked))
