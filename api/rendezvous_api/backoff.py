"""Random pauses that grow from one failure to the next, for agents and operator."""

import random
from dataclasses import dataclass


@dataclass(frozen=True)
class Backoff:
    """An exponential back-off. All times are in seconds."""

    first: float
    """The longest first pause."""
    longest: float
    """The longest of all."""
    least: float = 0.5
    """The shortest pause, as a share of the longest that is possible each time.

    With 0, rivals that overwrite each other are spread best. Above 0, no pause is so short that the next try is vain.
    """

    def seconds(self, failures: int) -> float:
        """The pause after that number of failures in a row, from 1. The longest possible one doubles with each.

        It is random, so that those that failed together do not try again together.
        """
        longest = min(self.longest, self.first * 2.0 ** min(failures - 1, 16))
        return longest * random.uniform(self.least, 1.0)


class Failures:
    """Counts failures in a row, and gives the pause after each."""

    def __init__(self, backoff: Backoff) -> None:
        """Start after a success.

        Args:
            backoff: the pauses.
        """
        self._backoff = backoff
        self.count = 0
        """Since the last success."""

    def pause(self) -> float:
        """Count one more failure; returns the seconds to wait."""
        self.count += 1
        return self._backoff.seconds(self.count)

    def reset(self) -> None:
        """Count a success."""
        self.count = 0
