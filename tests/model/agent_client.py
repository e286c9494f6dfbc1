"""The requests of an agent of the model: each is carried out, refused, gets no answer, or loses its answer."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, TypeVar

from tests.model.api_server import Json

from rendezvous_api import names
from rendezvous_api.api_errors import (
    AlreadyExistsError,
    ApiError,
    ExpiredError,
    InvalidError,
    NotFoundError,
    UnauthorizedError,
    UnreachableError,
)
from rendezvous_handler.kube.client import WatchEvent
from rendezvous_handler.kube.contact import Contact

if TYPE_CHECKING:
    from tests.model.agent import Agent

T = TypeVar("T")

KIND = names.PARTICIPANT_KIND


class _Stream:
    """A watch that shows one event."""

    def __init__(self, events: list[WatchEvent]) -> None:
        self._events = events

    def __iter__(self) -> Iterator[WatchEvent]:
        return iter(self._events)

    def close(self) -> None:
        """There is nothing to close."""


class AgentClient:
    """In the place of the handler's client."""

    url = "https://model"

    def __init__(self, agent: Agent) -> None:
        self._agent = agent
        self.contact = Contact(agent.now)
        self.loses_next_answer = False

    def list_rendezvous(self, _: str, name: str, __: float) -> tuple[Json | None, str]:
        server = self._agent.server
        found: Json | None = self._read(lambda: server.find(names.RENDEZVOUS_KIND, name))
        return found, str(server.version)

    def watch_rendezvous(self, _: str, __: str, resource_version: str, ___: int) -> _Stream:
        def carry_out() -> _Stream:
            server, version = self._agent.server, int(resource_version)
            if version < server.compacted:
                raise ExpiredError("too old", "watch", names.RENDEZVOUS_PLURAL, "ns")
            change = server.after(names.RENDEZVOUS_KIND, version)
            return _Stream([WatchEvent(change.type, change.item)] if change is not None else [])

        return self._read(carry_out, carry_on=True)

    def create_participant(self, _: str, body: Json, __: float) -> Json:
        metadata = body["metadata"]

        def carry_out() -> Json:
            if self._agent.server.find(KIND, metadata["name"]) is not None:
                raise AlreadyExistsError("it exists", "create", names.PARTICIPANT_PLURAL, "ns")
            owners = {"ownerReferences": metadata["ownerReferences"]}
            content = {"spec": self._of_release(body["spec"]), "status": {}}
            created = self._agent.server.create(KIND, metadata["name"], content, **owners)
            self._agent.beats.append(self._agent.now())
            return created

        return self._write(carry_out)

    def get_participant(self, _: str, name: str, __: float) -> Json:
        return self._write(lambda: self._found(name, "get"))

    def patch_participant(self, _: str, name: str, patch: Any, __: float) -> Json:
        return self._write(lambda: self._patched(name, patch))

    def patch_participant_status(self, _: str, name: str, patch: Any, __: float) -> Json:
        return self._write(lambda: self._patched(name, patch))

    def delete_participant(self, _: str, name: str, uid: str, __: float) -> None:
        def carry_out() -> None:
            if self._found(name, "delete")["metadata"]["uid"] == uid:
                self._agent.server.delete(KIND, name)

        self._write(carry_out)

    def _patched(self, name: str, patch: list[Json]) -> Json:
        found, now = self._found(name, "patch"), self._agent.now()
        content: Json = {}
        for operation in patch:
            path, value = operation["path"].split("/")[1:], operation["value"]
            if operation["op"] != "test":
                content[path[0]] = value
            elif found[path[0]].get(path[1]) != value:
                raise InvalidError("a test failed", "patch", names.PARTICIPANT_PLURAL, "ns")
        if "status" in content:
            content["status"] = {**content["status"], "heartbeatTime": f"at {now}"}
            self._agent.heartbeats.note(content["status"])
        if "spec" in content:
            content["spec"] = self._of_release(content["spec"])
        changed = self._agent.server.change(KIND, name, **content)
        self._agent.beats.append(now)
        return changed

    def _of_release(self, spec: Json) -> Json:
        """What an agent of that release writes instead."""
        if self._agent.release == "newer":
            return {**spec, "attemptReason": "Elastic", "topology": {"block": "b1"}}
        if self._agent.release == "unreadable":
            return {**spec, "storePort": {"ports": [1, 2]}}
        return spec

    def _found(self, name: str, verb: str) -> Json:
        found = self._agent.server.find(KIND, name)
        if found is None:
            error = NotFoundError("it does not exist", verb, names.PARTICIPANT_PLURAL, "ns")
            error.name = name
            raise error
        return found

    def _read(self, carry_out: Callable[[], T], *, carry_on: bool = False) -> T:
        return self._answer(carry_out, reached=self._agent.reads, carry_on=carry_on)

    def _write(self, carry_out: Callable[[], T]) -> T:
        lost, self.loses_next_answer = self.loses_next_answer, False
        return self._answer(carry_out, reached=self._agent.writes, lost=lost)

    def _answer(self, carry_out: Callable[[], T], *, reached: bool, lost: bool = False, carry_on: bool = False) -> T:
        if self._agent.pod_is_gone and not carry_on:
            self.contact.answered()
            raise UnauthorizedError("the token is of another pod", "any", "any", "ns")
        if reached:
            try:
                answer = carry_out()
            except ApiError:
                self.contact.answered()
                raise
            if not lost:
                self.contact.answered()
                return answer
        self.contact.failed("no answer")
        raise UnreachableError("HTTP 0: no answer", "any", "any", "ns")
