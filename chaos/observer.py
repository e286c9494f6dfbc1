"""Writes each version of the Rendezvous, and what agents say, into the journal, by watches of its own."""

import http.client
import json
import ssl
import threading
from collections.abc import Iterator
from typing import Any

from tests.support.gateway import HOST, Target

from chaos.journal import Writer
from rendezvous_api import names

_WATCH_SECONDS = 60
_PAUSE_SECONDS = 0.2
Json = dict[str, Any]


class Observer:
    """One watch of one kind, straight to the API server, while faults are done to the others' ways."""

    def __init__(self, target: Target, namespace: str, plural: str, journal: Writer) -> None:
        self._target = target
        self._path = f"/apis/{names.API_VERSION}/namespaces/{namespace}/{plural}"
        self._plural = plural
        self._journal = journal
        self._written: dict[str, Any] = {}
        self._stopped = threading.Event()
        self._tls = ssl.create_default_context()
        self._tls.check_hostname = False
        self._tls.verify_mode = ssl.CERT_NONE
        self._thread = threading.Thread(target=self._run, name=f"observer of {plural}", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Write nothing any more."""
        self._stopped.set()

    def _run(self) -> None:
        version = ""
        while not self._stopped.is_set():
            try:
                if not version:
                    found = json.loads(self._get(self._path).read())
                    self._journal.write("gap", kind=self._plural)
                    for item in found["items"]:
                        self._saw(item)
                    version = found["metadata"]["resourceVersion"]
                for event in self._watch(version):
                    if event["type"] == "ERROR":
                        version = ""  # too old, or of a time before a restore
                        break
                    version = event["object"]["metadata"]["resourceVersion"]
                    if event["type"] != "BOOKMARK":
                        self._saw(event["object"])
            except _RefusedError:
                version = ""
            except (OSError, http.client.HTTPException, ValueError):
                pass  # goes on from the version that it knows
            self._stopped.wait(_PAUSE_SECONDS)

    def _watch(self, version: str) -> Iterator[Json]:
        query = f"?watch=true&allowWatchBookmarks=true&resourceVersion={version}&timeoutSeconds={_WATCH_SECONDS}"
        for line in self._get(self._path + query):
            yield json.loads(line)

    def _get(self, path: str) -> http.client.HTTPResponse:
        port, token = self._target()
        connection = http.client.HTTPSConnection(HOST, port, timeout=_WATCH_SECONDS + 10, context=self._tls)
        connection.request("GET", path, headers={"Authorization": f"Bearer {token}"})
        answer = connection.getresponse()
        if answer.status != http.HTTPStatus.OK:
            raise _RefusedError(f"HTTP {answer.status}")
        return answer

    def _saw(self, item: Json) -> None:
        item["metadata"].pop("managedFields", None)
        # Heartbeats change the status of participants every second, and say nothing here.
        is_rendezvous = self._plural == names.RENDEZVOUS_PLURAL
        told = item["metadata"]["resourceVersion"] if is_rendezvous else item["spec"]
        name = item["metadata"]["name"]
        if not self._stopped.is_set() and self._written.get(name) != told:
            self._written[name] = told
            self._journal.write("object" if is_rendezvous else "participant", object=item)


class _RefusedError(Exception):
    """An answer that is none: this version cannot be watched any more."""
