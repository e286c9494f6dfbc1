"""Which TrainJob owns a JobSet: what is read, how often, and what counts when it cannot be read."""

import asyncio
import logging

import pytest
from tests.unit.cache_support import KEY
from tests.unit.one_answer import OneAnswer

from rendezvous_api.api_errors import (
    ApiError,
    ForbiddenError,
    NotFoundError,
    UnauthorizedError,
    UnreachableError,
)
from rendezvous_operator.core.train_jobs import TrainJob
from rendezvous_operator.kube.client import Json
from rendezvous_operator.reconcile.train_jobs import PATIENCE_SECONDS, TrainJobs

OWNER = {
    "apiVersion": "trainer.kubeflow.org/v1alpha1",
    "kind": "TrainJob",
    "name": "digits",
    "uid": "trainjob-1",
    "controller": True,
}


def jobset(uid: str = "jobset-1", *owners: Json) -> Json:
    return {"metadata": {"name": "digits", "uid": uid, "ownerReferences": list(owners)}}


def failed(error: type[ApiError]) -> ApiError:
    return error("no", "get", "jobsets", "ns")


class Place:
    def __init__(self, answer: Json | Exception) -> None:
        self.client = OneAnswer(answer)
        self.now = 100.0
        self.train_jobs = TrainJobs(self.client, lambda: self.now)

    def read(self) -> TrainJob | None:
        asyncio.run(self.train_jobs.read(KEY, {"jobset-1": "digits"}))
        return self.train_jobs.of(KEY)["jobset-1"]


def test_the_owner_is_the_trainjob_that_controls_the_jobset() -> None:
    place = Place(jobset("jobset-1", {**OWNER, "kind": "Other", "uid": "other"}, OWNER))
    assert place.read() == TrainJob("trainjob-1", "digits")
    assert place.client.paths == [f"GET /apis/jobset.x-k8s.io/v1alpha2/namespaces/{KEY.namespace}/jobsets/digits"]
    place.train_jobs.forget(KEY)
    assert place.train_jobs.of(KEY) == {}


@pytest.mark.parametrize(
    "owners",
    [
        [],
        [{**OWNER, "controller": False}],
        [{**OWNER, "kind": "Job"}],
        [{**OWNER, "apiVersion": "trainer.example.com/v1alpha1"}],
    ],
)
def test_a_jobset_of_nobody_else_is_its_own(owners: list[Json], caplog: pytest.LogCaptureFixture) -> None:
    assert Place(jobset("jobset-1", *owners)).read() is None
    assert caplog.messages == []


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (failed(ForbiddenError), "cannot get jobsets in namespace ns: no"),
        (failed(NotFoundError), "cannot get jobsets in namespace ns: no"),
        (jobset("jobset-2", OWNER), "JobSet digits has another UID now"),
    ],
)
def test_what_cannot_be_known_is_said_and_the_jobset_counts(
    answer: Json | Exception, said: str, caplog: pytest.LogCaptureFixture
) -> None:
    assert Place(answer).read() is None
    message = f"{KEY}: runs of JobSet digits are named by its UID, since what owns it is not known: {said}"
    assert caplog.record_tuples == [("rendezvous_operator.reconcile.train_jobs", logging.WARNING, message)]


@pytest.mark.parametrize("error", [UnreachableError, UnauthorizedError])
def test_an_answer_is_waited_for_and_not_for_ever(error: type[ApiError], caplog: pytest.LogCaptureFixture) -> None:
    place = Place(failed(error))
    for place.now in (100.0, 100.0 + PATIENCE_SECONDS - 1):
        with pytest.raises(error):
            place.read()
    assert place.train_jobs.of(KEY) == {}
    assert caplog.messages == []
    place.now = 100.0 + PATIENCE_SECONDS
    assert place.read() is None
    assert len(caplog.messages) == 1


def test_an_answer_that_comes_later_counts() -> None:
    place = Place(failed(UnreachableError))
    with pytest.raises(UnreachableError):
        place.read()
    place.client.answer = jobset("jobset-1", OWNER)
    assert place.read() == TrainJob("trainjob-1", "digits")
