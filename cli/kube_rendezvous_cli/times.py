"""Moments and times as people read them. All times are in seconds."""

import re
from datetime import datetime, timezone

MINUTE, HOUR, DAY = 60, 3600, 86400

_MOMENT = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(\.\d+)?(Z|[+-]\d\d:\d\d)")


def parse(text: str | None) -> datetime | None:
    """A time of the Kubernetes API (RFC 3339); None: there is none, or this is no time."""
    match = _MOMENT.fullmatch(text or "")
    if match is None:
        return None
    whole, fraction, zone = match.groups()
    # Up to Python 3.10, fromisoformat wants exactly 3 or 6 digits, and no Z.
    digits = (fraction or ".0")[1:7].ljust(6, "0")
    try:
        return datetime.fromisoformat(f"{whole}.{digits}{'+00:00' if zone == 'Z' else zone}").astimezone(timezone.utc)
    except ValueError:
        return None


def since(text: str | None, now: datetime) -> float | None:
    """Seconds from that time until now, at least 0: clocks of two machines may differ. None: it is no time."""
    moment = parse(text)
    return None if moment is None else max(0.0, (now - moment).total_seconds())


def age(seconds: float) -> str:
    """As kubectl writes an age: ``41s``, ``3m32s``, ``12m``, ``5h12m``, ``3d``."""
    whole = int(seconds)
    if whole < 2 * MINUTE:
        return f"{whole}s"
    if whole < 10 * MINUTE:
        return _two(whole, MINUTE, "m", 1, "s")
    if whole < 3 * HOUR:
        return f"{whole // MINUTE}m"
    if whole < 8 * HOUR:
        return _two(whole, HOUR, "h", MINUTE, "m")
    if whole < 2 * DAY:
        return f"{whole // HOUR}h"
    if whole < 8 * DAY:
        return _two(whole, DAY, "d", HOUR, "h")
    return f"{whole // DAY}d"


def _two(whole: int, unit: int, name: str, smaller: int, its_name: str) -> str:
    rest = whole % unit // smaller
    return f"{whole // unit}{name}" + (f"{rest}{its_name}" if rest else "")


def duration(seconds: float) -> str:
    """A time that was measured: a tenth of a second counts below a minute."""
    return f"{seconds:.1f} s" if seconds < MINUTE else age(seconds)


def ago(text: str | None, now: datetime) -> str | None:
    """The age of a moment; None: it is no time."""
    seconds = since(text, now)
    return None if seconds is None else age(seconds)


def clock(moment: datetime) -> str:
    """The time of day, in UTC: ``12:05:31Z``."""
    return moment.strftime("%H:%M:%SZ")
