"""Which TrainJob owns a JobSet: read once, since the owner of an object with a UID does not change.

No answer decides for ever, and none is waited for for ever: if it is not known, the JobSet stays the workload.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping
from urllib.parse import quote

from rendezvous_api.api_errors import ApiError, UnauthorizedError, UnreachableError
from rendezvous_operator.core.train_jobs import TrainJob, jobsets_to_know
from rendezvous_operator.core.world import World
from rendezvous_operator.kube.client import Client, Json
from rendezvous_operator.watch.seen import Key

logger = logging.getLogger(__name__)

JOBSETS = "/apis/jobset.x-k8s.io/v1alpha2/namespaces/{namespace}/jobsets/{name}"
TRAINER_GROUP = "trainer.kubeflow.org"

TIMEOUT_SECONDS = 5.0
"""Of one read: the decision that needs it waits."""

PATIENCE_SECONDS = 10.0
"""For how long reads of one JobSet may get no answer before its owner counts as not known. Outages do not count."""


class TrainJobs:
    """The TrainJobs of the JobSets of each Rendezvous."""

    def __init__(self, client: Client, clock: Callable[[], float]) -> None:
        """Nothing is known yet.

        Args:
            client: for these reads alone, with `TIMEOUT_SECONDS`. They may fail while all others are answered, so they
                show no outage.
            clock: seconds without outages.
        """
        self._client = client
        self._clock = clock
        self._known: dict[Key, dict[str, TrainJob | None]] = {}
        self._failing_since: dict[str, float] = {}
        """By the UID of the JobSet."""

    def of(self, key: Key) -> Mapping[str, TrainJob | None]:
        """What is known of a Rendezvous: the TrainJob of each JobSet, by the UID of the JobSet."""
        return self._known.get(key, {})

    def forget(self, key: Key) -> None:
        """The Rendezvous is gone."""
        self._known.pop(key, None)

    def unread(self, key: Key, world: World) -> Mapping[str, str]:
        """UID and name of the JobSets that must be read before a decision."""
        known = self.of(key)
        return {uid: name for uid, name in jobsets_to_know(world).items() if uid not in known}

    async def read(self, key: Key, jobsets: Mapping[str, str]) -> None:
        """Learn the owners of these JobSets (UID and name). Afterwards all of them are in `of`.

        Raises:
            ApiError: the API server does not answer one of the reads; try again.
        """
        await asyncio.gather(*(self._one(key, uid, name) for uid, name in jobsets.items()))

    async def _one(self, key: Key, uid: str, name: str) -> None:
        owner, problem = None, None
        try:
            item = await self._client.request("GET", JOBSETS.format(namespace=key.namespace, name=quote(name, safe="")))
        except (UnreachableError, UnauthorizedError) as error:
            if self._clock() - self._failing_since.setdefault(uid, self._clock()) < PATIENCE_SECONDS:
                raise
            problem = error.describe()
        except ApiError as error:
            problem = error.describe()
        else:
            metadata = item.get("metadata", {})
            if metadata.get("uid") == uid:
                owner = _train_job(metadata)
            else:
                problem = f"JobSet {name} has another UID now"
        self._failing_since.pop(uid, None)
        self._known.setdefault(key, {})[uid] = owner
        if problem is not None:
            logger.warning(
                "%s: runs of JobSet %s are named by its UID, since what owns it is not known: %s", key, name, problem
            )


def _train_job(metadata: Json) -> TrainJob | None:
    for reference in metadata.get("ownerReferences", []):
        group = reference["apiVersion"].partition("/")[0]
        if reference.get("controller") and (group, reference["kind"]) == (TRAINER_GROUP, "TrainJob"):
            return TrainJob(reference["uid"], reference["name"])
    return None
