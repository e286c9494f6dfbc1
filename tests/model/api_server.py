"""The API server of the model: objects, one version for all of them, and a log of each kind for the watches.

It can be restored to a snapshot, after which versions go back, or jump (``--bump-revision``); and its logs can be
compacted.
"""

from bisect import bisect_right
from typing import Any, NamedTuple

from rendezvous_api import names

Json = dict[str, Any]

KINDS = (names.RENDEZVOUS_KIND, names.PARTICIPANT_KIND, names.POD_KIND)


class Change(NamedTuple):
    """One event of a watch."""

    version: int
    type: str
    item: Json


class ApiServer:
    """Objects of one namespace by kind and name. What it gives away is never changed afterwards."""

    def __init__(self) -> None:
        self.version = 1000
        self.objects: dict[tuple[str, str], Json] = {}
        self.compacted = 0
        """Watches from an earlier version are refused (410)."""
        self._log: dict[str, list[Change]] = {kind: [] for kind in KINDS}
        self._uids = 0
        self._snapshot = (self.version, self.objects)

    def find(self, kind: str, name: str) -> Json | None:
        """The object; None: it does not exist."""
        return self.objects.get((kind, name))

    def all(self, kind: str) -> list[Json]:
        """What a list shows: of pods those with the label."""
        found = [item for (of, _), item in self.objects.items() if of == kind]
        return [item for item in found if kind != names.POD_KIND or item["metadata"]["labels"]]

    def after(self, kind: str, version: int) -> Change | None:
        """What a watch shows next; None: nothing. One from a version that is yet to come shows nothing until then."""
        log = self._log[kind]
        if not log or log[-1].version <= version:
            return None
        return log[bisect_right(log, version, key=lambda change: change.version)]

    def create(self, kind: str, name: str, content: Json, **metadata: Any) -> Json:
        """An object with a new UID."""
        self._uids += 1
        own = {"name": name, "namespace": "ns", "uid": f"uid-{self._uids}", "generation": 1}
        item = {"metadata": {**own, "creationTimestamp": "2030-01-01T00:00:00Z", **metadata}, **content}
        return self._store(kind, item, "ADDED")

    def change(self, kind: str, name: str, **content: Any) -> Json:
        """The object with other contents, such as ``status``."""
        item = {**self.objects[kind, name], **content}
        if "spec" in content:
            item["metadata"] = {**item["metadata"], "generation": item["metadata"]["generation"] + 1}
        return self._store(kind, item, "MODIFIED")

    def change_metadata(self, kind: str, name: str, **metadata: Any) -> Json:
        """The object with other metadata, such as ``annotations``."""
        item = self.objects[kind, name]
        return self._store(kind, {**item, "metadata": {**item["metadata"], **metadata}}, "MODIFIED")

    def unlabel(self, name: str) -> None:
        """A pod loses its label: watches by label show it as deleted."""
        item = self.objects[names.POD_KIND, name]
        if item["metadata"]["labels"]:
            stored = self._store(names.POD_KIND, {**item, "metadata": {**item["metadata"], "labels": {}}}, None)
            labelled = {**item["metadata"], "resourceVersion": stored["metadata"]["resourceVersion"]}
            self._show(names.POD_KIND, "DELETED", {**item, "metadata": labelled})

    def delete(self, kind: str, name: str) -> None:
        """The object is gone."""
        item = self.objects.pop((kind, name))
        self.version += 1
        if kind != names.POD_KIND or item["metadata"]["labels"]:
            metadata = {**item["metadata"], "resourceVersion": str(self.version)}
            self._show(kind, "DELETED", {**item, "metadata": metadata})

    def compact(self) -> None:
        """The logs are emptied."""
        self.compacted = self.version
        for log in self._log.values():
            log.clear()

    def take_snapshot(self) -> None:
        """What a restore goes back to."""
        self._snapshot = (self.version, dict(self.objects))

    def restore(self, *, bumped: bool) -> None:
        """Everything is as in the snapshot. UIDs are random, so none is given out twice.

        Args:
            bumped: the version of all goes on above each that was given away; those of the objects are old. Otherwise
                it goes back, too.
        """
        version, objects = self._snapshot
        self.version = self.version + 1000 if bumped else version
        self.objects = dict(objects)
        self.compact()

    def _store(self, kind: str, item: Json, change: str | None) -> Json:
        self.version += 1
        item = {**item, "metadata": {**item["metadata"], "resourceVersion": str(self.version)}}
        self.objects[kind, item["metadata"]["name"]] = item
        if change is not None:
            self._show(kind, change, item)
        return item

    def _show(self, kind: str, change: str, item: Json) -> None:
        self._log[kind].append(Change(self.version, change, item))
