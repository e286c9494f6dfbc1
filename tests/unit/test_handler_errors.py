"""Errors of a join as torch knows them."""

import pytest
from torch.distributed.elastic import rendezvous

from rendezvous_api.api_errors import ForbiddenError
from rendezvous_handler.join import errors
from rendezvous_handler.kube.errors import UnreadableError
from rendezvous_handler.torchrun.errors import torch_error, torch_read_error


def kinds_of(error: type[Exception]) -> list[type[Exception]]:
    return [error, *(kind for child in error.__subclasses__() for kind in kinds_of(child))]


@pytest.mark.parametrize("kind", [kind for kind in kinds_of(errors.JoinError)[1:] if kind is not errors.SucceededError])
def test_each_error_of_a_join_has_its_own_error_of_torch(kind: type[errors.JoinError]) -> None:
    expected = {
        errors.ClosedError: rendezvous.RendezvousClosedError,
        errors.ConnectError: rendezvous.RendezvousConnectionError,
        errors.StateError: rendezvous.RendezvousStateError,
        errors.TimedOutError: rendezvous.RendezvousTimeoutError,
    }
    found = torch_error(kind("why"))
    assert type(found) is expected[kind]
    assert str(found) == "why"


def test_what_cannot_be_read_is_a_state_error_only_if_it_was_received() -> None:
    where = ("no", "list", "rendezvous", "team")
    assert type(torch_read_error(UnreadableError(*where))) is rendezvous.RendezvousStateError
    refused = torch_read_error(ForbiddenError(*where))
    assert type(refused) is rendezvous.RendezvousConnectionError
    assert "The agent's service account needs the Role of an agent" in str(refused)
