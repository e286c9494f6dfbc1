"""What the log of a member says while something is wrong in the round that its workers run."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from rendezvous_api import names
from rendezvous_api.rendezvous import Rendezvous

_logger = logging.getLogger(__name__)

_REPEAT_SECONDS = 30.0
"""In a large group the message may change each second, and every member logs it."""


class Degradation:
    """Logs the condition Degraded when it becomes True, when its message changes, and when it is over."""

    def __init__(self, now: Callable[[], float] = time.monotonic):
        """Log nothing yet.

        Args:
            now: a monotonic clock, in seconds.
        """
        self._now = now
        self._seen: Rendezvous | None = None
        self._round: int | None = None
        """The round in which the last line said that something is wrong; None: nothing is."""
        self._logged = ""
        self._logged_round: int | None = None
        """The round of the last such line."""
        self._logged_at = float("-inf")
        self._is_held_back = False
        """A message was not logged yet, since another one was logged a short time ago."""

    def note(self, rendezvous: Rendezvous | None, number: int) -> None:
        """Log what there is to say. Costs nothing while nothing changes, so it may be called at any rate.

        Args:
            rendezvous: the newest known state; None: it does not exist, or nothing is known.
            number: of the round that runs here.
        """
        if rendezvous is None or (rendezvous is self._seen and not self._is_held_back):
            return
        self._seen = rendezvous
        status = rendezvous.status
        if status.round != number:
            return  # what it says is about another round
        degraded = status.condition(names.CONDITION_DEGRADED)
        if degraded is not None and degraded.status == "True":
            self._log(number, degraded.message)
            return
        self._is_held_back = False
        if self._round == number and status.waiting_nodes == 0:
            self._round = None
            _logger.info("round %d: what was wrong has passed", number)

    def _log(self, number: int, message: str) -> None:
        now = self._now()
        is_news = self._round != number or message != self._logged
        # What comes and goes is one more message that changes.
        self._is_held_back = is_news and self._logged_round == number and now < self._logged_at + _REPEAT_SECONDS
        if not is_news or self._is_held_back:
            return
        self._round = self._logged_round = number
        self._logged, self._logged_at = message, now
        _logger.warning("round %d goes on, but: %s", number, message)
