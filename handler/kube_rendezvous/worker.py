"""For training scripts: what a worker can know of the round in which it runs. Needs the standard library alone."""

from __future__ import annotations

import os

__all__ = ["round"]

_ROUND = "RDZV_ROUND"


def round() -> int | None:
    """The round of the Rendezvous for which this worker was started; None outside of ``--rdzv-backend=kubernetes``.

    It grows by 1 or more with each restart of the group, and is the same for all workers of a round. The agent puts it
    into the environment of its workers as ``RDZV_ROUND``.

    Raises:
        ValueError: ``RDZV_ROUND`` is no integer.
    """
    value = os.environ.get(_ROUND)
    if value is None:
        return None
    try:
        return int(value)
    except ValueError:
        raise ValueError(f"{_ROUND}={value!r} is no integer") from None
