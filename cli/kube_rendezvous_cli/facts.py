"""What `kubectl rdzv doctor` looks at: each answer of the cluster, or why there is none."""

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from kube_rendezvous_cli.kubectl import PARTICIPANTS, RENDEZVOUS, Kubectl, KubectlError
from rendezvous_api import names

Json = dict[str, Any]

CRDS = (RENDEZVOUS, PARTICIPANTS)
RIGHTS = (
    *((names.RENDEZVOUS_PLURAL, "", verb) for verb in ("get", "list", "watch")),
    *((names.PARTICIPANT_PLURAL, "", verb) for verb in ("get", "create", "update", "patch", "delete")),
    *((names.PARTICIPANT_PLURAL, "status", verb) for verb in ("update", "patch")),
)
"""Resource, subresource and verb of each right that an agent needs; `create` of a Rendezvous is for who has none."""

_OURS = "--selector=app.kubernetes.io/part-of=kube-rendezvous,app.kubernetes.io/component=operator"
_LABELLED = f"--selector={names.LABEL_RENDEZVOUS}"


@dataclass(frozen=True)
class Facts:
    """Lists of objects, by name; what could not be listed is in `unknown` with the reason."""

    namespace: str
    lists: dict[str, list[Json]] = field(default_factory=dict)
    unknown: dict[str, str] = field(default_factory=dict)
    rights: dict[str, list[str]] = field(default_factory=dict)
    """Of each account that was asked for: the rights that it has not."""
    log: str = ""
    """The last lines of the agents of the namespace."""
    server: str = ""
    """Version of the API server; empty: it is not known."""

    def of(self, name: str) -> list[Json]:
        """A list; empty also if it could not be read."""
        return self.lists.get(name, [])

    def known(self, *wanted: str) -> bool:
        """Whether all of these could be listed."""
        return all(name in self.lists for name in wanted)


def gather(kubectl: Kubectl, account: str | None) -> Facts:
    """Ask the cluster.

    Args:
        kubectl: makes the requests.
        account: whose rights are looked at; None: those of the labelled pods.
    """
    namespace = kubectl.where()
    asked = {
        "crds": ("customresourcedefinitions", *CRDS, "--ignore-not-found"),
        "operators": ("deployments", "--all-namespaces", _OURS),
        "operator pods": ("pods", "--all-namespaces", _OURS),
        "leases": ("leases", "--all-namespaces"),
        "validating policies": ("validatingadmissionpolicies",),
        "mutating policies": ("mutatingadmissionpolicies",),
        "machines": ("nodes",),
        "name service": ("configmaps", "--namespace=kube-system", "--field-selector=metadata.name=coredns"),
        "pods": ("pods", _LABELLED),
        "jobs": ("jobs",),
        "workloads": ("deployments,statefulsets",),
        "jobsets": ("jobsets.jobset.x-k8s.io",),
        "network policies": ("networkpolicies",),
        "quotas": ("resourcequotas",),
        "groups": (RENDEZVOUS,),
        "participants": (PARTICIPANTS,),
    }
    cluster_wide = {name for name, call in asked.items() if any("namespace" in option for option in call)}
    calls = [("get", *call) for call in asked.values()]
    answers = kubectl.all_of(*calls) if kubectl.namespace is None else _all(kubectl, asked, cluster_wide)
    facts = Facts(namespace)
    for name, answer in zip(asked, answers, strict=True):
        if isinstance(answer, KubectlError):
            facts.unknown[name] = str(answer)
        else:
            # Of one object alone kubectl makes no list, and of none nothing.
            facts.lists[name] = answer.get("items", [answer] if answer else [])
    accounts = {account} if account is not None else {_account(pod) for pod in facts.of("pods")} or {"default"}
    for each in sorted(accounts):
        try:
            facts.rights[each] = _missing_rights(kubectl, namespace, each)
        except KubectlError as error:
            facts.unknown["rights"] = str(error)
    return Facts(namespace, facts.lists, facts.unknown, facts.rights, _log(kubectl, facts), _version(kubectl))


def _all(kubectl: Kubectl, asked: dict[str, tuple[str, ...]], cluster_wide: Iterable[str]) -> list[Json | KubectlError]:
    """Of two options for the namespace kubectl takes the last one, so what is elsewhere is asked for without ours."""
    here = [("get", *call) for name, call in asked.items() if name not in cluster_wide]
    there = [("get", *call) for name, call in asked.items() if name in cluster_wide]
    found_here, found_there = iter(kubectl.all_of(*here)), iter(kubectl.all_of(*there, namespace=""))
    return [next(found_there if name in cluster_wide else found_here) for name in asked]


def _account(pod: Json) -> str:
    return str(pod["spec"].get("serviceAccountName") or "default")


def _missing_rights(kubectl: Kubectl, namespace: str, account: str) -> list[str]:
    """What the API server says that an account of this namespace may not do, of `RIGHTS`."""
    user = f"system:serviceaccount:{namespace}:{account}"
    groups = ["system:serviceaccounts", f"system:serviceaccounts:{namespace}", "system:authenticated"]
    reviews = []
    for resource, subresource, verb in RIGHTS:
        what = {"group": names.GROUP, "namespace": namespace, "resource": resource, "subresource": subresource}
        spec = {"user": user, "groups": groups, "resourceAttributes": {**what, "verb": verb}}
        reviews.append({"apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview", "spec": spec})
    body = json.dumps({"apiVersion": "v1", "kind": "List", "items": reviews})
    text = kubectl.run("create", "--filename=-", '--output=jsonpath={.status.allowed}{"\\n"}', stdin=body)
    allowed = text.split()
    return [
        f"{verb} {resource}{'/' if subresource else ''}{subresource}"
        for (resource, subresource, verb), answer in zip(RIGHTS, allowed, strict=True)
        if answer != "true"
    ]


def _log(kubectl: Kubectl, facts: Facts) -> str:
    """What agents have logged. None of them may log yet, or any more, so errors do not count."""
    if not any(pod.get("status", {}).get("phase") == "Running" for pod in facts.of("pods")):
        return ""
    options = ("--tail=200", "--prefix", "--max-log-requests=100", "--all-containers", "--ignore-errors")
    try:
        return kubectl.run("logs", _LABELLED, *options)
    except KubectlError:
        return ""


def _version(kubectl: Kubectl) -> str:
    try:
        return str(kubectl.json("version")["serverVersion"]["gitVersion"])
    except (KubectlError, KeyError):
        return ""
