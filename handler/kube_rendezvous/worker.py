"""For training scripts: what a worker can know of the round in which it runs. Needs the standard library alone."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass

__all__ = ["FencingToken", "fencing_token", "round"]

_ROUND = "RDZV_ROUND"
_FENCE = "RDZV_FENCE"
_TOKEN = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ)\.(\d{10})\.([0-9a-f]{8})")


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


@dataclass(frozen=True)
class FencingToken:
    """Which group may write: that with the highest token that was ever seen at the place where it writes.

    Tokens are compared by `created` and `round`, and are equal only if all is equal. Two groups may have the same of
    both after etcd was restored from a snapshot: then neither token is lower. So write only if each token that is there
    is ``<=`` your own.

    ``str()`` of a token fits into the name of a file, and `parse` reads it. Of two different tokens that can be
    compared, the string of the lower one is the lower one, too.
    """

    created: str
    """When the Rendezvous was created, by the clock of the API server: RFC 3339, whole seconds, UTC."""
    round: int
    """The round: it grows with each new group at this Rendezvous."""
    members: str
    """8 hex digits of a hash of the UID of the Rendezvous and of the members of the round."""

    def __str__(self) -> str:
        return f"{self.created}.{self.round:010}.{self.members}"

    def __lt__(self, other: FencingToken) -> bool:
        return (self.created, self.round) < (other.created, other.round)

    def __le__(self, other: FencingToken) -> bool:
        return self < other or self == other

    @classmethod
    def parse(cls, text: str) -> FencingToken:
        """The token of a string.

        Raises:
            ValueError: it is none.
        """
        found = _TOKEN.fullmatch(text)
        if found is None:
            raise ValueError(f"{text!r} is no fencing token")
        return cls(found[1], int(found[2]), found[3])


def fencing_token() -> FencingToken | None:
    """The token of the group of this worker; None outside of ``--rdzv-backend=kubernetes``.

    It is the same for all workers of a round, and higher than those of all groups before at this Rendezvous. The agent
    puts it into the environment of its workers as ``RDZV_FENCE``. A worker that was frozen for hours still has its old
    one, so it can be refused where it writes.

    Raises:
        ValueError: ``RDZV_FENCE`` is no fencing token.
    """
    value = os.environ.get(_FENCE)
    return None if value is None else FencingToken.parse(value)
