"""A node or an operator of a schedule: a process that is ended, and started again, on purpose or not."""

import time
from collections.abc import Callable

from tests.support.processes import Process

from chaos.journal import Why, Writer

_END_SECONDS = 60.0
"""For a process that was asked to end; after that it is killed."""


class Running:
    """A node or an operator: the process that runs now, and whether one shall run."""

    def __init__(self, name: str, start: Callable[["Running"], Process], journal: Writer) -> None:
        self.name = name
        self.wanted = True
        self.why = Why.NOTHING
        self.process: Process | None = None
        self._start = start
        self._journal = journal
        self._asked_at = 0.0

    @property
    def ends(self) -> bool:
        """Whether it has been ended on purpose, and has not ended yet."""
        return self.process is not None and bool(self.why)

    def kill(self) -> None:
        """SIGKILL to all of it; it is started again only when it is wanted."""
        self.end(Why.KILLED, wanted=False)
        if self.process is not None:
            self.process.kill()
        self.tend()

    def terminate(self) -> None:
        """SIGTERM; it is started again only when it is wanted."""
        self.end(Why.TERMINATED, wanted=False)
        if self.process is not None:
            self.process.terminate()

    def end(self, why: Why, *, wanted: bool) -> None:
        """From now on it may end, for that reason; ``wanted``: whether it is started again."""
        self.why, self.wanted, self._asked_at = why, wanted, time.monotonic()

    def tend(self) -> None:
        """Write down its end, and start it if it is wanted and does not run."""
        if self.process is not None and not self.process.running:
            code = self.process.wait(0)
            self._journal.write("exit", name=self.name, code=code, why=self.why, log=self.process.log_path.name)
            self.process = None
        if self.process is not None and self.ends and time.monotonic() - self._asked_at > _END_SECONDS:
            self._journal.write("not ended", name=self.name, seconds=_END_SECONDS)
            self.end(Why.KILLED, wanted=self.wanted)
            self.process.thaw()
            self.process.kill()
        if self.process is None and self.wanted:
            self.why = Why.NOTHING
            self.process = self._start(self)
            self._journal.write("started", name=self.name, pid=self.process.popen.pid)
