"""Every state that a Rendezvous goes through, also while the API server goes away and comes back."""

import time

from kubernetes import client, watch
from kubernetes.client.exceptions import ApiException
from tests.support.recorder import Recorder as LocalRecorder
from urllib3.exceptions import HTTPError

from rendezvous_api.codec import decode
from rendezvous_api.rendezvous import Rendezvous, RendezvousStatus, Store

_WATCH_SECONDS = 5
_RETRY_SECONDS = 0.2


class Recorder(LocalRecorder):
    """Records the states of a Rendezvous while its ``with`` block runs. `sights` has them, with the time of each."""

    def __init__(self, api: client.ApiClient, namespace: str, name: str) -> None:
        super().__init__(api, namespace, name)
        self._version: str | None = None

    def now(self) -> float:
        """The time, as `sights` have it."""
        return time.time()

    def _record(self) -> None:
        while not self._stopped.is_set():
            try:
                if self._version is None:
                    self._list()
                self._watch()
            except ApiException as error:
                if error.status not in (410, 429, 500, 502, 503, 504):
                    raise
                self._version = None if error.status == 410 else self._version
                time.sleep(_RETRY_SECONDS)
            except (HTTPError, OSError):  # the API server is away; the watch goes on where it was
                time.sleep(_RETRY_SECONDS)

    def _list(self) -> None:
        listed = self._api.list_namespaced_custom_object(*self._kind, **self._one, _request_timeout=10)
        for item in listed["items"]:
            self._saw(decode(Rendezvous, item))
        self._version = str(listed["metadata"]["resourceVersion"])

    def _watch(self) -> None:
        stream = watch.Watch().stream(
            self._api.list_namespaced_custom_object,
            *self._kind,
            **self._one,
            resource_version=self._version,
            timeout_seconds=_WATCH_SECONDS,
            _request_timeout=(5, 2 * _WATCH_SECONDS),
        )
        for event in stream:
            self._version = str(event["object"]["metadata"]["resourceVersion"])
            if event["type"] != "DELETED":
                self._saw(decode(Rendezvous, event["object"]))


def address(store: Store | None) -> str:
    """A store as workers name it: MASTER_ADDR:MASTER_PORT."""
    return f"{store.host}:{store.port}" if store is not None else ""


def is_told(status: RendezvousStatus) -> bool:
    """Whether this state asks the members of the round to come back."""
    return status.waiting_nodes > 0
