"""Every state that a Rendezvous goes through, as a watch shows it; and what must hold for all of them, in any order."""

import itertools
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import TypeVar

from kubernetes import client, watch
from tests.support.round_rules import broken
from tests.support.waiting import wait_until

from rendezvous_api import names
from rendezvous_api.codec import decode
from rendezvous_api.rendezvous import Rendezvous, RendezvousStatus

_WATCH_SECONDS = 1
"""A watch ends after this time and a new one begins where it was, so that the recorder ends soon when asked to."""


@dataclass(frozen=True)
class Sight:
    """One state and when it was seen (``time.time()``)."""

    at: float
    status: RendezvousStatus


AnyRecorder = TypeVar("AnyRecorder", bound="Recorder")


class Recorder:
    """Records the states of a Rendezvous while its ``with`` block runs. The API server must not end before."""

    def __init__(self, api: client.ApiClient, namespace: str, name: str) -> None:
        self.sights: list[Sight] = []
        self._api = client.CustomObjectsApi(api)
        self._kind = (names.GROUP, names.VERSION, namespace, names.RENDEZVOUS_PLURAL)
        self._one = {"field_selector": f"metadata.name={name}"}
        self._error: Exception | None = None
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="recorder", daemon=True)

    def __enter__(self: AnyRecorder) -> AnyRecorder:
        self._thread.start()
        wait_until(lambda: self.sights, "the first state of the Rendezvous")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stopped.set()
        self._thread.join(_WATCH_SECONDS + 10)
        if self._error is not None and error is None:
            raise self._error

    def first(self, condition: Callable[[RendezvousStatus], bool], what: str, *, since: float = 0.0) -> Sight:
        """The first state seen after ``since`` for which the condition holds; waits for it."""

        def found() -> Sight | None:
            seen = [sight for sight in list(self.sights) if sight.at >= since]
            return next((sight for sight in seen if condition(sight.status)), None)

        return wait_until(found, what, 90)

    def assert_rules(self, min_nodes: int, max_nodes: int, *, operator_was_away: bool = False) -> None:
        """What no state, and no step from one to the next, may break (rules "exclusivity", "size" and "only forward").

        An operator that was away may find all who live joined again, and then it has nobody to ask.
        """
        statuses = [sight.status for sight in self.sights]
        for before, after in itertools.pairwise([None, *statuses]):
            assert after is not None
            assert [*broken(min_nodes, max_nodes, before, after)] == [], (before, after)
            if before is None or after.round == before.round:
                continue
            assert after.round == before.round + 1, (before, after)
            assert after.waiting_nodes == 0, after
            if before.round and not operator_was_away:
                assert before.waiting_nodes > 0, f"round {before.round} was replaced without having been asked to end"

    def _run(self) -> None:
        try:
            self._record()
        except Exception as error:  # noqa: BLE001 - raised again in the thread of the test
            self._error = error

    def _record(self) -> None:
        listed = self._api.list_namespaced_custom_object(*self._kind, **self._one)
        for item in listed["items"]:
            self._saw(decode(Rendezvous, item))
        version = listed["metadata"]["resourceVersion"]
        while not self._stopped.is_set():
            for event in watch.Watch().stream(
                self._api.list_namespaced_custom_object,
                *self._kind,
                **self._one,
                resource_version=version,
                timeout_seconds=_WATCH_SECONDS,
            ):
                version = event["object"]["metadata"]["resourceVersion"]
                self._saw(decode(Rendezvous, event["object"]))

    def _saw(self, rendezvous: Rendezvous) -> None:
        self.sights.append(Sight(time.time(), rendezvous.status))
