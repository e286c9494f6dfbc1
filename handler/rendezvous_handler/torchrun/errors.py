"""Errors of a join, and of the Kubernetes API, as the errors that torch knows."""

from __future__ import annotations

from torch.distributed.elastic.rendezvous import (
    RendezvousClosedError,
    RendezvousConnectionError,
    RendezvousError,
    RendezvousStateError,
    RendezvousTimeoutError,
)

from rendezvous_api.api_errors import ApiError
from rendezvous_handler.join.errors import (
    ClosedError,
    ConnectError,
    JoinError,
    StateError,
    TimedOutError,
)
from rendezvous_handler.join.find import read_error

_TORCH: dict[type[JoinError], type[Exception]] = {
    ClosedError: RendezvousClosedError,
    ConnectError: RendezvousConnectionError,
    StateError: RendezvousStateError,
    TimedOutError: RendezvousTimeoutError,
}


def torch_error(error: JoinError) -> Exception:
    """The error of torch that means the same; for `SucceededError` see `compat.exit_without_training`."""
    kind: type[Exception] = _TORCH.get(type(error), RendezvousError)
    return kind(str(error))


def torch_read_error(error: ApiError) -> Exception:
    """The error of torch for a Rendezvous that cannot be read; see `read_error`."""
    return torch_error(read_error(error))
