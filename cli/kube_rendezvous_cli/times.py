"""Moments and times as people read them. All times are in seconds."""

import re
from datetime import datetime

from rendezvous_api.meta import parse_time

MINUTE, HOUR, DAY = 60, 3600, 86400

_PART = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|)")
_PARTS = re.compile(f"(?:{_PART.pattern})+")
_UNITS = {"ms": 0.001, "s": 1, "": 1, "m": MINUTE, "h": HOUR}


def seconds(text: str) -> float | None:
    """A time that a person has written, such as ``90s``, ``10m``, ``1h10m`` or ``90``. None: it is no such time."""
    if _PARTS.fullmatch(text) is None:
        return None
    return sum(float(number) * _UNITS[unit] for number, unit in _PART.findall(text))


def since(text: str | None, now: datetime) -> float | None:
    """Seconds from that time until now, at least 0: clocks of two machines may differ. None: it is no time."""
    moment = parse_time(text)
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
