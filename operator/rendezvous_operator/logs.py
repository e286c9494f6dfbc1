"""How the operator logs: for people or as JSON, without what is no news."""

import logging
import re
import time
from collections.abc import Callable

import kopf

_FORMAT = "[%(asctime)s] %(name)s [%(levelname)s] %(message)s"
_ATTEMPT = re.compile(r"Request attempt #\d+ failed; will retry: (?P<what>\w+ [^?\s]+)")
QUIET_SECONDS = 30.0


class FewRetries(logging.Filter):
    """Lets kopf say once in `QUIET_SECONDS` of each request that it fails and is tried again; it says so each time."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._clock = clock
        self._said_at: dict[str, float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether the record is logged."""
        match = _ATTEMPT.match(record.getMessage())
        if match is None:
            return True
        now, what = self._clock(), match["what"]
        if now - self._said_at.get(what, float("-inf")) < QUIET_SECONDS:
            return False
        self._said_at[what] = now
        return True


def configure(*, json: bool, verbose: bool) -> None:
    """Log to standard error, from now on."""
    kopf.configure(verbose=verbose, log_format=kopf.LogFormat.JSON if json else kopf.LogFormat.FULL)
    for handler in logging.getLogger().handlers:
        handler.addFilter(FewRetries())
        if not json:
            # kopf's own format cuts the names of loggers.
            handler.setFormatter(logging.Formatter(_FORMAT))
    if not verbose:
        # kopf says of each event that its handler succeeded; a thousand heartbeats are no news.
        logging.getLogger("kopf.objects").setLevel(logging.WARNING)
