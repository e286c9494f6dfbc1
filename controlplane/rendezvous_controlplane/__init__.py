"""A Kubernetes control plane on this machine, for tests, demos and benchmarks: a real etcd and kube-apiserver."""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .binaries import Binaries, ensure_binaries, ensure_kubectl
    from .build import KUBERNETES_VERSION
    from .errors import BinariesError, ControlPlaneError
    from .local import LocalControlPlane
    from .progress_report import Report

__all__ = [
    "KUBERNETES_VERSION",
    "Binaries",
    "BinariesError",
    "ControlPlaneError",
    "LocalControlPlane",
    "Report",
    "ensure_binaries",
    "ensure_kubectl",
]

_MODULES = {
    "KUBERNETES_VERSION": "build",
    "Binaries": "binaries",
    "BinariesError": "errors",
    "ControlPlaneError": "errors",
    "LocalControlPlane": "local",
    "Report": "progress_report",
    "ensure_binaries": "binaries",
    "ensure_kubectl": "binaries",
}


# The modules are imported at their first use: pytest imports this package for every project in the environment.
def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_MODULES[name]}"), name)
