"""Who of the operators leads, and how long nobody does after the leader has gone."""

import os
import secrets
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass

from kubernetes import client
from tests.cluster.harness import Group
from tests.cluster.manifests import rendezvous
from tests.cluster.pods import PodView, main_process, view
from tests.cluster.release import DEPLOYMENT, NAMESPACE, OPERATOR_PODS, Release
from tests.support import objects

from rendezvous_api import names

LEASE = DEPLOYMENT
_POLL_SECONDS = 0.05
_TAKE_OVER_SECONDS = 60.0


@dataclass(frozen=True)
class TakeOver:
    """How a leader went, and the seconds from then until another pod had the Lease, and had decided something."""

    leader: str
    holds_lease: float
    decides: float

    def line(self) -> str:
        """The row of a table."""
        return f"{self.leader:<32} another holds the Lease {self.holds_lease:5.1f} s, decides {self.decides:5.1f} s"


class Operators:
    """The operator pods of a release.

    Args:
        release: it is installed, with two replicas.
        group: whose API client is used, and in whose namespace rounds are asked for.
    """

    def __init__(self, release: Release, group: Group) -> None:
        self._release = release
        self._group = group
        self._core = client.CoreV1Api(group.api)
        self._leases = client.CoordinationV1Api(group.api)
        self._custom = client.CustomObjectsApi(group.api)
        self._kind = (names.GROUP, names.VERSION, group.namespace)

    def pods(self) -> list[PodView]:
        """The operator pods that are there."""
        listed = self._core.list_namespaced_pod(NAMESPACE, label_selector=OPERATOR_PODS, _request_timeout=10)
        return [view(pod) for pod in listed.items]

    def holder(self) -> str:
        """Who holds the Lease, as it says; empty if nobody does."""
        lease = self._leases.read_namespaced_lease(LEASE, NAMESPACE, _request_timeout=5)
        return lease.spec.holder_identity or ""

    def leader(self) -> PodView:
        """The pod that leads."""

        def found() -> PodView | None:
            holder = self.holder()
            return next((pod for pod in self.pods() if holder and pod.name in holder), None)

        leader: PodView = self._group.wait(found, "an operator to hold the Lease", 60)
        return leader

    def wait_until_complete(self, replicas: int = 2) -> None:
        """Wait until so many pods are Ready, and one of them leads."""
        self._group.wait(
            lambda: [pod.ready and not pod.terminating for pod in self.pods()] == [True] * replicas,
            f"{replicas} operator pods to be Ready",
            120,
        )
        self.leader()

    def delete_leader(self, *options: str) -> float:
        """``kubectl delete pod``; returns the time."""
        leader = self.leader()
        event = time.time()
        self._release.kubectl("delete", "pod", leader.name, "--wait=false", *options)
        return event

    def signal_leader(self, number: signal.Signals) -> float:
        """Send a signal to the leader's process; returns the time."""
        return self.signal_pod(self.leader(), number)

    def signal_pod(self, pod: PodView, number: signal.Signals) -> float:
        """Send a signal to an operator's process; returns the time."""
        process = main_process(pod)
        event = time.time()
        os.kill(process, number)
        return event

    def take_over(self, how: str, disturb: Callable[[], float]) -> TakeOver:
        """Take the leader away, and wait until another one has published a round that was asked for since then.

        Args:
            how: what happens to the leader, for people.
            disturb: does it, and returns when it did.
        """
        old = self.holder()
        probe = self._new_rendezvous()
        event = disturb()
        self._poll(lambda: self.holder() not in ("", old), f"another holder of the Lease than {old}")
        holds = time.time() - event
        # Asked for only now: the old leader has not decided it.
        decides = self._publish(*probe) - event
        told = self._group.wait(lambda: told_of_rounds(self._group, probe[0]), "an event of that round", 30)
        # An operator is its pod in events, and a process of its pod in the Lease.
        assert [pod for _, pod in told] == [self.holder().rpartition("_")[0]], "who decides does not hold the Lease"
        return TakeOver(how, holds, decides)

    def decide(self) -> float:
        """Ask for a round of one node, and wait until it is published; returns the time of that."""
        return self._publish(*self._new_rendezvous())

    def _new_rendezvous(self) -> tuple[str, str]:
        """Make a Rendezvous of one node; its name and UID."""
        manifest = rendezvous(f"probe-{secrets.token_hex(3)}", 1, 1)
        made = self._custom.create_namespaced_custom_object(*self._kind, names.RENDEZVOUS_PLURAL, manifest)
        return made["metadata"]["name"], made["metadata"]["uid"]

    def _publish(self, name: str, uid: str) -> float:
        """Join as its node, which is nothing but its participant, and so is there at once; returns when it is in."""
        # An address of a documentation (RFC 5737).
        participant = objects.participant("node", of=name, rendezvousUID=uid, address="198.51.100.1")
        self._custom.create_namespaced_custom_object(*self._kind, names.PARTICIPANT_PLURAL, participant)

        def published() -> bool:
            found = self._custom.get_namespaced_custom_object(
                *self._kind, names.RENDEZVOUS_PLURAL, name, _request_timeout=5
            )
            return bool(found.get("status", {}).get("round") == 1)

        self._poll(published, f"round 1 of {name}")
        return time.time()

    def _poll(self, condition: Callable[[], bool], what: str) -> None:
        self._group.wait(condition, what, _TAKE_OVER_SECONDS, _POLL_SECONDS)


def told_of_rounds(group: Group, name: str) -> list[tuple[str, str]]:
    """The events of published rounds: the round (`round 3 of run 'x'`), and the pod of the operator that tells."""
    # Not by the client's class of events.k8s.io, which refuses the older ones of the kubelet.
    kind = ("events.k8s.io", "v1", group.namespace, "events")
    events = client.CustomObjectsApi(group.api).list_namespaced_custom_object(*kind, _request_timeout=10)["items"]
    told = [event for event in events if event["reason"] == "RoundPublished" and event["regarding"]["name"] == name]
    assert not [event for event in told if "series" in event], "a round was told of twice"
    return [(event["note"].partition(":")[0], event["reportingInstance"]) for event in told]
