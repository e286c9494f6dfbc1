"""Machines, the Nodes of Kubernetes: read from the API server when a decision needs them, and not watched.

A cluster may have thousands of machines, and most never matter. Without the right to read them, or without an answer,
they are no evidence, and nothing waits for them.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection, Mapping
from typing import NamedTuple, TypeVar
from urllib.parse import quote

from rendezvous_api.api_errors import ApiError, NotFoundError
from rendezvous_operator.core.machines import LOOK_AGAIN_SECONDS
from rendezvous_operator.core.world import Machine, Taint
from rendezvous_operator.kube.client import MOST_SINGLE_READS, Client, Json

T = TypeVar("T")

logger = logging.getLogger(__name__)

PATH = "/api/v1/nodes"
OUT_OF_SERVICE = "node.kubernetes.io/out-of-service"
"""A taint by which people, or their tools, say that a machine is shut down."""

TIMEOUT_SECONDS = 2.0
"""Of one read: the decision that needs it waits."""
LIST_AGAIN_SECONDS = 30.0
"""How long the answer of a list counts: it may be large, and is asked for where no member is lost by it."""

KEPT_SECONDS = 60.0
"""How long an answer counts after which all reads have failed. A mark does not go away because one read is late."""

GONE = Machine(problem="is gone")


class _Answer(NamedTuple):
    soon: float
    """It is read again from this moment on, if it is that of a silent member."""
    until: float
    """It is read again from this moment on, whatever it is needed for."""
    machine: Machine | None
    """None: nothing is known of it."""
    kept_until: float
    """What is known counts before this moment if all reads fail."""


class Machines:
    """What the API server says of the machines that decisions need."""

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

    def known(self, names: Collection[str]) -> Mapping[str, Machine]:
        """Those of these machines of which something is known."""
        found = ((name, self._answers.get(name)) for name in names)
        return {name: answer.machine for name, answer in found if answer is not None and answer.machine is not None}

    def unread(self, names: Collection[str], silent: Collection[str] = ()) -> list[str]:
        """Those of these machines that were not read a short time ago; ``silent``: those of silent members."""
        now, found, soon = self._clock(), self._answers, {*silent}
        return [
            name
            for name in names
            if (one := found.get(name)) is None or now >= (one.soon if name in soon else one.until)
        ]

    async def read(self, names: Collection[str], silent: Collection[str] = ()) -> None:
        """Read machines of which that was not done a short time ago, in the same sense.

        Of one that cannot be read, what was read before counts for a while.
        """
        unread, now = self.unread(names, silent), self._clock()
        self._answers = {name: one for name, one in self._answers.items() if now < max(one.until, one.kept_until)}
        if len(unread) > MOST_SINGLE_READS:
            listed = await self._answered(self._listed())
            for name in unread:
                self._note(name, None if listed is None else listed.get(name, GONE), LIST_AGAIN_SECONDS)
        else:
            await asyncio.gather(*(self._read_one(name) for name in unread))

    async def _read_one(self, name: str) -> None:
        self._note(name, await self._answered(self._one(name)), LOOK_AGAIN_SECONDS)

    def _note(self, name: str, machine: Machine | None, seconds: float) -> None:
        """A machine was read, and the answer counts so long; None: it could not be read."""
        now, before = self._clock(), self._answers.get(name)
        soon = now + LOOK_AGAIN_SECONDS
        if machine is not None:
            self._answers[name] = _Answer(soon, now + seconds, machine, now + KEPT_SECONDS)
        elif before is not None:
            self._answers[name] = before._replace(soon=soon, until=soon)
        else:
            self._answers[name] = _Answer(soon, soon, None, now)

    async def _one(self, name: str) -> Machine:
        try:
            return machine_of(await self._client.request("GET", f"{PATH}/{quote(name, safe='')}"))
        except NotFoundError:
            return GONE

    async def _listed(self) -> Mapping[str, Machine]:
        found = await self._client.list_all(PATH)
        return {item["metadata"]["name"]: machine_of(item) for item in found.items}

    async def _answered(self, read: Awaitable[T]) -> T | None:
        try:
            answer = await read
        except ApiError as error:
            if not self._failing:
                logger.warning("machines are no evidence, since they cannot be read: %s", error.describe())
            self._failing = True
            return None
        self._failing = False
        return answer


def machine_of(item: Json) -> Machine:
    """A Node of Kubernetes as decisions see it."""
    spec = item.get("spec", {})
    taints = (Taint(one.get("key", ""), one.get("value", ""), one.get("effect", "")) for one in spec.get("taints", []))
    conditions = {
        condition.get("type", ""): condition.get("status", "")
        for condition in item.get("status", {}).get("conditions", [])
    }
    labels = item.get("metadata", {}).get("labels", {})
    return Machine(problem_of(item), labels, tuple(taints), conditions, spec.get("unschedulable", False))


def problem_of(item: Json) -> str | None:
    """Why a machine is down, for people; None: it is not."""
    taints = item.get("spec", {}).get("taints", [])
    if any(taint.get("key") == OUT_OF_SERVICE for taint in taints):
        return "is out of service"
    for condition in item.get("status", {}).get("conditions", []):
        if condition.get("type") == "Ready" and condition.get("status") != "True":
            return "is unreachable" if condition.get("status") == "Unknown" else "is NotReady"
    return None
