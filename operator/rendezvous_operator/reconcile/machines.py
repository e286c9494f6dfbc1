"""Which machines are down: read from the API server while a member on one of them is silent, and not watched.

A cluster may have thousands of machines, and most never matter. Without the right to read them, or without an answer,
they are no evidence, and nothing waits for them.
"""

import logging
from collections.abc import Callable, Collection, Mapping
from typing import NamedTuple
from urllib.parse import quote

from rendezvous_api.api_errors import ApiError, NotFoundError
from rendezvous_operator.core.machines import LOOK_AGAIN_SECONDS
from rendezvous_operator.kube.client import Client, Json

logger = logging.getLogger(__name__)

PATH = "/api/v1/nodes/{name}"
OUT_OF_SERVICE = "node.kubernetes.io/out-of-service"
"""A taint by which people, or their tools, say that a machine is shut down."""

TIMEOUT_SECONDS = 2.0
"""Of one read: the decision that needs it waits."""


class _Answer(NamedTuple):
    at: float
    problem: str | None
    """None: it is well, or that is not known."""


class Machines:
    """What the API server says of the machines of silent members."""

    def __init__(self, client: Client, clock: Callable[[], float]) -> None:
        """Nothing is known yet.

        Args:
            client: for these reads alone, with `TIMEOUT_SECONDS`. They may fail while all others are answered, so they
                show no outage.
            clock: monotonic seconds.
        """
        self._client = client
        self._clock = clock
        self._answers: dict[str, _Answer] = {}
        self._failing = False

    def down(self, names: Collection[str]) -> Mapping[str, str]:
        """Those of these machines that are down, and why, for people."""
        found = ((name, self._answers.get(name)) for name in names)
        return {name: answer.problem for name, answer in found if answer is not None and answer.problem is not None}

    async def read(self, name: str) -> None:
        """Read a machine, if that was not done a short time ago. One that cannot be read counts as not known."""
        now = self._clock()
        self._answers = {name: one for name, one in self._answers.items() if now < one.at + LOOK_AGAIN_SECONDS}
        if name in self._answers:
            return
        problem = None
        try:
            problem = problem_of(await self._client.request("GET", PATH.format(name=quote(name, safe=""))))
        except NotFoundError:
            problem = "is gone"
        except ApiError as error:
            if not self._failing:
                logger.warning("machines are no evidence, since they cannot be read: %s", error.describe())
            self._failing = True
        else:
            self._failing = False
        self._answers[name] = _Answer(self._clock(), problem)


def problem_of(item: Json) -> str | None:
    """Why a machine, a Node of Kubernetes, is down, for people; None: it is not."""
    taints = item.get("spec", {}).get("taints", [])
    if any(taint.get("key") == OUT_OF_SERVICE for taint in taints):
        return "is out of service"
    for condition in item.get("status", {}).get("conditions", []):
        if condition.get("type") == "Ready" and condition.get("status") != "True":
            return "is unreachable" if condition.get("status") == "Unknown" else "is NotReady"
    return None
