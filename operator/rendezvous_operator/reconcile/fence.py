"""The writes of a leader: right before each one its term is checked."""

import logging
from collections.abc import Callable

from rendezvous_api.api_errors import ConflictError
from rendezvous_api.codec import encode
from rendezvous_api.meta import ObjectMeta
from rendezvous_api.rendezvous import RendezvousStatus
from rendezvous_operator.core.world import Deletion
from rendezvous_operator.kube.client import Client, Json
from rendezvous_operator.watch.seen import Key

logger = logging.getLogger(__name__)


class TermOverError(Exception):
    """The term in which the decision was made has ended, so nothing of it may be written."""


class FencedClient:
    """All writes of the reconciler, for one term as leader.

    A process may be stopped between a decision and its write, and another one may become the leader in that time. The
    check limits the gap to the request itself. For the request, each write has the version of the object that was
    decided on.
    """

    def __init__(self, client: Client, term: int, current_term: Callable[[], int | None]) -> None:
        """Writes of one term.

        Args:
            client: to write with.
            term: in which the decisions are made.
            current_term: gives the present term; None: another operator is the leader.
        """
        self._client = client
        self._term = term
        self._current_term = current_term

    async def write_status(self, metadata: ObjectMeta, status: RendezvousStatus) -> Json | None:
        """Replace the status of a Rendezvous that has not changed since it was seen.

        Returns it as written; None: it does not exist.

        Raises:
            TermOverError: nothing was sent.
            ConflictError: it has changed.
            UnreachableError: it may have been written or not.
            ApiError: the API server refuses it.
        """
        self._check()
        return await self._client.write_status(
            metadata.namespace, metadata.name, metadata.uid, metadata.resource_version, encode(status)
        )

    async def delete(self, key: Key, deletion: Deletion) -> bool:
        """Delete an object of a Rendezvous unless it has changed since it was seen.

        Returns whether there is such an object.

        Raises:
            TermOverError: nothing was sent.
            UnreachableError: it may have been deleted or not.
            ApiError: the API server refuses it.
        """
        self._check()
        logger.info("%s: deleting %s %s: %s", key, deletion.kind, deletion.name, deletion.why)
        try:
            return await self._client.delete(
                deletion.kind, key.namespace, deletion.name, deletion.uid, deletion.resource_version
            )
        except ConflictError:
            logger.info("%s: %s %s has changed and is kept", key, deletion.kind, deletion.name)
            return True

    def _check(self) -> None:
        if self._current_term() != self._term:
            raise TermOverError


class Fence:
    """Lets only a leader write.

    Args:
        client: to write with.
        current_term: gives the present term; None: another operator is the leader.
    """

    def __init__(self, client: Client, current_term: Callable[[], int | None]) -> None:
        self._client = client
        self._current_term = current_term

    def enter(self) -> FencedClient | None:
        """The writes for a reconcile that begins now; None: another operator is the leader."""
        term = self._current_term()
        return FencedClient(self._client, term, self._current_term) if term is not None else None
