"""The objects of one group, or of all groups, kept up to date by kubectl's watches."""

import gc
import json
import queue
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from typing import IO, Any

from kube_rendezvous_cli.kubectl import Kubectl, KubectlError, documents, reason_of

Json = dict[str, Any]

_AGAIN_SECONDS = 1.0
"""From the end of a watch to its next start; twice as long with each watch that has ended early."""
_LONGEST_PAUSE_SECONDS = 30.0
_EARLY_SECONDS = 10.0
_END_SECONDS = 5.0
"""How long the end waits for a kubectl that was killed."""


@dataclass(frozen=True)
class Listed:
    """All objects of a kind, before its watch begins."""

    kind: str
    items: Sequence[Json]


@dataclass(frozen=True)
class Seen:
    """What a watch has shown; `kind` is that of the objects that were asked for."""

    kind: str
    event: Json


@dataclass(frozen=True)
class Broken:
    """A watch has ended, or could not begin: nothing is known of its objects since then."""

    kind: str
    since: datetime
    """By the clock of this machine."""
    reason: str
    """As kubectl says it; empty: it has said nothing."""

    @property
    def forbidden(self) -> bool:
        """Whether a right is missing, so that waiting does not help."""
        return "(Forbidden)" in self.reason


class Watches:
    """Watches of several kinds, each a kubectl, which is started again when it ends. Use it in a ``with``.

    A kind is listed before each start of its watch, so what was deleted while there was no watch is not kept.

    Args:
        kubectl: makes the requests.
        asked: for each kind the arguments of ``kubectl get``.
        namespace: of the objects; None: that of the user.
        known: objects of each kind that have just been listed: its first watch begins without a list.
    """

    def __init__(
        self,
        kubectl: Kubectl,
        asked: Mapping[str, Sequence[str]],
        namespace: str | None = None,
        known: Mapping[str, Sequence[Json]] | None = None,
    ) -> None:
        self._kubectl, self._asked, self._namespace = kubectl, asked, namespace
        self._queue: queue.Queue[Listed | Seen | Broken] = queue.Queue()
        self._ended = threading.Event()
        self._lock = threading.Lock()
        self._processes: dict[str, subprocess.Popen[str]] = {}
        self._threads: list[threading.Thread] = []
        self._known = {kind: by_uid(items) for kind, items in (known or {}).items()}
        self.objects: dict[str, dict[str, Json]] = {kind: self._known.get(kind, {}) for kind in asked}
        """Of each kind, by UID."""
        self.listed = set(self._known)
        """The kinds of which `objects` has all, as they were at some moment."""
        self.broken: dict[str, Broken] = {}
        """The kinds of which `objects` has what was there a while ago."""

    def __enter__(self) -> "Watches":
        gc.enable()  # who follows may do so for days
        for kind in self._asked:
            self._threads.append(threading.Thread(target=self._watch, args=(kind,), daemon=True))
            self._threads[-1].start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        with self._lock:
            for process in self._processes.values():
                process.kill()
        until = time.monotonic() + _END_SECONDS
        for thread in self._threads:
            thread.join(max(0.0, until - time.monotonic()))

    def changes(self, longest: float, together: float = 0.2) -> bool:
        """Wait for changes, and take them in. Those that come within `together` seconds count as one.

        Returns:
            Whether there was one within `longest` seconds.
        """
        try:
            self._take(self._queue.get(timeout=longest))
        except queue.Empty:
            return False
        until = time.monotonic() + together
        while (left := until - time.monotonic()) > 0:
            try:
                self._take(self._queue.get(timeout=left))
            except queue.Empty:
                break
        return True

    def _take(self, news: Listed | Seen | Broken) -> None:
        kind = news.kind
        if isinstance(news, Listed):
            self.objects[kind] = by_uid(news.items)
            self.listed.add(kind)
            self.broken.pop(kind, None)
        elif isinstance(news, Broken):
            before = self.broken.get(kind)
            # One that ends again, before it has shown anything, has been broken all the time.
            self.broken[kind] = news if before is None else replace(before, reason=news.reason or before.reason)
        elif news.event["type"] == "DELETED":
            self.objects[kind].pop(_uid(news.event["object"]), None)
        elif news.event["type"] in ("ADDED", "MODIFIED"):
            self.objects[kind][_uid(news.event["object"])] = news.event["object"]

    def _watch(self, kind: str) -> None:
        pause, list_first = _AGAIN_SECONDS, kind not in self._known
        while not self._ended.is_set():
            began, reason = time.monotonic(), ""
            try:
                if list_first:
                    self._queue.put(Listed(kind, self._list(kind)))
                list_first = True
                for event in self._events(kind):
                    self._queue.put(Seen(kind, event))
            except KubectlError as error:
                reason = str(error)
            except ValueError:  # it was ended within an object
                pass
            self._queue.put(Broken(kind, datetime.now(timezone.utc), reason))
            early = time.monotonic() - began < _EARLY_SECONDS
            pause = min(2 * pause, _LONGEST_PAUSE_SECONDS) if early else _AGAIN_SECONDS
            self._ended.wait(pause)

    def _list(self, kind: str) -> Sequence[Json]:
        with tempfile.TemporaryFile("w+", encoding="utf-8") as said:
            process = self._start(kind, said, "--output=json", "--ignore-not-found")
            assert process.stdout is not None
            text = process.stdout.read()
            _end(process, said)
        found = json.loads(text) if text else {"items": ()}
        items: Sequence[Json] = found.get("items", [found])  # one that was asked for by its name is no list
        return items

    def _events(self, kind: str) -> Iterator[Json]:
        with tempfile.TemporaryFile("w+", encoding="utf-8") as said:
            process = self._start(kind, said, "--watch", "--output-watch-events", "--output=json")
            assert process.stdout is not None
            yield from documents(iter(process.stdout.readline, ""))
            _end(process, said)

    def _start(self, kind: str, said: IO[str], *more: str) -> "subprocess.Popen[str]":
        """Start a kubectl; what it says of errors goes to `said`."""
        command = self._kubectl.command("get", *self._asked[kind], *more, namespace=self._namespace)
        with self._lock:
            if self._ended.is_set():
                raise KubectlError("ended")
            self._processes[kind] = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=said, text=True, encoding="utf-8"
            )
            return self._processes[kind]


def _end(process: "subprocess.Popen[str]", said: IO[str]) -> None:
    """Wait for its end.

    Raises:
        KubectlError: it has failed.
    """
    if process.wait():
        said.seek(0)
        raise KubectlError(reason_of(said.read()) or f"kubectl ended with exit code {process.returncode}")


def by_uid(items: Sequence[Json]) -> dict[str, Json]:
    """Objects by their UID."""
    return {_uid(item): item for item in items}


def _uid(item: Json) -> str:
    return str(item.get("metadata", {}).get("uid", ""))
