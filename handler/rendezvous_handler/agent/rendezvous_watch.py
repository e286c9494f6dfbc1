"""A local copy of the Rendezvous: a thread that lists and watches that one object.

Readers take `RendezvousWatch.state`, an immutable value that is replaced as a whole: no lock, so reading never blocks.
"""

from __future__ import annotations

import hashlib
import logging
import queue
import random
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

from rendezvous_api import codec, names
from rendezvous_api.api_errors import ApiError, ExpiredError
from rendezvous_api.backoff import Backoff, Failures
from rendezvous_api.meta import version_number
from rendezvous_api.rendezvous import Rendezvous
from rendezvous_handler.kube.client import Client, WatchStream
from rendezvous_handler.kube.errors import UnreadableError, advise
from rendezvous_handler.kube.transport import Json

_logger = logging.getLogger(__name__)

_BACKOFF = Backoff(first=0.2, longest=15.0)
_STOP_SECONDS = 1.0
_SHORT_SECONDS = 1.0
"""A watch that ends sooner is followed by a pause, as in client-go ("very short watch")."""
_PER_NAME = ("participants", "refused", "heldOut", "unhealthy", "passedOver")
"""Lists of the status with an entry for each participant."""


@dataclass(frozen=True)
class WatchState:
    """What is known at one moment."""

    rendezvous: Rendezvous | None = None
    """The newest known state, of what concerns this agent (`only_about`); None when there is no such object, or nothing
    has been read yet."""
    read: bool = False
    """The object, or its absence, has been read at least once."""
    participants: Sequence[Json] = ()
    """All members of its round, in JSON. There may be thousands at each change, and few changes are about one's own
    round: so what is needed of them is found then."""
    error: ApiError | None = None
    """Why reading fails now; None when it works."""

    @property
    def members(self) -> dict[int, str]:
        """The names of all members of its round, by rank."""
        return {int(member["rank"]): str(member["name"]) for member in self.participants}

    @property
    def members_digest(self) -> str:
        """8 hex digits of its UID and of the members with their attempts: what differs in two rounds of one number."""
        assert self.rendezvous is not None
        fields = ("rank", "name", "incarnation", "attempt")
        lines = (" ".join(str(member[key]) for key in fields) for member in self.participants)
        return hashlib.sha256("\n".join([self.rendezvous.metadata.uid, *lines]).encode()).hexdigest()[:8]


def is_newer(known: Rendezvous | None, found: Rendezvous) -> bool:
    """Whether what was found may replace what is known.

    Of one object (one UID), an older resource version or a lower round comes from a server that lags behind. Resource
    versions are compared as integers, which Kubernetes guarantees from 1.35 on and etcd has always kept.
    """
    if known is None or known.metadata.uid != found.metadata.uid:
        return True
    if version_number(found.metadata.resource_version) < version_number(known.metadata.resource_version):
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


class RendezvousWatch:
    """Keeps `state` up to date from `start` to `stop`."""

    def __init__(self, client: Client, namespace: str, name: str, participant: str, watch_seconds: int, timeout: float):
        """Start nothing yet.

        Args:
            client: of the API server.
            namespace: of the Rendezvous.
            name: of the Rendezvous.
            participant: name of the agent's own RendezvousParticipant; see `only_about`.
            watch_seconds: after so long, with some jitter, a watch is ended by the server and begun again. A
                connection that has died without a word is noticed 10 s after that.
            timeout: seconds that reading the object once may take.
        """
        self.state = WatchState()
        self.last_seen: Rendezvous | None = None
        """The last state of the last object of that name; stays when it is deleted."""
        self.changed: queue.SimpleQueue[None] = queue.SimpleQueue()
        """Has an item after a change of `state`, and after a call of `notify`."""
        self.listed = 0
        """The number of the last call of `list_again` that was followed by a list."""
        self._lists_wanted = 0
        self._client = client
        self._namespace = namespace
        self._name = name
        self._participant = participant
        self._watch_seconds = watch_seconds
        self._timeout = timeout
        self._resource_version = ""
        self._stopped = threading.Event()
        self._woken = threading.Event()
        self._stream: WatchStream | None = None
        self._thread = threading.Thread(target=self._run, name=f"rendezvous-watch-{name}", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self) -> None:
        """End the thread, and wait for that, but not for long.

        A daemon thread that is inside native code when the interpreter ends is unwound by force, which not all
        libraries survive (SIGABRT).
        """
        self._stopped.set()
        self._woken.set()
        self._end_watch()
        if self._thread.is_alive():
            self._thread.join(_STOP_SECONDS)

    def list_again(self) -> int:
        """Let the thread read the Rendezvous itself and watch on from there: the present watch may be dead or outdated.

        Makes no request here, and may be called by any thread. Returns the number of this call, for `listed`.
        """
        self._lists_wanted += 1
        wanted = self._lists_wanted
        self._woken.set()
        self._end_watch()
        return wanted

    def _end_watch(self) -> None:
        stream = self._stream
        if stream is not None:
            stream.close()

    def notify(self) -> None:
        """Wake the thread that waits at `changed`."""
        if self.changed.empty():  # no thread takes items for hours while the workers run
            self.changed.put(None)

    def _run(self) -> None:
        back_off = Failures(_BACKOFF)
        while not self._stopped.is_set():
            try:
                if not self._resource_version or self._must_list:
                    self._list()
                began = time.monotonic()
                try:
                    self._watch()
                finally:
                    short = time.monotonic() - began < _SHORT_SECONDS
                    if not short:
                        back_off.reset()
                if short:
                    self._pause(back_off.pause())
            except ExpiredError as error:
                _logger.debug("listing the Rendezvous again: %s", error)
                self._resource_version = ""
                self._pause(back_off.pause())
            except ApiError as error:
                if self._stopped.is_set():
                    return
                _logger.debug("reading the Rendezvous fails: %s", advise(error))
                # What changed during the gap is read at once, not event by event.
                self._resource_version = ""
                self._publish(replace(self.state, error=error))
                self._pause(back_off.pause() + error.retry_after)
            except Exception as error:
                # Such as an object that this release does not understand. The thread that waits must learn of it.
                _logger.exception("the watch of the Rendezvous failed unexpectedly; it is listed again")
                self._resource_version = ""
                text = f"{type(error).__name__}: {error}"
                problem = UnreadableError(text, "read", names.RENDEZVOUS_PLURAL, self._namespace)
                self._publish(replace(self.state, error=problem))
                self._pause(_BACKOFF.longest)

    def _pause(self, seconds: float) -> None:
        self._woken.wait(seconds)
        self._woken.clear()

    @property
    def _must_list(self) -> bool:
        return self._lists_wanted > self.listed

    def _list(self) -> None:
        wanted = self._lists_wanted  # before the request: a call that comes during it asks for another one
        found, resource_version = self._client.list_rendezvous(self._namespace, self._name, self._timeout)
        self._resource_version = resource_version
        # A list is not older than its request (a quorum read). What it shows is so, also if its version is lower than
        # one that is known: then etcd was restored from a snapshot.
        self._publish(WatchState(read=True) if found is None else self._decoded(found))
        self.listed = wanted

    def _watch(self) -> None:
        seconds = round(self._watch_seconds * random.uniform(0.75, 1.25))
        stream = self._client.watch_rendezvous(self._namespace, self._name, self._resource_version, max(1, seconds))
        self._stream = stream
        if self._stopped.is_set() or self._must_list:  # since before there was a stream that could be closed
            stream.close()
            return
        for event in stream:
            self._resource_version = str(event.object["metadata"]["resourceVersion"])
            if event.type in ("ADDED", "MODIFIED"):
                self._show(event.object)
            elif event.type == "DELETED" and version_number(self._resource_version) >= self._known_version():
                self._publish(WatchState(read=True))

    def _show(self, found: Json) -> None:
        shown = self._decoded(found)
        assert shown.rendezvous is not None
        if is_newer(self.state.rendezvous, shown.rendezvous):
            self._publish(shown)

    def _decoded(self, found: Json) -> WatchState:
        rendezvous = codec.decode(Rendezvous, only_about(found, self._participant))
        return WatchState(rendezvous, read=True, participants=(found.get("status") or {}).get("participants", ()))

    def _known_version(self) -> int:
        known = self.state.rendezvous
        return version_number(known.metadata.resource_version) if known else 0

    def _publish(self, state: WatchState) -> None:
        self.state = state
        self.last_seen = state.rendezvous or self.last_seen
        self.notify()
