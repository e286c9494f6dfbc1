"""Errors of a join as torch knows them."""

import re

import pytest
from torch.distributed.elastic import rendezvous

from rendezvous_api.api_errors import ApiError, ConflictError, ForbiddenError, NotFoundError, UnauthorizedError
from rendezvous_handler.join import errors
from rendezvous_handler.kube.errors import UnreadableError, advise, may_pass
from rendezvous_handler.torchrun.errors import torch_error, torch_read_error


def kinds_of(error: type[Exception]) -> list[type[Exception]]:
    return [error, *(kind for child in error.__subclasses__() for kind in kinds_of(child))]


@pytest.mark.parametrize("kind", kinds_of(errors.JoinError)[1:])
def test_each_error_of_a_join_has_its_own_error_of_torch(kind: type[errors.JoinError]) -> None:
    expected = {
        errors.ClosedError: rendezvous.RendezvousClosedError,
        errors.ConnectError: rendezvous.RendezvousConnectionError,
        errors.StateError: rendezvous.RendezvousStateError,
        errors.TimedOutError: rendezvous.RendezvousTimeoutError,
        errors.SucceededError: rendezvous.RendezvousGracefulExitError,
        errors.UnhealthyError: rendezvous.RendezvousError,
    }
    found = torch_error(kind("why"))
    assert type(found) is expected[kind]
    assert str(found) == "why"


def test_what_cannot_be_read_is_a_state_error_only_if_it_was_received() -> None:
    where = ("no", "list", "rendezvous", "team")
    assert type(torch_read_error(UnreadableError(*where))) is rendezvous.RendezvousStateError
    refused = torch_read_error(ForbiddenError(*where))
    assert type(refused) is rendezvous.RendezvousConnectionError


@pytest.mark.parametrize(
    ("message", "role"),
    [
        ('User "system:serviceaccount:team:a" cannot create resource "rendezvous" in API group "rdzv.dev"', True),
        ("exceeded quota: objects, requested: count/rendezvous.rdzv.dev=1, used: 0, limited: 0", False),
        ('admission webhook "policy.example.com" denied the request: images must be signed', False),
        ("ValidatingAdmissionPolicy 'x' with binding 'x' denied request: a pod writes its own participant", False),
    ],
)
def test_only_a_missing_right_is_explained_by_a_missing_role(message: str, role: bool) -> None:
    error = ForbiddenError(f'rendezvous.rdzv.dev "train" is forbidden: {message}', "create", "rendezvous", "team")
    assert ("needs the Role of an agent" in advise(error)) is role
    assert message in advise(error)
    assert may_pass(error)


def not_found(kind: str, name: str) -> NotFoundError:
    error = NotFoundError("not found", "create", "rendezvousparticipants/status", "team")
    error.kind, error.name = kind, name
    return error


@pytest.mark.parametrize(
    ("error", "passes", "advice"),
    [
        (not_found("", ""), True, r"rendezvousparticipants\.rdzv\.dev is not installed\. Install the CRDs"),
        (not_found("namespaces", "team"), True, r"not found\. Create the namespace"),
        (not_found("rendezvousparticipants", "train.a"), False, "not found$"),
        (UnauthorizedError("no", "get", "rendezvous", "team"), True, "expired or revoked token"),
        (ForbiddenError("it cannot get resource", "get", "configmaps", ""), True, "needs the Role of an agent without"),
        (ForbiddenError("it cannot get resource", "get", "rendezvous", ""), True, "needs the Role of an agent, "),
        (ConflictError("changed", "patch", "rendezvous", "team"), False, "changed$"),
    ],
)
def test_what_may_pass_is_waited_for_and_explained(error: ApiError, passes: bool, advice: str) -> None:
    assert may_pass(error) is passes
    assert re.search(advice, advise(error))


def test_no_error_does_not_pass() -> None:
    assert not may_pass(None)
