"""Entry point of the group ``torchrun.handlers`` for ``--rdzv-backend=kubernetes-dynamic``.

For what may be imported here, and why, see `rendezvous_handler.plugin`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch.distributed.elastic.rendezvous import RendezvousHandler, RendezvousParameters


def get_creator() -> Callable[[RendezvousParameters], RendezvousHandler]:
    """Return the creator of handlers; always the same function, since torch refuses to register an unequal one."""
    return create_handler


def create_handler(params: RendezvousParameters) -> RendezvousHandler:
    """Create the handler of one torchrun agent: torch's own, over a ConfigMap.

    Args:
        params: what torchrun collected from ``--rdzv-endpoint``, ``--rdzv-id``, ``--nnodes``, ``--rdzv-conf`` and
            ``--local-addr``.

    Raises:
        ValueError: a value is wrong; the message names it.
        torch.distributed.elastic.rendezvous.RendezvousConnectionError: there is no configuration for the Kubernetes
            API, or the API server does not answer or refuses.
        torch.distributed.elastic.rendezvous.RendezvousStateError: the ConfigMap holds something else than a state.
    """
    from rendezvous_handler import dynamic_backend
    from rendezvous_handler.logs import show_messages

    show_messages()
    return dynamic_backend.create_handler(params)
