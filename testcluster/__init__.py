"""A whole Kubernetes on one Linux machine, for tests: a control plane and two nodes that run pods."""

from .cluster import Cluster
from .host_image import HOST_IMAGE, host_volume_mounts, host_volumes
from .layout import ClusterError
from .programs import ensure_helm

__all__ = ["HOST_IMAGE", "Cluster", "ClusterError", "ensure_helm", "host_volume_mounts", "host_volumes"]
