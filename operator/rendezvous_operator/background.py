"""Tasks that run from the start of the operator until its end."""

import asyncio
from collections.abc import Coroutine, Iterable


class Background:
    """Tasks that must not end by themselves. If one does, that is a defect (see `Health`)."""

    def __init__(self) -> None:
        self._tasks: list[asyncio.Task[None]] = []
        self._stopping = False

    def start(self, name: str, work: Coroutine[None, None, None]) -> None:
        """Start a task."""
        self._tasks.append(asyncio.create_task(work, name=name))

    @property
    def stopping(self) -> bool:
        """Whether `stop` was called."""
        return self._stopping

    @property
    def defect(self) -> str | None:
        """A problem that only a restart of the process solves; None: there is none."""
        ended = [task.get_name() for task in self._tasks if task.done()]
        return f"has ended: {', '.join(ended)}" if ended and not self._stopping else None

    async def stop(self, busy: Iterable["asyncio.Task[None]"] = (), timeout: float = 0.0) -> None:
        """Cancel all of them, and wait until they have ended.

        Args:
            busy: the tasks among them that read `stopping` and may end by themselves first.
            timeout: how long they may take for that, in seconds.
        """
        self._stopping = True
        waited_for = set(busy)
        for task in set(self._tasks) - waited_for:
            task.cancel()
        if waited_for:
            await asyncio.wait(waited_for, timeout=timeout)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
