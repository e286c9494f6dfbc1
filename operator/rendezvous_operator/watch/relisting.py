"""Lists a kind again after a gap in one of kopf's watches.

kopf lists a kind when it starts to watch it, and again after a gap, when the API server cannot continue the watch
(410). It passes on each object of a list as an event of type None, but not the beginning and the end of the list. So
these events do not show which objects are *not* in the list: they were deleted in the gap, and no event follows. An
empty list gives no event at all.

So a trace of kopf's HTTP session observes its requests. When the API server has answered a list of kopf, this module
makes a list of its own, a little later: by then kopf has its list, and the watch that follows has started.

Inside kopf there is a signal: ``Bookmark.LISTED``, in its private module ``watching``. If it were public, the objects
up to it could go to the cache as one `Listed`, and this module would not be needed.
"""

import asyncio
from collections.abc import Awaitable, Callable

import aiohttp

from rendezvous_operator.background import Background
from rendezvous_operator.kube.client import KINDS, KINDS_BY_PLURAL
from rendezvous_operator.kube.request_trace import Request, trace

DELAY_SECONDS = 1.0
"""From the answer to kopf's list to our own."""


class Relisting:
    """Lists a kind whenever kopf has listed it. Start it before the watches.

    Attributes:
        trace: for kopf's HTTP session.
    """

    def __init__(self) -> None:
        self._due = {kind: asyncio.Event() for kind in KINDS}
        self._background = Background()
        self.trace: aiohttp.TraceConfig = trace(lambda _: None, self._answered)

    def start(self, list_kind: Callable[[str], Awaitable[None]]) -> None:
        """From now on call ``list_kind`` with each kind that kopf has listed. It must not raise."""
        for kind in KINDS:
            self._background.start(f"relisting-{kind}", self._run(kind, list_kind))

    async def stop(self) -> None:
        """Stop, and cancel a list that is not finished."""
        await self._background.stop()

    @property
    def defect(self) -> str | None:
        """A problem that only a restart of the process solves; None: there is none."""
        return self._background.defect

    async def _run(self, kind: str, list_kind: Callable[[str], Awaitable[None]]) -> None:
        due = self._due[kind]
        while True:
            await due.wait()
            await asyncio.sleep(DELAY_SECONDS)
            due.clear()
            await list_kind(kind)

    def _answered(self, request: Request, code: str, _: float) -> None:
        kind = KINDS_BY_PLURAL.get(request.resource)
        if kind is not None and code == "200" and request.verb == "list":
            # The objects of a list would not do: an empty list gives no event.
            self._due[kind].set()
