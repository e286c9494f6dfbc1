"""Parts of the messages that people read."""

from collections.abc import Sequence

from rendezvous_api import names
from rendezvous_api.rendezvous import Missing
from rendezvous_api.rendezvous_spec import Restarts
from rendezvous_api.restart_budget import Count

SHOWN = 3
"""Nodes that a message names; of the others it has the number."""


def listing(found: Sequence[Missing], count: int | None = None) -> str:
    """``a is Pending (...), b was lost (...) and 4 more``.

    Args:
        found: the nodes, or the first `SHOWN` of them.
        count: of all of them, if not all are given.
    """
    shown = [f"{item.name} {item.message}".rstrip() for item in found[:SHOWN]]
    left = (count or len(found)) - SHOWN
    return ", ".join(shown) + (f" and {left} more" if left > 0 else "")


def with_listing(message: str, found: Sequence[Missing]) -> str:
    """The message, and the missing nodes if there are any."""
    return f"{message}; {listing(found)}" if found else message


def first_of(count: int, message: str) -> str:
    """A message about the first one of so many things: ``a was refused (and 2 more)``."""
    return message if count == 1 else f"{message} (and {count - 1} more)"


def number_of_nodes(count: int) -> str:
    """``1 node``, ``2 nodes``."""
    return f"{count} node" if count == 1 else f"{count} nodes"


def more_nodes(count: int) -> str:
    """``1 more node``, ``2 more nodes``."""
    return f"{count} more node" if count == 1 else f"{count} more nodes"


def budget_is_spent(restarts: Restarts, count: Count | None) -> str:
    """Why a run is closed that has used all its restarts; None: the spec allows more of them by now."""
    if count is None:
        return "its restart budget was used up"
    rounds = "1 round" if count.used == 1 else f"{count.used} rounds"
    what = f"a failure of {count.of}" if count.limit == "perNode" else count.of or "a failure"
    within = f" within {restarts.window_seconds} s" if restarts.window_seconds is not None else ""
    return f"{rounds} ended with {what}{within}, and spec.restarts.{count.limit} allows no more"


def cut(message: str, most: int = names.MAX_MESSAGE_LENGTH) -> str:
    """As much of a message as the schema allows: a long name from outside must not make a status invalid."""
    return message if len(message) <= most else message[: most - 3] + "..."


def quoted(value: str) -> str:
    """A value that a user has set, as a part of a message."""
    return cut(repr(value), most=64)
