"""What the operator reads itself, beside the watches: everything at the start, and what a decision must be sure of."""

import asyncio
import logging
from collections.abc import Collection, Sequence

from rendezvous_api import names
from rendezvous_operator.cache import Cache, Key, Listed, Read, Shown
from rendezvous_operator.cluster import Cluster, ConflictError, RefusedError, UnreachableError
from rendezvous_operator.core.world import Target

logger = logging.getLogger(__name__)

MOST_SINGLE_READS = 20
"""Of more objects of one kind their namespace is listed: one request, in place of one for each."""


class Reader:
    """Reads from the API server into the cache.

    Attributes:
        cache: has all that was read, and what the watches show.
    """

    def __init__(self, cluster: Cluster, cache: Cache, namespace: str | None) -> None:
        """``namespace``: that is served; None: all."""
        self._cluster = cluster
        self.cache = cache
        self._namespace = namespace

    async def list(self, kind: str) -> set[Key]:
        """See all objects of a kind, however long the API server takes to answer; the Rendezvous to decide on."""
        backoff = 0.5
        while True:
            self.cache.list_begins(kind)
            try:
                objects = await self._cluster.list(kind, self._namespace)
            except (UnreachableError, RefusedError, ConflictError) as error:
                logger.warning("waiting for the API server to list every %s: %s", kind, error)
                await asyncio.sleep(backoff)
                backoff = min(backoff * 2, 10.0)
                continue
            return self.cache.take(Listed(kind, objects))

    async def rendezvous(self, key: Key) -> set[Key]:
        """See one Rendezvous as it is now; nothing if the API server does not say."""
        try:
            item = await self._cluster.read(names.RENDEZVOUS_KIND, *key)
        except (UnreachableError, RefusedError):
            return set()
        return self.cache.take(Shown(names.RENDEZVOUS_KIND, item)) if item is not None else set()

    async def evidence(self, key: Key, targets: Collection[Target]) -> None:
        """See objects around a Rendezvous as they are now, or that they are not there. A watch may be late.

        Raises:
            UnreachableError: some of them were not read.
            RefusedError: the same, and it may last.
            DecodeError: an object is not of the shape that its CRD promises.
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
        asked_at = self.cache.clock()
        item = await self._cluster.read(target.kind, key.namespace, target.name)
        self.cache.take(Read(key, target, item, asked_at))

    async def _all_of(self, key: Key, kind: str, targets: Sequence[Target]) -> None:
        asked_at = self.cache.clock()
        # Not by the label: a participant may name a pod that does not carry it.
        objects = await self._cluster.list(kind, key.namespace, labelled=False)
        found = {item["metadata"]["name"]: item for item in objects}
        for target in targets:
            self.cache.take(Read(key, target, found.get(target.name), asked_at))
