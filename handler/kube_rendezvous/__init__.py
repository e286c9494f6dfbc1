"""torchrun's rendezvous through the Kubernetes API: what programs import of it.

Most users import nothing: torchrun finds the back ends by their names, ``--rdzv-backend=kubernetes`` and
``--rdzv-backend=kubernetes-dynamic``. This module and `kube_rendezvous.worker` are covered by semantic versioning. The
packages ``rendezvous_api`` and ``rendezvous_handler`` are private.

Nothing but the standard library is loaded until a name is used: importing this package is cheap, also for workers.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rendezvous_handler.kube.client import Client
    from rendezvous_handler.kube.kubeconfig import connect
    from rendezvous_handler.operatorless.backend import KubernetesRendezvousBackend, create_backend
    from rendezvous_handler.operatorless.store import KubernetesStore
    from rendezvous_handler.plugin import create_dynamic_handler, create_handler
    from rendezvous_handler.torchrun.handler import KubernetesRendezvousHandler

__all__ = [
    "Client",
    "KubernetesRendezvousBackend",
    "KubernetesRendezvousHandler",
    "KubernetesStore",
    "__version__",
    "connect",
    "create_backend",
    "create_dynamic_handler",
    "create_handler",
]

_WHERE = {
    "Client": "rendezvous_handler.kube.client",
    "KubernetesRendezvousBackend": "rendezvous_handler.operatorless.backend",
    "KubernetesRendezvousHandler": "rendezvous_handler.torchrun.handler",
    "KubernetesStore": "rendezvous_handler.operatorless.store",
    "connect": "rendezvous_handler.kube.kubeconfig",
    "create_backend": "rendezvous_handler.operatorless.backend",
    "create_dynamic_handler": "rendezvous_handler.plugin",
    "create_handler": "rendezvous_handler.plugin",
}


def __getattr__(name: str) -> Any:  # PEP 562
    if name == "__version__":
        from importlib.metadata import version  # it takes longer to load than all else here

        return version("kube-rendezvous")
    if name in _WHERE:
        return getattr(import_module(_WHERE[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
