"""The watches, which are all that kopf does for the operator.

None of kopf's high-level handlers is used: they would add finalizers and annotations to the objects. kopf does not
retry ``on.event`` handlers, so ours only pass on what was seen; the queue and the back-off are our own. kopf does not
report a gap in a watch either: see `relisting`.
"""

import asyncio
import itertools
import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import aiohttp
import kopf

from rendezvous_api import names
from rendezvous_api.api_errors import NoConfigurationError
from rendezvous_api.backoff import Backoff
from rendezvous_operator.kube.client import KINDS, KINDS_BY_PLURAL, Json
from rendezvous_operator.kube.login import Login
from rendezvous_operator.kube.outage_clock import OutageClock
from rendezvous_operator.kube.request_trace import Request, trace

logger = logging.getLogger(__name__)

WATCH_SECONDS = 60
"""Duration of one request of a watch. The next one continues where it ended; its answer shows that the watch works."""

_LOGIN_PAUSE_SECONDS = 5.0
_IDENTITY: Any = names.GROUP
"""Among kopf's peers, of which there are none. Without it kopf asks for the user's name, and a UID may have none."""

Seen = Callable[[str, str | None, Json], None]
"""Is called with the kind of an object, the type of the event (None: it is from a list), and the object."""


class _Backoffs:
    """Seconds between attempts of kopf's own requests, without an end: the operator survives any outage."""

    def __iter__(self) -> Iterator[float]:
        return map(Backoff(first=0.2, longest=5.0).seconds, itertools.count(1))


class _NoDiffBase(kopf.DiffBaseStorage):
    """No copy of an object's former state: no handler of ours asks kopf for the difference.

    kopf's own storages copy the object of each event for that, which is a quarter of the cost of an event.
    """

    def build(self, *, body: kopf.Body, extra_fields: Any = None) -> kopf.BodyEssence:
        return kopf.BodyEssence()

    def fetch(self, *, body: kopf.Body) -> kopf.BodyEssence | None:
        return None

    def store(self, *, body: kopf.Body, patch: kopf.Patch, essence: kopf.BodyEssence) -> None:
        pass


def _settings() -> kopf.OperatorSettings:
    """The settings of kopf: watch these kinds, write nothing, never give up."""
    wanted = kopf.OperatorSettings()
    wanted.peering.standalone = True
    wanted.scanning.disabled = True
    wanted.posting.enabled = False
    # If any part of kopf ever writes to an object, it uses our name.
    wanted.persistence.finalizer = f"{names.GROUP}/kopf-finalizer"
    wanted.persistence.progress_storage = kopf.AnnotationsProgressStorage(prefix=names.GROUP)
    wanted.persistence.diffbase_storage = _NoDiffBase()
    wanted.watching.label_selectors[names.POD_PLURAL] = names.LABEL_RENDEZVOUS
    wanted.watching.connect_timeout = 5
    wanted.watching.server_timeout = WATCH_SECONDS
    wanted.watching.client_timeout = WATCH_SECONDS + 30
    wanted.watching.reconnect_backoff = 0.2
    wanted.networking.connect_timeout = 5
    wanted.networking.request_timeout = 30
    wanted.networking.error_backoffs = _Backoffs()
    return wanted


@dataclass
class WatchActivity:
    """When a watch was last active, in the clock's seconds; None: never."""

    requested_at: float | None = None
    """kopf sent a request for it, or an event arrived: kopf is working, with or without an answer."""
    answered_at: float | None = None
    """The API server accepted such a request, or an event arrived: the cache is up to date."""


class Watches:
    """The watches of all kinds; they pass every event to one function.

    Attributes:
        activity: of the watch of each kind.
    """

    def __init__(
        self,
        clock: Callable[[], float],
        outages: OutageClock,
        login: Login,
        traces: Sequence[aiohttp.TraceConfig] = (),
    ) -> None:
        """Watches that are not started yet.

        Args:
            clock: monotonic seconds.
            outages: learns which of kopf's requests are answered, and of each event.
            login: that of our own requests.
            traces: of kopf's requests.
        """
        self._clock = clock
        self._outages = outages
        self._traces = [*traces, trace(self._requested, self._answered)]
        self._login = login
        self._logged_in_at: float | None = None
        self.activity = {kind: WatchActivity() for kind in KINDS}

    def _registry(self, seen: Seen) -> kopf.OperatorRegistry:
        """The handlers."""
        handlers = kopf.OperatorRegistry()
        kopf.on.login(registry=handlers)(self._log_in)

        def pass_on(kind: str, event: kopf.RawEvent) -> None:
            self.activity[kind].requested_at = self.activity[kind].answered_at = self._clock()
            self._outages.answered()
            seen(kind, event["type"], dict(event["object"]))

        @kopf.on.event(names.GROUP, names.VERSION, names.RENDEZVOUS_PLURAL, registry=handlers)
        async def rendezvous_seen(event: kopf.RawEvent, **_: Any) -> None:
            pass_on(names.RENDEZVOUS_KIND, event)

        @kopf.on.event(names.GROUP, names.VERSION, names.PARTICIPANT_PLURAL, registry=handlers)
        async def participant_seen(event: kopf.RawEvent, **_: Any) -> None:
            pass_on(names.PARTICIPANT_KIND, event)

        @kopf.on.event("", "v1", names.POD_PLURAL, registry=handlers)
        async def pod_seen(event: kopf.RawEvent, **_: Any) -> None:
            pass_on(names.POD_KIND, event)

        return handlers

    async def run(
        self,
        seen: Seen,
        namespace: str | None,
        stop: asyncio.Event,
        take_signals: Callable[[], None],
    ) -> None:
        """Watch all namespaces, or one, until ``stop`` is set.

        kopf handles the signals of the process itself; ``take_signals`` is called to handle them again. At the end kopf
        also waits for tasks that started after this one, and then cancels them: end them before.
        """
        others = asyncio.all_tasks()
        tasks = await kopf.spawn_tasks(
            registry=self._registry(seen),
            settings=_settings(),
            identity=_IDENTITY,
            clusterwide=namespace is None,
            namespaces=[namespace] if namespace is not None else [],
            stop_flag=stop,
        )
        take_signals()
        await kopf.run_tasks(tasks, ignored=others)

    async def _log_in(self, **_: Any) -> kopf.AiohttpSession:
        """The configuration of our own requests, in a session with our traces."""
        while True:
            try:
                if self._logged_in_at is not None and not await self._login.refused(self._logged_in_at):
                    # It was refused (401), and there is no newer token. The API server may accept it again, but not at
                    # once.
                    await asyncio.sleep(_LOGIN_PAUSE_SECONDS)
                self._logged_in_at = self._clock()
                access = await self._login.access()
                session = self._login.session(access, self._traces, connections=0)
            except NoConfigurationError as error:
                logger.warning("the watches have no configuration for the API server: %s", error)
                await asyncio.sleep(_LOGIN_PAUSE_SECONDS)
            else:
                return kopf.AiohttpSession(server=access.server, aiohttp_session=session)

    def _requested(self, request: Request) -> None:
        kind = KINDS_BY_PLURAL.get(request.resource)
        if kind is not None:
            self.activity[kind].requested_at = self._clock()

    def _answered(self, request: Request, code: str, seconds: float) -> None:
        self._outages.ended(code, seconds)
        kind = KINDS_BY_PLURAL.get(request.resource)
        if kind is not None and code == "200":
            self.activity[kind].answered_at = self._clock()
