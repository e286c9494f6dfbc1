"""Log lines that would repeat."""

QUIET_SECONDS = 30.0
"""The same text is logged once in this time."""


class RateLimit:
    """Passes the same text once in `QUIET_SECONDS`."""

    def __init__(self) -> None:
        self._passed_at: dict[str, float] = {}

    def passes(self, text: str, now: float) -> bool:
        """Whether to log it now; ``now`` is in monotonic seconds."""
        self._passed_at = {known: at for known, at in self._passed_at.items() if now - at < QUIET_SECONDS}
        if text in self._passed_at:
            return False
        self._passed_at[text] = now
        return True
