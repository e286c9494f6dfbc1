"""Lists of our own after a gap in one of kopf's watches, and how a gap is noticed at all.

kopf lists a kind when it begins to watch it, and again when the API server has forgotten where the watch was (410). It
hands over each object of such a list as an event of type None. It does not say that a list has begun or ended, so it
cannot be told from these events what is *not* in the list: what was deleted in the gap, of which no event comes any
more. An empty list gives no event at all.

So kopf's requests are overheard, by a trace of its HTTP session. When the API server has answered a list of kopf's, we
make one of our own, a little later: kopf's has then arrived, and the watch that follows it has begun.

Inside kopf the signal exists: ``Bookmark.LISTED``, in its private module ``watching``. Were it public, the objects that
kopf hands over until then could go to the cache as one `Listed`, and this file could go.
"""

import asyncio
from collections.abc import Awaitable, Callable

import aiohttp

from rendezvous_operator.background import Background
from rendezvous_operator.cluster import KINDS
from rendezvous_operator.traces import Request, trace
from rendezvous_operator.watching import KINDS_BY_PLURAL

DELAY_SECONDS = 1.0


class Relisting:
    """Has a kind listed whenever kopf has listed it. Start it before the watches begin.

    Attributes:
        trace: for kopf's HTTP session.
    """

    def __init__(self) -> None:
        self._due = {kind: asyncio.Event() for kind in KINDS}
        self._background = Background()
        self.trace: aiohttp.TraceConfig = trace(lambda _: None, self._answered)

    def start(self, list_kind: Callable[[str], Awaitable[None]]) -> None:
        """From now on call ``list_kind`` with each kind that kopf has listed; it must not raise."""
        for kind in KINDS:
            self._background.start(f"relisting-{kind}", self._run(kind, list_kind))

    async def stop(self) -> None:
        """End it, and a list that is under way."""
        await self._background.stop()

    @property
    def defect(self) -> str | None:
        """What of this can be cured only by a restart; None: nothing."""
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
            # Not by the objects in it: a list without any is the one that says the most.
            self._due[kind].set()
