"""How the operator logs: as text or JSON, with kopf's repeated messages limited."""

import logging
import re
import time
from collections.abc import Callable

import kopf

from rendezvous_api.text import one_line
from rendezvous_operator.rate_limit import RateLimit

_FORMAT = "[%(asctime)s] %(name)s [%(levelname)s] %(message)s"
_ATTEMPT = re.compile(r"Request attempt #\d+ failed; will retry: (?P<what>\w+ [^?\s]+)")


_MOST_CHARACTERS = 4096


class OneLine(logging.Formatter):
    """Text logs: each message is one line, whatever names and values of others are in it. Tracebacks have more."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - logging's name
        """The line of a record."""
        record.message = one_line(record.message[:_MOST_CHARACTERS])
        return super().formatMessage(record)


class RetryLimit(logging.Filter):
    """Passes kopf's message that a request failed and is tried again once in `QUIET_SECONDS` for each request."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._clock = clock
        self._limit = RateLimit()

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether the record is logged."""
        match = _ATTEMPT.match(record.getMessage())
        return match is None or self._limit.passes(match["what"], self._clock())


def configure(*, json: bool, verbose: bool) -> None:
    """Log to standard error from now on."""
    kopf.configure(verbose=verbose, log_format=kopf.LogFormat.JSON if json else kopf.LogFormat.FULL)
    for handler in logging.getLogger().handlers:
        handler.addFilter(RetryLimit())
        if not json:
            # kopf's own format cuts the names of loggers.
            handler.setFormatter(OneLine(_FORMAT))
    if not verbose:
        # kopf logs for each event that its handler succeeded, so for each of a thousand heartbeats.
        logging.getLogger("kopf.objects").setLevel(logging.WARNING)
