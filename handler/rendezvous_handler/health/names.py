"""How checks are named: ``gpus``, or ``MODULE:FUNCTION`` of the user."""

from __future__ import annotations

import re

SEPARATOR = "+"
"""Between two checks: torch splits ``--rdzv-conf`` at commas."""
NONE = "none"
"""No checks: torch allows no empty value."""
READY = ("allreduce", "disk", "gpus", "nvhcd")
"""The functions of `kube_rendezvous.health`, which are named without their module."""
MODULE = "kube_rendezvous.health"

_OWN = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*:[^\W\d]\w*(\.[^\W\d]\w*)*")


def parse(value: str) -> tuple[str, ...]:
    """The checks of a setting, in their order.

    Raises:
        ValueError: one of them is no legal name; the message says which.
    """
    if value.strip() in ("", NONE):
        return ()
    checks = tuple(part.strip() for part in value.split(SEPARATOR))
    for check in checks:
        if check not in READY and not _OWN.fullmatch(check):
            raise ValueError(f"{check!r} must be one of {', '.join(READY)}, or MODULE:FUNCTION")
    return checks


def place_of(check: str) -> tuple[str, str]:
    """Module and function of a check."""
    module, colon, function = check.partition(":")
    return (module, function) if colon else (MODULE, check)
