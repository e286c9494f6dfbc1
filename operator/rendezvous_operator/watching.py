"""What kopf does for the operator: it watches, and nothing else.

None of kopf's high-level handlers is used: they would add finalizers and annotations to the objects. ``on.event``
handlers are not retried by kopf, so they do nothing but pass on what was seen; queue and back-off are ours. Nor does
kopf tell when a watch has missed something: see `relisting`.
"""

import asyncio
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import aiohttp
import kopf

from rendezvous_api import names
from rendezvous_operator.cluster import POD_KIND, Json
from rendezvous_operator.traces import Request, trace

KINDS_BY_PLURAL = {
    names.RENDEZVOUS_PLURAL: names.RENDEZVOUS_KIND,
    names.PARTICIPANT_PLURAL: names.PARTICIPANT_KIND,
    "pods": POD_KIND,
}

WATCH_SECONDS = 60
"""How long one request of a watch lasts. The next goes on where it ended; that it is answered is the sign of life."""

_LOGIN_PAUSE_SECONDS = 5.0
_IDENTITY: Any = names.GROUP
"""Among kopf's peers, of which there are none. Left out, it asks for the user's name, which any number may lack."""

Seen = Callable[[str, str | None, Json], None]
"""Takes in the kind of an object, the type of the event (None: it is from a list), and the object."""


class _Backoffs:
    """Seconds between tries of kopf's own requests, without end: the operator outlives its API server."""

    def __iter__(self) -> Iterator[float]:
        longest = 0.2
        while True:
            yield longest * random.uniform(0.5, 1.0)
            longest = min(longest * 2, 5.0)


class _NoDiffBase(kopf.DiffBaseStorage):
    """No record of what an object was like: no handler of ours asks kopf what has changed.

    kopf's own storages copy each object of each event to find that out, which is a quarter of all that an event costs.
    """

    def build(self, *, body: kopf.Body, extra_fields: Any = None) -> kopf.BodyEssence:
        return kopf.BodyEssence()

    def fetch(self, *, body: kopf.Body) -> kopf.BodyEssence | None:
        return None

    def store(self, *, body: kopf.Body, patch: kopf.Patch, essence: kopf.BodyEssence) -> None:
        pass


def _settings() -> kopf.OperatorSettings:
    """What kopf is told: watch these kinds, write nothing, never give up."""
    wanted = kopf.OperatorSettings()
    wanted.peering.standalone = True
    wanted.scanning.disabled = True
    wanted.posting.enabled = False
    # Should anything of kopf ever write to an object, it shall be under our name.
    wanted.persistence.finalizer = f"{names.GROUP}/kopf-finalizer"
    wanted.persistence.progress_storage = kopf.AnnotationsProgressStorage(prefix=names.GROUP)
    wanted.persistence.diffbase_storage = _NoDiffBase()
    wanted.watching.label_selectors["pods"] = names.LABEL_RENDEZVOUS
    wanted.watching.connect_timeout = 5
    wanted.watching.server_timeout = WATCH_SECONDS
    wanted.watching.client_timeout = WATCH_SECONDS + 30
    wanted.watching.reconnect_backoff = 0.2
    wanted.networking.connect_timeout = 5
    wanted.networking.request_timeout = 30
    wanted.networking.error_backoffs = _Backoffs()
    return wanted


@dataclass
class Signs:
    """When a watch last gave a sign of life, in the clock's seconds; None: never."""

    tried_at: float | None = None
    """kopf sent a request for it, or something came: it is at work, whatever the API server answers."""
    heard_at: float | None = None
    """The API server took such a request, or something came: what the cache holds is fresh."""


class Watches:
    """The watches of all kinds, from which everything that is seen goes to one function."""

    def __init__(self, clock: Callable[[], float], traces: Sequence[aiohttp.TraceConfig] = ()) -> None:
        """``clock`` gives monotonic seconds; ``traces`` are told of kopf's requests."""
        self._clock = clock
        self._traces = [*traces, trace(self._tried, self._answered)]
        self._login: kopf.ConnectionInfo | None = None
        self.signs = {kind: Signs() for kind in KINDS_BY_PLURAL.values()}

    def _registry(self, seen: Seen) -> kopf.OperatorRegistry:
        """The handlers."""
        handlers = kopf.OperatorRegistry()
        kopf.on.login(registry=handlers)(self._log_in)

        def pass_on(kind: str, event: kopf.RawEvent) -> None:
            self.signs[kind].tried_at = self.signs[kind].heard_at = self._clock()
            seen(kind, event["type"], dict(event["object"]))

        @kopf.on.event(names.GROUP, names.VERSION, names.RENDEZVOUS_PLURAL, registry=handlers)
        async def rendezvous_seen(event: kopf.RawEvent, **_: Any) -> None:
            pass_on(names.RENDEZVOUS_KIND, event)

        @kopf.on.event(names.GROUP, names.VERSION, names.PARTICIPANT_PLURAL, registry=handlers)
        async def participant_seen(event: kopf.RawEvent, **_: Any) -> None:
            pass_on(names.PARTICIPANT_KIND, event)

        @kopf.on.event("", "v1", "pods", registry=handlers)
        async def pod_seen(event: kopf.RawEvent, **_: Any) -> None:
            pass_on(POD_KIND, event)

        return handlers

    async def run(
        self,
        seen: Seen,
        namespace: str | None,
        stop: asyncio.Event,
        take_signals: Callable[[], None],
    ) -> None:
        """Watch all namespaces, or one, until ``stop`` is set.

        kopf takes the signals of the process for itself; ``take_signals`` is called to take them back. It also waits,
        in the end, for tasks that were begun after this one, and at last cancels them: end them before.
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

    async def _log_in(self, **kwargs: Any) -> kopf.AiohttpSession:
        """The same configuration as that of our own requests, in a session whose requests are traced."""
        login = kopf.login_via_client(**kwargs)
        assert login is not None
        if login == self._login:
            # It was refused (401), and there is no newer token. The API server may change its mind, but not at once.
            await asyncio.sleep(_LOGIN_PAUSE_SECONDS)
        self._login = login
        session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, ssl=login.as_ssl_context()),
            headers=login.as_http_headers(),
            proxy=login.proxy_url,
            trust_env=login.trust_env,
            trace_configs=self._traces,
        )
        return kopf.AiohttpSession(
            server=login.server,
            priority=login.priority,
            default_namespace=login.default_namespace,
            aiohttp_session=session,
        )

    def _tried(self, request: Request) -> None:
        kind = KINDS_BY_PLURAL.get(request.resource)
        if kind is not None:
            self.signs[kind].tried_at = self._clock()

    def _answered(self, request: Request, code: str, _: float) -> None:
        kind = KINDS_BY_PLURAL.get(request.resource)
        if kind is not None and code == "200":
            self.signs[kind].heard_at = self._clock()
