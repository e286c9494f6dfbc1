"""What the operator asks the API server for."""

import asyncio
from typing import Any

import pytest
from tests.unit.cache_support import KEY, Clock, complete_cache, participant, pod, rendezvous, world

from rendezvous_api import names
from rendezvous_api.api_errors import ApiError, ForbiddenError, UnreachableError
from rendezvous_api.backoff import Backoff
from rendezvous_operator.core.world import Target
from rendezvous_operator.kube.client import MOST_SINGLE_READS, Client, Json, ObjectList
from rendezvous_operator.reconcile import reader as module
from rendezvous_operator.reconcile.reader import Reader
from rendezvous_operator.watch.cache import Cache
from rendezvous_operator.watch.seen import Shown


class _Answers(Client):
    """An API server that has these pods; the first requests fail."""

    def __init__(self, *errors: ApiError) -> None:
        self.errors = [*errors]
        self.requests: list[tuple[Any, ...]] = []
        self.pods: list[Json] = []

    def _note(self, *request: Any) -> None:
        self.requests.append(request)
        if self.errors:
            raise self.errors.pop(0)

    async def list(self, kind: str, namespace: str | None, *, labelled: bool = True) -> ObjectList:
        self._note("list", kind, namespace, labelled)
        return ObjectList(self.pods if kind == names.POD_KIND else [rendezvous()], 1000)

    async def read(self, kind: str, namespace: str, name: str) -> Json | None:
        self._note("read", kind, name)
        return next((item for item in self.pods if item["metadata"]["name"] == name), None)


def failed(error: type[ApiError]) -> ApiError:
    return error("no", "list", "pods", "ns")


def test_a_list_is_made_again_until_the_api_server_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    client, cache = _Answers(failed(UnreachableError), failed(ForbiddenError)), Cache(Clock())
    monkeypatch.setattr(module, "BACKOFF", Backoff(first=0.0, longest=0.0))
    assert asyncio.run(Reader(client, cache, "ns").list(names.RENDEZVOUS_KIND)) == {KEY}
    assert client.requests == [("list", names.RENDEZVOUS_KIND, "ns", True)] * 3


def test_a_rendezvous_that_cannot_be_read_stays_as_it_is_known() -> None:
    cache = complete_cache(Clock())
    reader = Reader(_Answers(failed(UnreachableError)), cache, "ns")
    assert asyncio.run(reader.rendezvous(KEY)) == set()
    assert world(cache).rendezvous.metadata.uid == "r-1"


@pytest.mark.parametrize("count", [MOST_SINGLE_READS, MOST_SINGLE_READS + 1])
def test_many_objects_are_read_in_one_list_with_those_that_have_no_label(count: int) -> None:
    cache, client = complete_cache(Clock()), _Answers()
    targets = []
    for number in range(count):
        client.pods.append(pod(f"p-{number}", label=None, version=500))
        name = client.pods[-1]["metadata"]["name"]
        agent = participant(f"train.a{number}", podName=name, podUID=f"p-{number}")
        cache.take(Shown(names.PARTICIPANT_KIND, agent))
        targets.append(Target(names.POD_KIND, name, f"p-{number}"))
    asyncio.run(Reader(client, cache, "ns").evidence(KEY, targets))
    assert len(world(cache).pods) == count
    if count > MOST_SINGLE_READS:
        assert client.requests == [("list", names.POD_KIND, "ns", False)]
    else:
        assert {request[0] for request in client.requests} == {"read"}
