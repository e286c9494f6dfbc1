"""Errors of a join, and of the Kubernetes API, as the errors that torch knows."""

from __future__ import annotations

import logging
from typing import NoReturn

from torch.distributed.elastic.rendezvous import (
    RendezvousClosedError,
    RendezvousConnectionError,
    RendezvousError,
    RendezvousGracefulExitError,
    RendezvousStateError,
    RendezvousTimeoutError,
)

from rendezvous_api.api_errors import ApiError
from rendezvous_handler.join.errors import (
    ClosedError,
    ConnectError,
    JoinError,
    StateError,
    SucceededError,
    TimedOutError,
)
from rendezvous_handler.join.find import read_error
from rendezvous_handler.torchrun.launcher import under_run

_logger = logging.getLogger(__name__)

_TORCH: dict[type[JoinError], type[Exception]] = {
    ClosedError: RendezvousClosedError,
    ConnectError: RendezvousConnectionError,
    StateError: RendezvousStateError,
    TimedOutError: RendezvousTimeoutError,
    SucceededError: RendezvousGracefulExitError,
}


def end_agent(error: JoinError) -> NoReturn:
    """End the agent by the error of torch that means the same, or with an exit code that torch does not have.

    torch knows the exit code 1 alone: also of RendezvousGracefulExitError, since up to 2.15 its launcher fails over the
    missing result (torch/distributed/launcher/api.py, ``launch_agent``: AttributeError). So where a launcher on the
    command line has started this agent, other codes are SystemExit. A program that calls ``elastic_launch`` itself must
    not be ended by a library: it gets torch's error.
    """
    problem, code = torch_error(error), error.exit_code
    if code == 0:
        _logger.warning("this node ends without having trained: %s", error)
    if code == 1 or not under_run():
        raise problem from None
    if code:
        _logger.error("this node ends with exit code %d: %s: %s", code, type(problem).__name__, error)
    raise SystemExit(code) from None


def torch_error(error: JoinError) -> Exception:
    """The error of torch that means the same."""
    kind: type[Exception] = _TORCH.get(type(error), RendezvousError)
    return kind(str(error))


def torch_read_error(error: ApiError) -> Exception:
    """The error of torch for a Rendezvous that cannot be read; see `read_error`."""
    return torch_error(read_error(error))
