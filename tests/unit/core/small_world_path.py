"""The second path of one member of a `small_world`; `small_world_peers` has what happens on it."""

from typing import NamedTuple


class Second(NamedTuple):
    """The second path of one member, to the host of its round."""

    said: str = "NotConnected"
    """What the report in the host's object says of it; "" is that its beats arrive."""
    word: str = "NotConnected"
    """What its own object says of the host."""
    apart: bool = False
    """The path is broken."""
    farewell: bool = False
    """It has stopped its workers and said so to the host."""
    concluded: str = ""
    """What the operator remembers to have concluded of it."""
    vouched: bool = False
    """The operator remembers that its peers vouched for it a short time ago."""

    @property
    def after_a_heartbeat(self) -> "Second":
        """Nothing is remembered over a heartbeat."""
        return self._replace(concluded="", vouched=False)
