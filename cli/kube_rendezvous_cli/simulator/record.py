"""What happens in a simulation, in the order in which it happens."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import Enum

from kube_rendezvous_cli.text import listing
from rendezvous_api.rendezvous import Member


class Who(str, Enum):
    """Whose doing something is."""

    GIVEN = "given"
    """It was asked for: by the file, or on the command line."""
    NODES = "nodes"
    OPERATOR = "operator"


@dataclass(frozen=True)
class Entry:
    """One line of the timeline."""

    at: float
    """Seconds from the beginning."""
    who: Who
    what: str
    """A word: the reason of an event, the state of the group, or what nodes do."""
    message: str
    nodes: tuple[str, ...] = ()
    members: tuple[Member, ...] = ()
    """Of the round that was published."""


@dataclass
class Record:
    """The timeline. What several nodes do at one moment is one entry."""

    _entries: list[Entry] = field(default_factory=list)
    _together: dict[tuple[float, Who, str, str], list[str]] = field(default_factory=dict)

    def nodes(self, at: float, who: Who, one: str, several: str, name: str) -> None:
        """A node does something; the two texts are those for one node and for several ones."""
        key = (at, who, one, several)
        if key not in self._together:
            self._flush()
            self._together = {key: []}
        self._together[key].append(name)

    def add(self, entry: Entry) -> None:
        """Something else happens."""
        self._flush()
        self._entries.append(entry)

    def _flush(self) -> None:
        for (at, who, one, several), found in self._together.items():
            text = one if len(found) == 1 else several
            self._entries.append(Entry(at, who, text.split(",")[0], f"{listing(found)} {text}", tuple(found)))
        self._together = {}

    def __iter__(self) -> Iterator[Entry]:
        self._flush()
        return iter(self._entries)
