"""The API server of the model: objects, one version for all of them, and a log of each kind for the watches."""

import copy
from typing import Any, NamedTuple

from rendezvous_api import names

Json = dict[str, Any]

KINDS = (names.RENDEZVOUS_KIND, names.PARTICIPANT_KIND, names.POD_KIND)


class Change(NamedTuple):
    """One event of a watch."""

    type: str
    item: Json


class ApiServer:
    """Objects of one namespace by kind and name. What it gives away is never changed afterwards."""

    def __init__(self) -> None:
        self.version = 1000
        self.objects: dict[tuple[str, str], Json] = {}
        self.log: dict[str, list[Change]] = {kind: [] for kind in KINDS}
        self._uids = 0

    def find(self, kind: str, name: str) -> Json | None:
        """The object; None: it does not exist."""
        return self.objects.get((kind, name))

    def all(self, kind: str) -> list[Json]:
        """What a list shows: of pods those with the label."""
        found = [item for (of, _), item in self.objects.items() if of == kind]
        return [item for item in found if kind != names.POD_KIND or item["metadata"].get("labels")]

    def create(self, kind: str, name: str, content: Json, **metadata: Any) -> Json:
        """An object with a new UID."""
        self._uids += 1
        own = {"name": name, "namespace": "ns", "uid": f"uid-{self._uids}"}
        item = {"metadata": {**own, "creationTimestamp": "2030-01-01T00:00:00Z", **metadata}, **content}
        return self._store(kind, item, "ADDED")

    def change(self, kind: str, name: str, **content: Any) -> Json:
        """The object with other contents, such as ``status``."""
        return self._store(kind, {**self.objects[kind, name], **content}, "MODIFIED")

    def unlabel(self, name: str) -> None:
        """A pod loses its label: watches by label show it as deleted."""
        item = self.objects[names.POD_KIND, name]
        if item["metadata"]["labels"]:
            stored = self._store(names.POD_KIND, {**item, "metadata": {**item["metadata"], "labels": {}}}, None)
            labelled = {**item["metadata"], "resourceVersion": stored["metadata"]["resourceVersion"]}
            self.log[names.POD_KIND].append(Change("DELETED", {**item, "metadata": labelled}))

    def delete(self, kind: str, name: str) -> None:
        """The object is gone."""
        item = self.objects.pop((kind, name))
        self.version += 1
        metadata = {**item["metadata"], "resourceVersion": str(self.version)}
        if kind != names.POD_KIND or item["metadata"]["labels"]:
            self.log[kind].append(Change("DELETED", {**item, "metadata": metadata}))

    def _store(self, kind: str, item: Json, change: str | None) -> Json:
        self.version += 1
        item = copy.deepcopy(item)
        item["metadata"]["resourceVersion"] = str(self.version)
        self.objects[kind, item["metadata"]["name"]] = item
        if change is not None:
            self.log[kind].append(Change(change, item))
        return item
