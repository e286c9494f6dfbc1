"""The launchers that are torchrun: with this rendezvous, and with torch's own."""

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from benchmarks.cluster import NAMESPACE, Cluster, running_cluster
from benchmarks.recovery.launcher import (
    BRIEF_SECONDS,
    FIRST,
    MAX_NODES,
    MAX_RESTARTS,
    MIN_NODES,
    SIZE,
    WORKER,
    AtPort,
    Command,
    Launcher,
    store_option,
)

from rendezvous_api import names

_COLLECTION = f"/apis/{names.API_VERSION}/namespaces/{NAMESPACE}"


class Ours(Launcher):
    """This rendezvous, with the defaults of a Rendezvous."""

    name = "kubernetes"
    packages = ("torch", "kube-rendezvous")
    timeouts: Mapping[str, int] = {}
    """Those of the spec that are no defaults."""

    def __init__(self) -> None:
        self._cluster: Cluster | None = None
        self._rendezvous = ""
        self._number = 0

    @property
    def cluster(self) -> Cluster:
        """The one that `servers` has started."""
        assert self._cluster is not None
        return self._cluster

    @contextlib.contextmanager
    def servers(self) -> Iterator[None]:
        """See base class."""
        with running_cluster() as self._cluster:
            yield

    def open(self, folder: Path, group: str, members: int) -> None:
        """See base class."""
        self._number += 1
        self._rendezvous = f"recovery-{self._number}"
        kind = {"apiVersion": names.API_VERSION, "kind": names.RENDEZVOUS_KIND}
        body = {
            **kind,
            "metadata": {"name": self._rendezvous},
            "spec": {"minNodes": MIN_NODES, "maxNodes": MAX_NODES, "timeouts": self.timeouts},
        }
        self.cluster.request("POST", f"{_COLLECTION}/{names.RENDEZVOUS_PLURAL}", body)

    def command(self, node: str, folder: Path) -> Command:
        """See base class."""
        return self._torchrun(folder, f"--rdzv-conf=node_id={node}"), {"KUBECONFIG": str(self.cluster.kubeconfig)}

    def _torchrun(self, folder: Path, *options: str) -> Sequence[str]:
        endpoint = f"--rdzv-endpoint={NAMESPACE}/{self._rendezvous}"
        return [
            *_torchrun(self.python, "kubernetes"), "--rdzv-id=run-1", endpoint, *options, WORKER, str(folder),
        ]  # fmt: skip

    def close(self) -> None:
        """See base class."""
        for plural in (names.RENDEZVOUS_PLURAL, names.PARTICIPANT_PLURAL):
            self.cluster.request("DELETE", f"{_COLLECTION}/{plural}")


class OursBrief(Ours):
    """The same where the wait for a replacement is 5 s."""

    name = "kubernetes-5s"
    faults = ("F2",)
    timeouts: Mapping[str, int] = {"replacementSeconds": BRIEF_SECONDS}


class OursWithPods(Ours):
    """The same with labelled pods, whose status is written by hand, as a kubelet would write it."""

    name = "kubernetes-pods"

    def __init__(self) -> None:
        super().__init__()
        self._pods: set[str] = set()

    def command(self, node: str, folder: Path) -> Command:
        """See base class."""
        self._pods.add(node)
        return self._torchrun(folder), {"KUBECONFIG": str(self.cluster.create_pod(node, self._rendezvous))}

    def killed(self, node: str) -> None:
        """See base class."""
        terminated = {"exitCode": 137, "reason": "Error", "containerID": f"containerd://{node}"}
        container = {"name": "torchrun", "image": "none", "imageID": "", "ready": False, "restartCount": 0}
        statuses = [{**container, "state": {"terminated": terminated}}]
        self.cluster.write_pod_status(node, phase="Failed", containerStatuses=statuses)

    def close(self) -> None:
        """See base class."""
        super().close()
        for pod in self._pods:
            self.cluster.delete_pod(pod)
        self._pods.clear()


class C10d(AtPort):
    """torch's own rendezvous; the first node serves its store."""

    name = "c10d"
    shared_store = True
    options: tuple[str, ...] = ()
    """Further ones of ``--rdzv-conf``."""
    arguments: tuple[str, ...] = ()
    """Of the script."""

    def command(self, node: str, folder: Path) -> Command:
        """See base class."""
        endpoint = f"--rdzv-endpoint=127.0.0.1:{self.port}"
        options = ["--rdzv-id=run-1", endpoint, store_option(node == FIRST, *self.options)]
        command = [*_torchrun(self.python, "c10d"), *options, WORKER, str(folder), *self.arguments]
        return command, {} if self.shared_store else {"TORCH_DISABLE_SHARE_RDZV_TCP_STORE": "1"}


class C10dOwnStore(C10d):
    """The same where the workers of each round have a store of their own."""

    name = "c10d-own-store"
    shared_store = False


class C10dBrief(C10dOwnStore):
    """The same where the wait for more nodes is 5 s."""

    name = "c10d-5s"
    faults = ("F2",)
    options = (f"last_call_timeout={BRIEF_SECONDS}",)


class C10dWithTimeout(C10dOwnStore):
    """The same with a script whose collectives fail after 10 s."""

    name = "c10d-timeout"
    faults = ("F5",)
    arguments = ("--timeout=10",)


def _torchrun(python: str, backend: str) -> Sequence[str]:
    return [
        python, "-m", "torch.distributed.run", f"--rdzv-backend={backend}", SIZE, "--nproc-per-node=1",
        MAX_RESTARTS, "--local-addr=127.0.0.1",
    ]  # fmt: skip
