"""The agent's own object: who writes it, when, and what becomes of it if others do."""

import copy
import time
from dataclasses import replace
from typing import Any

import pytest

from rendezvous_api.api_errors import AlreadyExistsError, InvalidError, NotFoundError, UnreachableError
from rendezvous_api.participant import ParticipantSpec
from rendezvous_api.reasons import AttemptReason, LeaveReason, ParticipantState
from rendezvous_handler.agent.participant import NameTakenError, OwnParticipant
from rendezvous_handler.kube.client import Client, JsonPatch

NAME = "train.a"
Json = dict[str, Any]


class Server(Client):
    """An API server that has one object, or none."""

    def __init__(self) -> None:
        self.item: Json | None = None
        self.objects = 0
        self.writes = 0
        """How many were asked for."""
        self.answers = True
        """If not, the next write is carried out without one."""
        self.has_crd = True

    @property
    def spec(self) -> Json:
        assert self.item is not None
        spec: Json = self.item["spec"]
        return spec

    def create_participant(self, namespace: str, body: Json, timeout: float) -> Json:
        self.writes += 1
        if self.item is not None:
            raise AlreadyExistsError("exists", "create", "participants", namespace)
        self.objects += 1
        metadata = {"uid": f"uid-{self.objects}", "creationTimestamp": f"2030-01-01T00:00:0{self.objects}Z"}
        self.item = {**copy.deepcopy(body), "metadata": {**body["metadata"], **metadata, "generation": 1}}
        return self._answer()

    def get_participant(self, namespace: str, name: str, timeout: float) -> Json:
        return copy.deepcopy(self._found("get"))

    def patch_participant(self, namespace: str, name: str, patch: JsonPatch, timeout: float) -> Json:
        self.writes += 1
        item = copy.deepcopy(self._found("patch"))
        for operation in patch:
            *parents, last = operation["path"].strip("/").split("/")
            place = item
            for parent in parents:
                place = place[parent]
            if operation["op"] != "test":
                place[last] = operation["value"]
            elif place.get(last) != operation["value"]:
                raise InvalidError("a test failed", "patch", "participants", namespace)
        item["metadata"]["generation"] += 1
        self.item = item
        return self._answer()

    patch_participant_status = patch_participant

    def delete_participant(self, namespace: str, name: str, uid: str, timeout: float) -> None:
        self.item = None

    def _found(self, verb: str) -> Json:
        if self.item is None:
            missing = NotFoundError("no", verb, "participants", "team")
            missing.name = NAME if self.has_crd else ""
            raise missing
        return self.item

    def _answer(self) -> Json:
        if not self.answers:
            self.answers = True
            raise UnreachableError("lost", "patch", "participants", "team")
        return copy.deepcopy(self._found("get"))


def spec(incarnation: str = "first", **changes: Any) -> ParticipantSpec:
    asks = ParticipantSpec(
        "train", "r-1", "a", incarnation, 1, AttemptReason.START, "192.0.2.1", 29500, ParticipantState.JOINED
    )
    return replace(asks, **changes)


def agent(server: Server) -> OwnParticipant:
    return OwnParticipant(server, "team", NAME, owned_by_pod=False, timeout=1.0)


def joined(server: Server, incarnation: str = "first", **changes: Any) -> OwnParticipant:
    made = agent(server)
    made.join(spec(incarnation, **changes))
    return made


def test_the_next_agent_of_a_name_takes_it_and_the_one_before_leaves_it_alone() -> None:
    server = Server()
    before, after = joined(server), joined(server, "second")
    assert after.took_over
    before.beat()
    assert before.taken is not None
    assert server.spec["incarnation"] == "second"
    assert "status" not in (server.item or {}), "nothing was written for the one before"
    with pytest.raises(NameTakenError, match="incarnation second"):
        before.join(spec(attempt=2))


def test_who_finds_its_object_deleted_does_not_take_the_name_from_another_agent() -> None:
    server = Server()
    before = joined(server)
    server.item = None
    before.beat()
    assert (before.gone, before.taken) == (True, None)
    joined(server, "second")
    with pytest.raises(NameTakenError):
        before.join(spec(attempt=2))
    assert server.spec["incarnation"] == "second"


def test_an_object_that_was_made_again_with_the_same_content_is_another_one() -> None:
    """A person has replaced it. The operator takes it for a new agent, so this one has to join again."""
    server = Server()
    own = joined(server)
    item = server.item
    assert item is not None
    server.item = {**item, "metadata": {**item["metadata"], "uid": "another"}}
    own.beat()
    assert own.gone
    assert "status" not in server.item


def test_a_heartbeat_has_one_time_limit_for_all_its_requests() -> None:
    """The next one is due, and meanwhile the agent makes no other request."""

    class Slow(Server):
        """Refuses each heartbeat, late."""

        def patch_participant_status(self, namespace: str, name: str, patch: JsonPatch, timeout: float) -> Json:
            limits.append(timeout)
            time.sleep(0.2)
            raise InvalidError("a test failed", "patch", "participants", namespace)

        def get_participant(self, namespace: str, name: str, timeout: float) -> Json:
            limits.append(timeout)
            return super().get_participant(namespace, name, timeout)

    limits: list[float] = []
    own = joined(Slow())
    own.timeout, own.beat_timeout = 30.0, 0.5
    with pytest.raises(InvalidError):
        own.beat()
    first, second = limits
    assert first == 0.5
    assert second <= 0.3


@pytest.mark.parametrize("why", ["is lost", "has left"])
def test_who_is_lost_or_has_left_sends_no_heartbeat(why: str) -> None:
    server = Server()
    own = joined(server)
    own.beat()
    if why == "is lost":
        server.item = None
        own.beat()
        assert own.lost
    else:
        own.leave(LeaveReason.SUCCEEDED)
    writes = server.writes
    own.beat()
    assert server.writes == writes


def test_an_agent_leaves_once() -> None:
    server = Server()
    own = joined(server)
    own.leave(LeaveReason.FAILED)
    own.leave(LeaveReason.SUCCEEDED)
    assert (server.spec["state"], server.spec["leaveReason"]) == ("Left", "Failed")


def test_an_api_server_without_the_crd_says_nothing_about_the_object() -> None:
    server = Server()
    own = joined(server)
    item, server.item, server.has_crd = server.item, None, False
    with pytest.raises(NotFoundError):
        own.beat()
    assert not own.lost, "or the training would end"
    server.item = item
    own.beat()


def test_who_got_no_answer_to_its_first_join_can_leave() -> None:
    server = Server()
    own, server.answers = agent(server), False
    with pytest.raises(UnreachableError):
        own.join(spec())
    own.leave(LeaveReason.TIMED_OUT)
    assert (server.spec["state"], server.spec["leaveReason"]) == ("Left", "TimedOut")


@pytest.mark.parametrize(
    ("ended", "life", "launch"),
    [
        pytest.param(LeaveReason.SUCCEEDED, "this life", 1, id="one that ended well"),
        pytest.param(LeaveReason.FAILED, "this life", 0, id="none that failed"),
        pytest.param(LeaveReason.SUCCEEDED, "another life", 0, id="none before the container started"),
    ],
)
def test_an_agent_counts_the_launches_of_its_life_that_have_ended_well(
    ended: LeaveReason, life: str, launch: int
) -> None:
    server = Server()
    joined(server, "first", life=life).leave(ended)
    joined(server, "second", life="this life")
    assert server.spec["launch"] == launch


def test_a_join_without_an_answer_that_is_repeated_counts_no_launch_twice() -> None:
    server = Server()
    joined(server, "first", life="this life").leave(LeaveReason.SUCCEEDED)
    own, server.answers = agent(server), False
    with pytest.raises(UnreachableError):
        own.join(spec("second", life="this life"))
    own.join(spec("second", life="this life"))
    assert server.spec["launch"] == 1
