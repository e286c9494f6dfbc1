"""What torch is doing around this agent, by the functions that are running: who launched it, and whether it fails."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from types import FrameType

_RUN = ("torch.distributed.run", "run")
"""What torchrun is, and also what ``accelerate launch``, ``tune run`` and ``fabric run`` call."""
_LAUNCH_AGENT = ("torch.distributed.launcher.api", "launch_agent")
"""What makes a handler and owns it, in torchrun and in ``elastic_launch``."""

_SHUTDOWN_TIMEOUT = 30
"""That of releases of torch in which nobody can give another one."""


class LauncherCall:
    """One call of torch's ``launch_agent``."""

    def __init__(self, frame: FrameType):
        self._frame = frame
        self._thread = threading.get_ident()
        given = getattr(frame.f_locals.get("config"), "shutdown_timeout", None)
        self.shutdown_timeout = given if isinstance(given, int) else _SHUTDOWN_TIMEOUT
        """Seconds that the workers have when a signal ends the agent (``--shutdown-timeout``)."""

    @classmethod
    def current(cls) -> LauncherCall | None:
        """The one that makes a handler now; None: a program does so itself."""
        frame = next(_running(sys._getframe(), *_LAUNCH_AGENT), None)
        return cls(frame) if frame is not None else None

    @property
    def over(self) -> bool:
        """Whether it has ended. After a signal it does so without a word to its handler."""
        return all(frame is not self._frame for frame in _stack(sys._current_frames().get(self._thread)))


def under_run() -> bool:
    """Whether a launcher on the command line has started this agent, so that its exit code is that of the program."""
    return any(True for _ in _running(sys._getframe(), *_RUN))


def workers_failed_for_good() -> bool:
    """Whether the agent is just now stopping failed workers that it will not start again.

    Up to torch 2.7 it calls the handler's ``shutdown`` itself at that point (``LocalElasticAgent._shutdown``), before
    there is an exception that tells failure from success. Of its functions only ``_stop_workers`` stands for failure
    then: for a restart it has an argument that says so, and it leaves the handler alone. From 2.8 on only the launcher
    calls ``shutdown``.
    """
    return any(
        frame.f_code.co_name == "_stop_workers" and _module(frame).startswith("torch.distributed.elastic.agent")
        for frame in _stack(sys._getframe())
    )


def _running(frame: FrameType, module: str, function: str) -> Iterator[FrameType]:
    return (found for found in _stack(frame) if (_module(found), found.f_code.co_name) == (module, function))


def _stack(frame: FrameType | None) -> Iterator[FrameType]:
    while frame is not None:
        yield frame
        frame = frame.f_back


def _module(frame: FrameType) -> str:
    # Of a module that `python -m` runs, only the spec has the name.
    spec = frame.f_globals.get("__spec__")
    return str(spec.name if spec is not None else frame.f_globals.get("__name__"))
