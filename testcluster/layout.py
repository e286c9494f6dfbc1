"""Names, addresses and folders of the test cluster."""

from pathlib import Path

from rendezvous_controlplane import ControlPlaneError
from rendezvous_controlplane.cache import cache_dir

CONTROL = "control"
NODES = ("node-a", "node-b")

# 198.18.0.0/15 is set aside for tests of networks (RFC 2544), so it is nobody's own network.
NETWORK_BITS = 24
CONTROL_ADDRESS = "198.18.0.1"
HOST_ADDRESS = "198.18.0.254"
NODE_ADDRESSES = {"node-a": "198.18.0.11", "node-b": "198.18.0.12"}
POD_SUBNETS = {"node-a": "198.18.129.0/24", "node-b": "198.18.130.0/24"}
POD_NETWORK = "198.18.128.0/17"
SERVICE_NETWORK = "10.96.0.0/16"
API_SERVICE_ADDRESS = "10.96.0.1"
API_PORT = 6443
API_URL = f"https://{CONTROL_ADDRESS}:{API_PORT}"

# How soon a node that says nothing is NotReady. Kubernetes' own value is 50 s, with a lease renewed every 10 s.
NODE_GRACE_SECONDS = 20
NODE_LEASE_SECONDS = 20  # the kubelet renews it every quarter of this


class ClusterError(ControlPlaneError):
    """The test cluster, or a command run against it, failed; the message says what was seen."""


def state_dir() -> Path:
    """All that a cluster writes: data, keys, logs, images, the nodes' disks. `down` removes it."""
    return cache_dir() / "cluster"


def lock_file() -> Path:
    """Held by `up` and `down` while they work. It stays: somebody may be waiting for it when `down` ends."""
    return cache_dir() / "cluster.lock"


def kubeconfig() -> Path:
    """The administrator's kubeconfig."""
    return state_dir() / "admin.kubeconfig"


def log_file(machine: str, program: str) -> Path:
    """What a program of a machine has written."""
    return state_dir() / "logs" / machine / f"{program}.log"


def log_tail(machine: str, program: str, lines: int = 15) -> str:
    """The last lines of such a log, each indented and cut at 300 characters."""
    path = log_file(machine, program)
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        return f"  (no log: {error})"
    tail = "\n".join(f"  {line[:300]}" for line in text.splitlines()[-lines:])
    return f"the end of {path}:\n{tail}"
