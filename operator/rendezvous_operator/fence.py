"""Writes of a leader: each checks, right before it is sent, that its term is not over."""

import logging
from collections.abc import Callable

from rendezvous_api.codec import encode
from rendezvous_api.meta import ObjectMeta
from rendezvous_api.rendezvous import RendezvousStatus
from rendezvous_operator.cache import Key
from rendezvous_operator.cluster import Cluster, ConflictError, Json
from rendezvous_operator.core.world import Deletion

logger = logging.getLogger(__name__)


class TermOverError(Exception):
    """What was decided in a term as leader must not be written any more: the term is over."""


class FencedCluster:
    """All that the reconciler may write, for the length of one term as leader.

    A process may be stopped for any time between a decision and its write, and others may lead meanwhile. This narrows
    the gap to the request itself; for the rest, each write names the version of the object that was decided on.
    """

    def __init__(self, cluster: Cluster, term: int, current_term: Callable[[], int | None]) -> None:
        """``term``: in which the decision is taken; ``current_term`` gives that of now, None: another leads."""
        self._cluster = cluster
        self._term = term
        self._current_term = current_term

    async def write_status(self, metadata: ObjectMeta, status: RendezvousStatus) -> Json | None:
        """Replace the status of a Rendezvous that is still as it was seen. Returns it as written; None: it is gone.

        Raises:
            TermOverError: nothing was sent.
            ConflictError: it has changed.
            UnreachableError: it may have been written or not.
            RefusedError: the API server does not accept it.
        """
        self._check()
        return await self._cluster.write_status(
            metadata.namespace, metadata.name, metadata.uid, metadata.resource_version, encode(status)
        )

    async def delete(self, key: Key, deletion: Deletion) -> None:
        """Delete an object of a Rendezvous that is still as it was seen; one that has changed is kept.

        Raises:
            TermOverError: nothing was sent.
            UnreachableError: it may have been deleted or not.
            RefusedError: the API server does not allow it.
        """
        self._check()
        logger.info("%s: deleting %s %s: %s", key, deletion.kind, deletion.name, deletion.why)
        try:
            await self._cluster.delete(
                deletion.kind, key.namespace, deletion.name, deletion.uid, deletion.resource_version
            )
        except ConflictError:
            logger.info("%s: %s %s has changed and is kept", key, deletion.kind, deletion.name)

    def _check(self) -> None:
        if self._current_term() != self._term:
            raise TermOverError


class Fence:
    """Lets only a leader write.

    Args:
        cluster: to write to.
        current_term: gives the term as leader; None while another operator leads.
    """

    def __init__(self, cluster: Cluster, current_term: Callable[[], int | None]) -> None:
        self._cluster = cluster
        self._current_term = current_term

    @property
    def leading(self) -> bool:
        """Whether this operator leads now."""
        return self._current_term() is not None

    def enter(self) -> FencedCluster | None:
        """What a turn that begins now may write with; None: another operator leads."""
        term = self._current_term()
        return FencedCluster(self._cluster, term, self._current_term) if term is not None else None
