"""The objects of one group, or of all groups, kept up to date by kubectl's watches."""

import queue
import subprocess
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from kube_rendezvous_cli.kubectl import Kubectl, KubectlError, documents

Json = dict[str, Any]

_AGAIN_SECONDS = 1.0


@dataclass(frozen=True)
class Seen:
    """What a watch has shown; `kind` is that of the objects that were asked for."""

    kind: str
    event: Json | None
    """None: the watch begins, and lists everything once more."""


class Watches:
    """Watches of several kinds, each a kubectl, which is started again when it ends. Use it in a ``with``.

    Args:
        kubectl: makes the requests.
        asked: for each kind the arguments of ``kubectl get``.
        namespace: of the objects; None: that of the user.
        known: objects of each kind that were listed before, so that none is missing until its watch has begun.
    """

    def __init__(
        self,
        kubectl: Kubectl,
        asked: Mapping[str, Sequence[str]],
        namespace: str | None = None,
        known: Mapping[str, Sequence[Json]] | None = None,
    ) -> None:
        self._kubectl, self._asked, self._namespace = kubectl, asked, namespace
        self._queue: queue.Queue[Seen] = queue.Queue()
        self._ended = threading.Event()
        self._processes: dict[str, subprocess.Popen[str]] = {}
        self._listed: dict[str, dict[str, Json]] = {}
        self.objects: dict[str, dict[str, Json]] = {
            kind: {_uid(item): item for item in (known or {}).get(kind, ())} for kind in asked
        }
        """Of each kind, by UID."""

    def __enter__(self) -> "Watches":
        for kind in self._asked:
            threading.Thread(target=self._watch, args=(kind,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        for process in self._processes.values():
            process.kill()

    def changes(self, longest: float, together: float = 0.2) -> bool:
        """Wait for changes, and take them in. Those that come within `together` seconds count as one.

        Returns:
            Whether there was one within `longest` seconds.
        """
        try:
            self._take(self._queue.get(timeout=longest))
        except queue.Empty:
            return False
        until = threading.Event()
        timer = threading.Timer(together, until.set)
        timer.start()
        while not until.is_set():
            try:
                self._take(self._queue.get(timeout=together))
            except queue.Empty:
                break
        timer.cancel()
        if self._queue.empty():
            # A watch that begins lists everything once more, and what was deleted while there was none is not in it.
            self.objects.update({kind: found for kind, found in self._listed.items() if found})
            self._listed = {kind: {} for kind, found in self._listed.items() if not found}
        return True

    def _take(self, seen: Seen) -> None:
        if seen.event is None:
            self._listed[seen.kind] = {}
            return
        objects, item = self._listed.get(seen.kind, self.objects[seen.kind]), seen.event["object"]
        if seen.event["type"] == "DELETED":
            objects.pop(_uid(item), None)
        elif seen.event["type"] in ("ADDED", "MODIFIED"):
            objects[_uid(item)] = item

    def _watch(self, kind: str) -> None:
        while not self._ended.is_set():
            try:
                for event in self._events(kind):
                    self._queue.put(Seen(kind, event))
            except (KubectlError, ValueError):  # it was ended within an object
                pass
            self._ended.wait(_AGAIN_SECONDS)

    def _events(self, kind: str) -> Iterator[Json]:
        command = self._kubectl.command(
            "get", *self._asked[kind], "--watch", "--output-watch-events", "--output=json", namespace=self._namespace
        )
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
            encoding="utf-8",
        )  # fmt: skip
        self._processes[kind] = process
        if self._ended.is_set():
            process.kill()
        self._queue.put(Seen(kind, None))
        assert process.stdout is not None
        yield from documents(iter(process.stdout.readline, ""))
        process.wait()


def _uid(item: Json) -> str:
    return str(item.get("metadata", {}).get("uid", ""))
