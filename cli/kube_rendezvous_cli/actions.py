"""What changes a group: each action says what it will do, to whom, before it does it."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from kube_rendezvous_cli.group import Group
from kube_rendezvous_cli.kubectl import RENDEZVOUS, CommandError, Kubectl
from kube_rendezvous_cli.text import count, listing
from rendezvous_api import names
from rendezvous_api.participant import Participant

Json = dict[str, Any]


@dataclass(frozen=True)
class Plan:
    """An action that can be done."""

    says: str
    """What it will do, to whom, and what follows."""
    done: str
    """What has been done, afterwards."""
    patch: Json | None = None
    """Of the Rendezvous."""
    evict: Participant | None = None
    """The agent whose pod is evicted."""

    def carry_out(self, kubectl: Kubectl, group: Group) -> None:
        """Make the one request.

        Raises:
            KubectlError: it is refused, such as by a PodDisruptionBudget.
        """
        if self.patch is not None:
            patch = json.dumps(self.patch)
            kubectl.run("patch", RENDEZVOUS, group.name, "--type=merge", f"--patch={patch}", namespace=group.namespace)
        if self.evict is not None:
            spec = self.evict.spec
            path = f"/api/v1/namespaces/{group.namespace}/pods/{spec.pod_name}/eviction"
            body: Json = {
                "apiVersion": "policy/v1",
                "kind": "Eviction",
                "metadata": {"namespace": group.namespace, "name": spec.pod_name},
            }
            if spec.pod_uid is not None:
                # Not a pod that has its name by now.
                body["deleteOptions"] = {"preconditions": {"uid": spec.pod_uid}}
            kubectl.run("create", f"--raw={path}", "--filename=-", stdin=json.dumps(body), namespace="")


def restart(group: Group, now: datetime) -> Plan:
    """A new round of the same nodes.

    Raises:
        CommandError: no round runs.
    """
    _must_run(group)
    return Plan(
        f"restarts round {group.status.round} of {_of(group)}: {_members(group)} stop their workers and join a "
        f"new round, which continues from "
        "the last checkpoint. It does not count in restarts.max.",
        f"{group.name}: a restart is asked for",
        _annotation(names.ANNOTATION_RESTART_REQUESTED_AT, now),
    )


def suspend(group: Group, now: datetime) -> Plan:
    """No round until it is resumed.

    Raises:
        CommandError: it is suspended.
    """
    if group.rendezvous.spec.suspend:
        raise CommandError(f"{group.name} is suspended already")
    what = (
        f"ends round {group.status.round} of {_of(group)}: {_members(group)} stop their workers"
        if group.running
        else f"suspends {_of(group)}"
    )
    return Plan(
        f"{what}, and no round starts until `kubectl rdzv resume {group.name}`. The pods stay, and keep their "
        f"machines.",
        f"{group.name}: spec.suspend is true",
        {"spec": {"suspend": True}},
    )


def resume(group: Group, now: datetime) -> Plan:
    """Let a suspended group continue.

    Raises:
        CommandError: it is not suspended.
    """
    if not group.rendezvous.spec.suspend:
        raise CommandError(f"{group.name} is not suspended")
    return Plan(
        f"lets {_of(group)} continue: the same run starts a round as soon as enough nodes are there, from the "
        f"last checkpoint.",
        f"{group.name}: spec.suspend is false",
        {"spec": {"suspend": False}},
    )


def close(group: Group, now: datetime) -> Plan:
    """Let no node join.

    Raises:
        CommandError: it is closed.
    """
    if group.rendezvous.spec.closed:
        raise CommandError(f"{group.name} is closed already")
    running = (
        f"The {count(group.status.nodes, 'member')} of round {group.status.round} train on until it ends. "
        if group.running
        else ""
    )
    return Plan(
        f"closes {_of(group)}: no node of any run may join; an agent that asks ends with exit code 93. {running}"
        f"`kubectl rdzv reopen {group.name}` takes it back.",
        f"{group.name}: spec.closed is true",
        {"spec": {"closed": True}},
    )  # fmt: skip


def reopen(group: Group, now: datetime) -> Plan:
    """Let nodes join again.

    Raises:
        CommandError: it is not closed.
    """
    if not group.rendezvous.spec.closed:
        ended = " Its run has ended: a new one needs a new Job, or another --rdzv-id" if group.ended else ""
        raise CommandError(f"{group.name} is not closed (spec.closed is false).{ended}")
    return Plan(
        f"lets nodes join {_of(group)} again.", f"{group.name}: spec.closed is false", {"spec": {"closed": False}}
    )


def retry(group: Group, now: datetime) -> Plan:
    """Take back who is held out, and have health checks that have failed run again.

    Raises:
        CommandError: no node is held out, and none is unhealthy.
    """
    held_out = sorted(group.held_out(now))
    unhealthy = [entry.name for entry in group.status.unhealthy]
    if not held_out and not unhealthy:
        raise CommandError(f"no node of {group.name} is held out or unhealthy")
    says = []
    if held_out:
        says.append(
            f"lets {listing(held_out)} take part in {_of(group)} again at once. If the cause is still there, the "
            f"next round fails once more."
        )
    if unhealthy:
        says.append(f"has the health checks of {listing(unhealthy)} run again at once.")
    return Plan(
        " And it ".join(says),
        f"{group.name}: {count(len(held_out) + len(unhealthy), 'node')} may take part again",
        _annotation(names.ANNOTATION_RETRY_AT, now),
    )


PLANS: dict[str, Callable[[Group, datetime], Plan]] = {
    "restart": restart, "suspend": suspend, "resume": resume, "close": close, "reopen": reopen, "retry": retry,
}  # fmt: skip
"""Every action on a whole group, by the name of its command."""


def evict(group: Group, participant: Participant) -> Plan:
    """Evict the pod of one node.

    Raises:
        CommandError: it is in no pod, or its pod is gone.
    """
    name, spec = participant.metadata.name, participant.spec
    if spec.pod_name is None:
        raise CommandError(f"{name} is in no pod, so it cannot be evicted. End its torchrun where it runs")
    member = next((member for member in group.status.participants if member.name == name), None)
    pod = group.pods.get(spec.pod_name)
    where = f" on {spec.node_name}" if spec.node_name else ""
    what = f"evicts the pod {spec.pod_name}{where}, as a drain does: its PodDisruptionBudget counts."
    if member is not None and group.running:
        others = group.status.nodes - 1
        spares = count(len(group.status.spares), "spare")
        what += (
            f" It has rank {member.rank} of round {group.status.round} of {_of(group)}: that round ends, and "
            f"the other {count(others, 'node')} "
            f"join a new one ({spares}, at least {group.rendezvous.spec.min_nodes} are needed). It does not "
            f"count in restarts.max."
        )
    else:
        what += f" It is no member of a running round of {_of(group)}."
    owner = pod.owner if pod is not None else None
    what += f" {owner} makes a new pod." if owner else " Nothing is known that makes a new pod."
    return Plan(what, f"pod/{spec.pod_name} evicted", evict=participant)


def named(group: Group, wanted: str) -> Participant | None:
    """The participant of that name, or of the pod of that name."""
    found = group.participants.get(wanted)
    return found or next((each for each in group.participants.values() if each.spec.pod_name == wanted), None)


def _must_run(group: Group) -> None:
    if not group.running:
        raise CommandError(f"no round of {group.name} runs (it is {group.state}), so there is nothing to restart")


def _of(group: Group) -> str:
    return f"{group.namespace}/{group.name}" + (f" ({group.run})" if group.run else "")


def _members(group: Group) -> str:
    members = [member.name.partition(".")[2] or member.name for member in group.status.participants]
    return f"its {count(len(members), 'node')} ({listing(members)})"


def _annotation(name: str, now: datetime) -> Json:
    return {"metadata": {"annotations": {name: now.isoformat(timespec="microseconds")}}}
