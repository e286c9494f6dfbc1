"""What the page shows, kept up to date: each view that is asked for is computed once for each change."""

import json
import threading
import time
from collections.abc import Callable
from datetime import datetime
from typing import Any

from kube_rendezvous_cli.dashboard.snapshot import Name, Objects, all_groups, one_group, sorted_objects
from kube_rendezvous_cli.follow import Watches
from kube_rendezvous_cli.text import safe

WHAT = {"rendezvous": "groups", "participants": "nodes", "pods": "pods"}
"""How each kind that is followed is called."""

TICK_SECONDS = 1.0
"""How often the ages are brought up to date."""
TOGETHER_SECONDS = 0.5
"""Changes within this time are shown as one."""
_SHARE = 5
"""Times what a view takes: so long changes are collected, and a large group costs a fifth of a processor at most."""
_LONGEST_SECONDS = 5.0


class Live:
    """The newest state of all views; one thread brings it up to date, and those of the server wait for it.

    Args:
        watches: of the objects.
        now: the moment, by the clock of this machine.
    """

    def __init__(self, watches: Watches, now: Callable[[], datetime]) -> None:
        self._watches, self._now = watches, now
        self._changed = threading.Condition()
        self._computing = threading.Lock()
        self._objects: Objects | None = None
        self._number = 0
        self._ended = False
        self._took = 0.0
        self._texts: dict[Name | None, tuple[int, bytes]] = {}

    def follow(self) -> None:
        """Take in what happens within the next second, and let the views be computed again."""
        self._watches.changes(TICK_SECONDS, min(max(TOGETHER_SECONDS, _SHARE * self._took), _LONGEST_SECONDS))
        objects = sorted_objects(self._watches.objects, self._watches.broken.values(), self._now(), WHAT)
        with self._changed:
            self._objects, self._number = objects, self._number + 1
            self._changed.notify_all()

    def end(self) -> None:
        """Let all that wait go."""
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    @property
    def ended(self) -> bool:
        """Whether nothing more comes."""
        return self._ended

    def view(self, of: Name | None, after: int, longest: float) -> tuple[int, bytes | None]:
        """The newest view of one group, or of all (None), as JSON in one line.

        Args:
            of: the group.
            after: the number of the one that is known; 0: none is.
            longest: how long to wait for another one, in seconds.

        Returns:
            its number, and None if there was no other one within that time.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._ended or self._number > after, longest)
            number, objects = self._number, self._objects
        if self._ended or objects is None or number == after:
            return after, None
        # One at a time: several pages that show the same view cost no more than one.
        with self._computing:
            known = self._texts.get(of)
            if known is None or known[0] < number:
                began = time.monotonic()
                shown = all_groups(objects) if of is None else one_group(objects, of)
                text = json.dumps(_printable(shown), separators=(",", ":")).encode()
                self._took = time.monotonic() - began
                if len(self._texts) > 50:  # groups that no page shows any more
                    self._texts.clear()
                known = self._texts[of] = (number, text)
        return known


def _printable(value: Any) -> Any:
    """Without letters that change how others are shown, such as those that turn the direction of writing."""
    if isinstance(value, str):
        return safe(value)
    if isinstance(value, dict):
        return {key: _printable(each) for key, each in value.items()}
    return [_printable(each) for each in value] if isinstance(value, list) else value
