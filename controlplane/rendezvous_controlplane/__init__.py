"""A Kubernetes control plane on this machine, for tests, demos and benchmarks: a real etcd and kube-apiserver."""

from .binaries import Binaries, ensure_binaries, ensure_kubectl
from .build import KUBERNETES_VERSION
from .errors import BinariesError, ControlPlaneError
from .local import LocalControlPlane
from .report import Report

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
