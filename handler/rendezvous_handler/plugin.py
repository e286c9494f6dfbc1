"""Entry points of the group ``torchrun.handlers``: how torchrun finds both back ends.

torch loads this module while it imports ``torch.distributed.elastic.rendezvous``
(torch/distributed/elastic/rendezvous/registry.py, ``_register_out_of_tree_handlers``), in every process that imports
it. So nothing here may import torch at its top (it is half initialised then), nor the rest of the handler: most of
these processes do not need it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch.distributed.elastic.rendezvous import RendezvousHandler, RendezvousParameters


def get_creator() -> Callable[[RendezvousParameters], RendezvousHandler]:
    """Return the creator of handlers; always the same function, since torch refuses to register an unequal one."""
    return create_handler


def get_dynamic_creator() -> Callable[[RendezvousParameters], RendezvousHandler]:
    """The same for ``--rdzv-backend=kubernetes-dynamic``."""
    return create_dynamic_handler


def create_handler(params: RendezvousParameters) -> RendezvousHandler:
    """Create the handler of one torchrun agent. It begins to watch in the background and waits for no answer yet.

    Args:
        params: what torchrun collected from ``--rdzv-endpoint``, ``--rdzv-id``, ``--nnodes``, ``--rdzv-conf`` and
            ``--local-addr``.

    Raises:
        ValueError: ``--rdzv-endpoint`` is no legal name, or a value of ``--rdzv-conf`` is wrong.
        torch.distributed.elastic.rendezvous.RendezvousConnectionError: there is no configuration for the Kubernetes
            API: neither a service account in a pod nor a kubeconfig.
    """
    from rendezvous_handler.torchrun.handler import KubernetesRendezvousHandler

    _begin()
    return KubernetesRendezvousHandler.from_parameters(params)


def create_dynamic_handler(params: RendezvousParameters) -> RendezvousHandler:
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
    from rendezvous_handler.operatorless import backend

    _begin()
    return backend.create_handler(params)


def _begin() -> None:
    """Show the messages of this package, and say which handler this is, where there are several."""
    from torch.distributed.elastic.multiprocessing import SignalException

    from rendezvous_handler.folder import log_origin
    from rendezvous_handler.logs import show_messages

    show_messages(interrupt=SignalException)
    log_origin()
