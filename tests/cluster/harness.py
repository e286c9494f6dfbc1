"""A group of real pods that train together, and what a test needs to disturb them and to see what they did.

In a test, with the fixtures `group` and `timings`::

    group.create_rendezvous(2, 3)
    group.create(indexed_job("train", 3, group.template("2:3")))
    group.wait_for_training(3)
    with group.recorder() as recorder:
        deleted = group.delete_pod(group.pod_of_rank(0))
        timings.add(group.measure(recorder, "Job of 3 pods", "rank 0 deleted", deleted, nodes=3))
"""

import json
import os
import signal
import ssl
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from kubernetes import client, config
from kubernetes.client.exceptions import ApiException
from testcluster import Cluster, ClusterError, network
from tests.cluster import manifests
from tests.cluster.pods import PodView, main_process, view
from tests.cluster.recorder import Recorder, address, is_told
from tests.cluster.timings import Timing
from tests.support.journal import Journal, Record
from urllib3.exceptions import HTTPError

from rendezvous_api import names
from rendezvous_api.access import verify_as_kubectl
from rendezvous_api.codec import decode
from rendezvous_api.participant import Participant
from rendezvous_api.reasons import ClosedReason
from rendezvous_api.rendezvous import Rendezvous, RendezvousStatus

WAIT_SECONDS = 180.0
"""For what takes a node a few seconds, on a machine where four pods import torch at once."""

_POLL_SECONDS = 0.25


def api_client(cluster: Cluster) -> client.ApiClient:
    """The administrator's client. It finds the API server again by itself; a certificate is checked by the CA."""
    configuration = client.Configuration()
    config.load_kube_config(str(cluster.kubeconfig), client_configuration=configuration)
    configuration.retries = False
    api = client.ApiClient(configuration)
    tls = ssl.create_default_context(cafile=configuration.ssl_ca_cert)
    verify_as_kubectl(tls)
    api.rest_client.pool_manager.connection_pool_kw["ssl_context"] = tls
    return api


class Group:
    """One Rendezvous and the pods that meet at it.

    Args:
        cluster: the test cluster.
        namespace: in which pods may use the service account `rendezvous-agent`.
        folder: shared by all pods as /data: journals and the checkpoint.
        name: of the Rendezvous.
    """

    def __init__(self, cluster: Cluster, namespace: str, folder: Path, name: str = "train") -> None:
        self.cluster = cluster
        self.namespace = namespace
        self.folder = folder
        self.name = name
        self.api = api_client(cluster)
        self.journal = Journal(folder)
        self._core = client.CoreV1Api(self.api)
        self._custom = client.CustomObjectsApi(self.api)

    # To create and to change

    def create_rendezvous(self, min_nodes: int, max_nodes: int, **spec: Any) -> None:
        """Create the Rendezvous; ``spec``: further fields."""
        self.create(manifests.rendezvous(self.name, min_nodes, max_nodes, **spec))

    def template(self, nnodes: str, *options: str, script: Sequence[str] | None = None, **pod: Any) -> dict[str, Any]:
        """The template of a pod that trains in this group.

        Args:
            nnodes: torchrun's ``--nnodes``.
            options: further options of torchrun.
            script: what it runs; None: train.py until `stop_training`.
            pod: as in `manifests.pod_template`.
        """
        arguments = {"script": script} if script is not None else {}
        command = manifests.torchrun(self.name, nnodes, *options, **arguments)
        return manifests.pod_template(self.name, command, self.folder, **pod)

    def create(self, manifest: dict[str, Any]) -> None:
        """Create any object in the namespace."""
        self.kubectl("create", "-f", "-", input=json.dumps(manifest))

    def kubectl(self, *arguments: str, input: str | None = None) -> str:
        """Run kubectl in the namespace."""
        return self.cluster.kubectl("--namespace", self.namespace, *arguments, input=input)

    def stop_training(self) -> None:
        """Tell all workers to end, with success, after their present step."""
        (self.folder / "stop").touch()

    def crash(self, pod: PodView) -> float:
        """Make the worker of a pod fail at its next step; its torchrun goes on. Returns the time."""
        (self.folder / f"crash-{pod.name}").touch()
        return time.time()

    def delete_pod(self, pod: PodView) -> float:
        """Delete a pod, as kubectl does; it gets SIGTERM and its grace period. Returns the time of it."""
        event = time.time()
        self._core.delete_namespaced_pod(pod.name, self.namespace, _request_timeout=10)
        return event

    def kill_container(self, pod: PodView) -> float:
        """SIGKILL to the first process of a pod's container: all its processes go at once. Returns the time."""
        process = main_process(pod)
        event = time.time()
        os.kill(process, signal.SIGKILL)
        return event

    def lose_node(self, node: str) -> float:
        """Cut a node's cable and its power; `Cluster.node(NODE).start()` brings both back. Returns the time of it.

        The cable first: a kernel that kills a process still tells its peers that the connections are closed.
        """
        event = time.time()
        network.disconnect_node(node, self.cluster.control_plane.machine)
        self.cluster.node(node).lose()
        return event

    # To look at

    def pods(self) -> list[PodView]:
        """All pods of the namespace that exist, by name."""
        listed = self._core.list_namespaced_pod(self.namespace, _request_timeout=10)
        return sorted((view(pod) for pod in listed.items), key=lambda pod: pod.name)

    def pod(self, name: str) -> PodView:
        """A pod by its name."""
        return view(self._core.read_namespaced_pod(name, self.namespace, _request_timeout=10))

    def pod_of_rank(self, rank: int) -> PodView:
        """The pod that has this rank in the current round."""
        return self.pod(next(pod for pod, held in self.ranks().items() if held == rank))

    def log(self, pod: str, *options: str) -> str:
        """What a pod has printed."""
        return self.kubectl("logs", pod, *options)

    @property
    def rendezvous(self) -> Rendezvous:
        """The Rendezvous as it is now."""
        kind = (names.GROUP, names.VERSION, self.namespace, names.RENDEZVOUS_PLURAL)
        return decode(Rendezvous, self._custom.get_namespaced_custom_object(*kind, self.name, _request_timeout=10))

    @property
    def status(self) -> RendezvousStatus:
        """Its status as it is now."""
        return self.rendezvous.status

    def participant(self, pod: str) -> Participant:
        """The participant object of a pod's agent."""
        kind = (names.GROUP, names.VERSION, self.namespace, names.PARTICIPANT_PLURAL, f"{self.name}.{pod}")
        return decode(Participant, self._custom.get_namespaced_custom_object(*kind, _request_timeout=10))

    def ranks(self, status: RendezvousStatus | None = None) -> dict[str, int]:
        """Rank of each pod of a round, by the pod's name; of the current round, unless ``status`` is given."""
        members = (status or self.status).participants
        return {member.name.removeprefix(f"{self.name}."): member.rank for member in members}

    def recorder(self) -> Recorder:
        """A recorder of all states of the Rendezvous, for a ``with`` block."""
        return Recorder(self.api, self.namespace, self.name)

    # To wait

    def wait(
        self, condition: Callable[[], Any], what: str, timeout: float = WAIT_SECONDS, interval: float = _POLL_SECONDS
    ) -> Any:
        """Poll until the condition gives something true. API server and kubelets may be away meanwhile."""
        deadline = time.monotonic() + timeout
        last: object = None
        while time.monotonic() < deadline:
            try:
                last = condition()
            except (ApiException, HTTPError, ClusterError) as error:
                last = f"{type(error).__name__}: {str(error)[:300]}"
            else:
                if last:
                    return last
            time.sleep(interval)
        raise AssertionError(f"waited {timeout:.0f} s in vain for {what}; last seen: {last!r}")

    def wait_for_training(
        self, nodes: int, *, after: int = 0, since: float = 0.0, timeout: float = WAIT_SECONDS
    ) -> list[str]:
        """Wait until all members of a current round of so many pods make steps; returns their names by rank.

        Args:
            nodes: size of the round.
            after: number of a round that is none of these. That of a pod that was killed goes on for a moment.
            since: steps before that time do not count.
            timeout: in seconds, from now.
        """

        def training() -> list[str] | None:
            status = self.status
            if status.waiting_nodes or len(status.participants) != nodes or status.round <= after:
                return None
            ranks = self.ranks(status)
            stepping = {record.node for record in self._steps(status, since)}
            return sorted(ranks, key=lambda pod: ranks[pod]) if stepping == set(ranks) else None

        found: list[str] = self.wait(training, f"steps of a round of {nodes} pods after round {after}", timeout)
        return found

    def wait_for_steps(self, *, since: float, timeout: float = 30.0) -> None:
        """Wait until every member of the current round has made a step since then: training goes on."""
        self.wait_for_training(len(self.status.participants), since=since, timeout=timeout)

    def wait_for_success(self, timeout: float = WAIT_SECONDS) -> None:
        """Wait until all members have succeeded, no pod runs, and the run is closed as successful."""

        def succeeded() -> bool:
            phases = {pod.name: pod.phase for pod in self.pods()}
            ended = set(phases.values()) <= {"Succeeded", "Failed"}  # such as a member that was lost and replaced
            return ended and {phases.get(member) for member in self.ranks()} == {"Succeeded"}

        self.wait(succeeded, "all members to succeed", timeout)
        assert [run.reason for run in self.status.closed_runs][-1:] == [ClosedReason.RUN_SUCCEEDED]

    def measure(
        self,
        recorder: Recorder,
        scenario: str,
        event: str,
        at: float,
        *,
        nodes: int,
        timeout: float = WAIT_SECONDS,
    ) -> Timing:
        """Wait until a later round of so many pods trains; returns the times from the event to each part.

        Args:
            recorder: has been recording since before the event.
            scenario: the heading of the row, such as `Job of 3 pods`.
            event: what happened, such as `rank 0 deleted`.
            at: when (``time.time()``).
            nodes: size of the new round.
            timeout: in seconds, from now.
        """
        before = [sight for sight in list(recorder.sights) if sight.at <= at][-1].status

        def training() -> tuple[RendezvousStatus, float] | None:
            status = recorder.sights[-1].status
            first = {step.node: step.time for step in reversed(self._steps(status, at))}
            trains = status.round > before.round and status.nodes == nodes == len(first)
            return (status, max(first.values())) if trains else None

        after, first_step = self.wait(training, f"a round of {nodes} pods after round {before.round} to train", timeout)
        told = recorder.first(lambda status: is_told(status) or status.round > before.round, "members told", since=at)
        new = recorder.first(lambda status: status.round == after.round, f"round {after.round}", since=at)
        return Timing(
            scenario=scenario,
            event=event,
            told=told.at - at,
            published=new.at - at,
            first_step=first_step - at,
            nodes=f"{before.nodes} -> {after.nodes}",
            ranks=self._moves(before, after),
        )

    def _steps(self, status: RendezvousStatus, since: float) -> list[Record]:
        """The steps of the workers of this round."""
        store = address(status.store)
        return [record for record in self.journal.records("step", since=since) if record.master == store]

    def _moves(self, before: RendezvousStatus, after: RendezvousStatus) -> str:
        """Who left which rank, who has it now, and whose rank has changed."""
        old, new = self.ranks(before), self.ranks(after)
        known = {(member.name, member.incarnation) for member in before.participants}
        again = {
            member.name.removeprefix(f"{self.name}.")
            for member in after.participants
            if (member.name, member.incarnation) not in known
        }
        lost = [f"{pod} left {rank}" for pod, rank in old.items() if pod not in new]
        come = [f"{pod} has {rank}" for pod, rank in new.items() if pod not in old]
        back = [f"{pod} restarted, was {old[pod]}, has {new[pod]}" for pod in sorted(again & set(old))]
        moved = [f"{pod} {old[pod]} -> {rank}" for pod, rank in new.items() if old.get(pod, rank) != rank]
        return "; ".join([*lost, *come, *back, *moved]) or "all keep theirs"
