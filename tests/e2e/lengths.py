"""The times of faults: short ones in `make test`, the default ones of a Rendezvous in `make soak`."""

import os

import pytest

SOAK = bool(os.environ.get("SOAK"))

soak = pytest.mark.soak
"""Such a test is run by `make soak`, too, with the long times."""


def seconds(short: int, long: int) -> int:
    """The first one, or in `make soak` the second."""
    return long if SOAK else short


HEARTBEAT = seconds(1, 5)
MAX_MISSED = seconds(6, 3)
SILENT = HEARTBEAT * MAX_MISSED
SUSPECT = seconds(9, 120)
TIMES = {"heartbeatIntervalSeconds": HEARTBEAT, "maxMissed": MAX_MISSED, "suspectSeconds": SUSPECT}
"""Of a Rendezvous; the long ones are the defaults."""
LATE = 15
"""By so much a busy machine may be late."""
