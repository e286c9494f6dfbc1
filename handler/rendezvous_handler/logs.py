"""Makes the handler's messages visible under torchrun."""

import logging
import os
import sys

PACKAGE = "rendezvous_handler"


def show_messages(interrupt: type[Exception] | None = None) -> None:
    """Attach a handler to this package's logger, unless the program has set up logging itself.

    torchrun configures only torch's own loggers; a record of any other logger reaches Python's handler of last resort,
    which drops everything below WARNING. Then a node that waits would not say what it waits for. The level is INFO, or
    what ``LOGLEVEL`` says, torch's own variable for the elastic agent (torch/distributed/elastic/utils/logging.py).

    Args:
        interrupt: what a signal raises in the main thread, and what must reach the program also while it logs.
    """
    logger = logging.getLogger(PACKAGE)
    if logger.hasHandlers():
        return
    handler = _Interruptible(interrupt)
    handler.setFormatter(logging.Formatter("%(levelname).1s %(asctime)s [rendezvous] %(message)s"))
    logger.addHandler(handler)
    logger.propagate = False
    level = logging.getLevelName(os.environ.get("LOGLEVEL", "INFO").upper())
    logger.setLevel(level if isinstance(level, int) else logging.INFO)


class _Interruptible(logging.StreamHandler):  # type: ignore[type-arg] # generic from Python 3.11 on
    def __init__(self, interrupt: type[Exception] | None):
        super().__init__()
        self._interrupt = interrupt

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - logging's name
        # logging prints every Exception that it meets while it writes, and goes on. torch's SignalException is one: a
        # SIGTERM in such a moment would be lost, and the agent would not end before it is killed.
        error = sys.exc_info()[1]
        if self._interrupt is not None and isinstance(error, self._interrupt):
            raise error
        super().handleError(record)
