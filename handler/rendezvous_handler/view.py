"""The Rendezvous as this agent sees it: a thread that lists and watches that one object.

Readers take `RendezvousView.state`, an immutable value that is replaced as a whole: no lock, so reading never blocks.
"""

from __future__ import annotations

import logging
import queue
import random
import threading
from dataclasses import dataclass, replace

from rendezvous_api import codec, names
from rendezvous_api.rendezvous import Rendezvous
from rendezvous_handler.client import Cluster, Json, WatchStream
from rendezvous_handler.errors import ApiError, ExpiredError, UnreadableError

_logger = logging.getLogger(__name__)

_FIRST_BACK_OFF = 0.2
_LONGEST_BACK_OFF = 15.0
_STOP_SECONDS = 1.0
_PER_NAME = ("participants", "refused")
"""Lists of the status with an entry for each participant."""


@dataclass(frozen=True)
class ViewState:
    """What is known at one moment."""

    rendezvous: Rendezvous | None = None
    """The newest known state, of what concerns this agent (`only_about`); None when there is no such object, or nothing
    has been read yet."""
    read: bool = False
    """The object, or its absence, has been read at least once."""
    error: ApiError | None = None
    """Why reading fails now; None when it works."""


def is_newer(known: Rendezvous | None, found: Rendezvous) -> bool:
    """Whether what was found may replace what is known.

    Of one object (one UID), an older resource version or a lower round comes from a server that lags behind. Resource
    versions are compared as integers, which Kubernetes guarantees from 1.35 on and etcd has always kept.
    """
    if known is None or known.metadata.uid != found.metadata.uid:
        return True
    if _version(found.metadata.resource_version) < _version(known.metadata.resource_version):
        return False
    return found.status.round >= known.status.round


def only_about(found: Json, participant: str) -> Json:
    """A Rendezvous in JSON without what its status says of other participants.

    An agent asks for nothing but its own place and the size of the group, and to decode a thousand members at each
    change would take longer than everything else that it does.
    """
    status = found.get("status") or {}
    own = {key: [item for item in status[key] if item["name"] == participant] for key in _PER_NAME if key in status}
    return {**found, "status": {**status, **own}}


class RendezvousView:
    """Keeps `state` up to date from `start` to `stop`."""

    def __init__(
        self, cluster: Cluster, namespace: str, name: str, participant: str, watch_seconds: int, timeout: float
    ):
        """Start nothing yet.

        Args:
            cluster: the API server.
            namespace: of the Rendezvous.
            name: of the Rendezvous.
            participant: name of the agent's own RendezvousParticipant; see `only_about`.
            watch_seconds: after so long, with some jitter, a watch is ended by the server and begun anew. A connection
                that has died without a word is noticed 10 s after that.
            timeout: seconds that reading the object once may take.
        """
        self.state = ViewState()
        self.last_seen: Rendezvous | None = None
        """The last state of the last object of that name; stays when it is deleted."""
        self.bell: queue.SimpleQueue[None] = queue.SimpleQueue()
        """Rings at every change of `state`, and when somebody calls `ring`."""
        self._cluster = cluster
        self._namespace = namespace
        self._name = name
        self._participant = participant
        self._watch_seconds = watch_seconds
        self._timeout = timeout
        self._resource_version = ""
        self._stopped = threading.Event()
        self._stream: WatchStream | None = None
        self._thread = threading.Thread(target=self._run, name=f"rendezvous-view-{name}", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self) -> None:
        """End the thread, and wait for that, but not for long.

        A process that ends while the thread makes a request is aborted (SIGABRT): Python then unwinds the thread, and
        pydantic-core, through which the Kubernetes client makes its requests, cannot be unwound.
        """
        self._stopped.set()
        stream = self._stream
        if stream is not None:
            stream.close()
        if self._thread.is_alive():
            self._thread.join(_STOP_SECONDS)

    def ring(self) -> None:
        """Wake whoever waits at the bell."""
        if self.bell.empty():  # nobody listens for hours while the workers run
            self.bell.put(None)

    def _run(self) -> None:
        back_off = _FIRST_BACK_OFF
        while not self._stopped.is_set():
            try:
                if not self._resource_version:
                    self._list()
                back_off = _FIRST_BACK_OFF
                self._watch()
            except ExpiredError as error:
                _logger.debug("reading the Rendezvous anew: %s", error)
                self._resource_version = ""
            except ApiError as error:
                if self._stopped.is_set():
                    return
                _logger.debug("reading the Rendezvous fails: %s", error.explain())
                # What happened while nothing was heard is read at once, not event by event.
                self._resource_version = ""
                self._publish(replace(self.state, error=error))
                self._stopped.wait(back_off * random.uniform(0.5, 1.0))
                back_off = min(2 * back_off, _LONGEST_BACK_OFF)
            except Exception as error:
                # Such as an object that this release does not understand. Whoever waits for the view must hear of it.
                _logger.exception("the view of the Rendezvous failed unexpectedly; it is read anew")
                self._resource_version = ""
                text = f"{type(error).__name__}: {error}"
                problem = UnreadableError(text, "read", names.RENDEZVOUS_PLURAL, self._namespace)
                self._publish(replace(self.state, error=problem))
                self._stopped.wait(_LONGEST_BACK_OFF)

    def _list(self) -> None:
        found, resource_version = self._cluster.list_rendezvous(self._namespace, self._name, self._timeout)
        self._resource_version = resource_version
        if found is not None:
            self._show(found)
        elif _version(resource_version) >= self._known_version():
            self._publish(ViewState(read=True))

    def _watch(self) -> None:
        seconds = round(self._watch_seconds * random.uniform(0.75, 1.25))
        stream = self._cluster.watch_rendezvous(self._namespace, self._name, self._resource_version, max(1, seconds))
        self._stream = stream
        if self._stopped.is_set():  # since before there was a stream that could be closed
            stream.close()
            return
        if self.state.error is not None:
            self._publish(replace(self.state, error=None))
        for event in stream:
            self._resource_version = str(event.object["metadata"]["resourceVersion"])
            if event.type in ("ADDED", "MODIFIED"):
                self._show(event.object)
            elif event.type == "DELETED" and _version(self._resource_version) >= self._known_version():
                self._publish(ViewState(read=True))

    def _show(self, found: Json) -> None:
        rendezvous = codec.decode(Rendezvous, only_about(found, self._participant))
        if is_newer(self.state.rendezvous, rendezvous):
            self._publish(ViewState(rendezvous, read=True))

    def _known_version(self) -> int:
        known = self.state.rendezvous
        return _version(known.metadata.resource_version) if known else 0

    def _publish(self, state: ViewState) -> None:
        self.state = state
        self.last_seen = state.rendezvous or self.last_seen
        self.ring()


def _version(resource_version: str) -> int:
    return int(resource_version) if resource_version.isdecimal() else 0
