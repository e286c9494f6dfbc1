"""``kubectl rdzv doctor``: what keeps agents from joining, or makes them slow; each finding with the remedy."""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from kube_rendezvous_cli import times
from kube_rendezvous_cli.facts import CRDS, RIGHTS, Facts
from kube_rendezvous_cli.group import groups_of
from kube_rendezvous_cli.injection import warnings
from kube_rendezvous_cli.text import count, listing
from kube_rendezvous_cli.version import SITE, VERSION
from rendezvous_api import names

Json = dict[str, Any]

OK, WARNING, PROBLEM, UNKNOWN = "ok", "warning", "problem", "unknown"

OLDEST_KUBERNETES = (1, 32)
IMAGE_VOLUMES = {"containerd": (2, 1), "cri-o": (1, 33)}
"""The first version of each runtime that mounts images."""

_LEASE_SECONDS = 15
_TROUBLE = f"{SITE}docs/troubleshooting.md"


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at."""

    level: str
    subject: str
    says: str
    remedy: str = ""


Check = Callable[[Facts, datetime], Iterator[Finding]]


def diagnose(facts: Facts, now: datetime) -> list[Finding]:
    """All findings, in the order in which one would look."""
    found = []
    for subject, check in CHECKS.items():
        of_check = list(check(facts, now))
        # Of something that cannot be looked at there is nothing to say.
        if not of_check and not facts.unknown:
            of_check = [Finding(OK, subject, "nothing is wrong")]
        found += of_check
    found += [
        Finding(UNKNOWN, name, f"cannot be looked at: {reason}")
        for name, reason in facts.unknown.items()
        if not re.search(r"doesn't have a resource type|could not find the requested resource", reason)
    ]
    return found


def report(findings: list[Finding]) -> str:
    """A line for each finding, with its remedy below, and what it comes to."""
    width = max(len(finding.level) for finding in findings)
    lines = []
    for finding in findings:
        lines.append(f"{finding.level.ljust(width)}  {finding.subject}: {finding.says}")
        if finding.remedy:
            lines.append(f"{' ' * width}  -> {finding.remedy}")
    problems = sum(finding.level == PROBLEM for finding in findings)
    found_warnings = sum(finding.level == WARNING for finding in findings)
    return "\n".join([*lines, "", f"{count(problems, 'problem')}, {count(found_warnings, 'warning')}"])


def _kubernetes(facts: Facts, now: datetime) -> Iterator[Finding]:
    version = _numbers(facts.server)
    if not version:
        return
    if version < OLDEST_KUBERNETES:
        oldest = ".".join(map(str, OLDEST_KUBERNETES))
        yield Finding(PROBLEM, "Kubernetes", f"{facts.server} is too old", f"upgrade to {oldest} or later")
    else:
        yield Finding(OK, "Kubernetes", facts.server)


def _crds(facts: Facts, now: datetime) -> Iterator[Finding]:
    if not facts.known("crds"):
        return
    there = {item["metadata"]["name"]: item for item in facts.of("crds")}
    missing = [name for name in CRDS if name not in there]
    if missing:
        remedy = f"install the chart, or kubectl apply -f crds/: {SITE}docs/install.md"
        yield Finding(
            PROBLEM, "CRDs", f"{listing(missing)} {'is' if len(missing) == 1 else 'are'} not installed", remedy
        )
        return
    for name, item in there.items():
        served = [version["name"] for version in item["spec"]["versions"] if version.get("served")]
        if names.VERSION not in served:
            says = f"{name} is served as {listing(served)}, and this program knows {names.VERSION}"
            yield Finding(PROBLEM, "CRDs", says, "use the kubectl-rdzv of the release that is installed")
    releases = {_release(item) for item in there.values()}
    yield Finding(OK, "CRDs", f"installed ({listing(sorted(filter(None, releases))) or 'version not known'})")


def _operator(facts: Facts, now: datetime) -> Iterator[Finding]:
    if not facts.known("operators", "groups"):
        return
    late = [group.name for group in groups_of(facts.of("groups")) if group.unseen(now) is not None]
    ready = [item for item in facts.of("operators") if (item.get("status") or {}).get("readyReplicas")]
    where = listing([f"{item['metadata']['namespace']}/{item['metadata']['name']}" for item in facts.of("operators")])
    if not facts.of("operators"):
        says = "no Deployment of the operator is in this cluster"
        remedy = f"install the chart: {SITE}docs/install.md. One that runs outside of the cluster cannot be seen here"
        yield Finding(PROBLEM if late or not facts.of("groups") else WARNING, "operator", says, remedy)
    elif not ready:
        remedy = f"kubectl describe pods -A {_selector()}; kubectl logs -A {_selector()}"
        yield Finding(PROBLEM, "operator", f"no pod of {where} is ready", remedy)
    else:
        yield Finding(OK, "operator", f"{where} is ready")
    if late:
        says = f"has not reacted to {listing(late)}"
        remedy = (
            f"find out whether it serves this namespace (--namespace), and read its log: "
            f"{_TROUBLE}#the-operator-has-not-reacted-to-this-node"
        )
        yield Finding(PROBLEM, "operator", says, remedy)


def _selector() -> str:
    return "-l app.kubernetes.io/part-of=kube-rendezvous"


def _leader(facts: Facts, now: datetime) -> Iterator[Finding]:
    held = []
    for item in facts.of("leases"):
        meta, spec = item["metadata"], item.get("spec") or {}
        if "rendezvous" not in meta["name"] or not meta["name"].endswith("operator") or not spec.get("holderIdentity"):
            continue
        age = times.since(spec.get("renewTime"), now)
        if age is not None and age <= 4 * (spec.get("leaseDurationSeconds") or _LEASE_SECONDS):
            held.append(f"{meta['namespace']}/{meta['name']} by {spec['holderIdentity']}")
    if len(held) > 1:
        remedy = "uninstall one release, or let each serve namespaces of its own (watchNamespace)"
        yield Finding(WARNING, "leader", f"{len(held)} operators decide: {listing(held)}", remedy)
    elif held:
        yield Finding(OK, "leader", held[0])
    elif any((item.get("status") or {}).get("readyReplicas") for item in facts.of("operators")):
        says = "no operator holds a Lease that was renewed lately"
        yield Finding(WARNING, "leader", says, f"read the log of its pods: kubectl logs -A {_selector()}")


def _versions(facts: Facts, now: datetime) -> Iterator[Finding]:
    found = {f"CRD {item['metadata']['name']}": _release(item) for item in facts.of("crds")}
    for item in facts.of("operators"):
        found[f"operator {item['metadata']['namespace']}/{item['metadata']['name']}"] = _release(item)
    for pod in facts.of("pods"):
        said = (pod["metadata"].get("annotations") or {}).get(f"{names.GROUP}/injected")
        if said:
            found[f"what was injected into {pod['metadata']['name']}"] = said.partition(":")[0]
    releases = {release for release in found.values() if release}
    if len(releases | {VERSION}) > 1:
        says = "; ".join(f"{what} is of {release}" for what, release in list(found.items())[:6] if release)
        remedy = f"one release meets the next and the one before only: {SITE}docs/versions.md"
        yield Finding(WARNING, "versions", f"{says}; kubectl-rdzv is {VERSION}", remedy)
    elif releases:
        yield Finding(OK, "versions", f"all are of {VERSION}")


def _policies(facts: Facts, now: datetime) -> Iterator[Finding]:
    guards = [item for item in facts.of("validating policies") if _named(item, "-participants.")]
    if facts.known("validating policies") and not guards:
        remedy = "set admissionPolicy.enabled of the chart, unless it serves one namespace only"
        yield Finding(WARNING, "policies", "each agent may write the participants of all others", remedy)
    elif guards:
        yield Finding(OK, "policies", "an agent may write its own participant only")
    changes = [item for item in facts.of("mutating policies") if _named(item, "-injection.")]
    if changes:
        yield Finding(OK, "injection", "pods with the label get what they need")
    else:
        remedy = "kubectl rdzv inject -f FILE | kubectl apply -f - does it for a manifest"
        yield Finding(OK, "injection", f"no policy changes pods with the label; {remedy}")


def _named(item: Json, part: str) -> bool:
    labels = item["metadata"].get("labels") or {}
    return part in item["metadata"]["name"] and labels.get("app.kubernetes.io/part-of") == "kube-rendezvous"


def _rights(facts: Facts, now: datetime) -> Iterator[Finding]:
    used = {pod["spec"].get("serviceAccountName") or "default" for pod in facts.of("pods")}
    for account, missing in facts.rights.items():
        who = f"account {facts.namespace}/{account}"
        if missing:
            what = (
                "join: it has none of the rights of an agent" if len(missing) == len(RIGHTS) else listing(missing, 10)
            )
            # That of agents which are in no pod is not known here.
            level = PROBLEM if account in used or account != "default" else WARNING
            remedy = (
                f"kubectl create rolebinding rdzv --clusterrole=kube-rendezvous-agent "
                f"--serviceaccount={facts.namespace}:{account} -n {facts.namespace}"
            )
            yield Finding(level, "rights", f"{who} may not {what}", remedy)
        else:
            yield Finding(OK, "rights", f"{who} may join")


def _labels(facts: Facts, now: datetime) -> Iterator[Finding]:
    for item in (*facts.of("jobs"), *facts.of("workloads"), *facts.of("jobsets")):
        for text in warnings(item):
            yield Finding(PROBLEM, "label", f"{item['kind']}/{item['metadata']['name']}: {text}", "")
    groups = {item["metadata"]["name"] for item in facts.of("groups")}
    if not facts.known("groups"):
        return
    wanted: dict[str, list[str]] = {}
    for pod in facts.of("pods"):
        label = pod["metadata"]["labels"][names.LABEL_RENDEZVOUS]
        creates = f"{names.GROUP}/nnodes" in (pod["metadata"].get("annotations") or {})
        if label not in groups and not creates and not _ended(pod):
            wanted.setdefault(label, []).append(pod["metadata"]["name"])
    for label, pods in wanted.items():
        says = (
            f"{listing(pods)} {'waits' if len(pods) == 1 else 'wait'} for the Rendezvous {label!r}, and there is none"
        )
        remedy = (
            f"create it, or correct the label {names.LABEL_RENDEZVOUS} of the pod template; there are: "
            f"{listing(sorted(groups)) or 'none'}"
        )
        yield Finding(PROBLEM, "label", says, remedy)


def _ended(pod: Json) -> bool:
    return (pod.get("status") or {}).get("phase") in ("Succeeded", "Failed")


def _runtime(facts: Facts, now: datetime) -> Iterator[Finding]:
    policy = next((item for item in facts.of("mutating policies") if _named(item, "-injection.")), None)
    mounts = policy is not None and "Object.spec.volumes.image{" in str(policy.get("spec"))
    mounts = mounts or any("image" in volume for pod in facts.of("pods") for volume in pod["spec"].get("volumes") or ())
    if not mounts:
        return
    old = []
    for item in facts.of("machines"):
        said = item["status"]["nodeInfo"]["containerRuntimeVersion"]
        runtime, _, version = said.partition("://")
        oldest = IMAGE_VOLUMES.get(runtime)
        if oldest is not None and _numbers(version) < oldest:
            old.append(f"{item['metadata']['name']} ({said})")
    if old:
        remedy = "set injection.handler.method to initContainer, or upgrade the runtime to containerd 2.1 or CRI-O 1.33"
        yield Finding(PROBLEM, "runtime", f"cannot mount the handler's image: {listing(old)}", remedy)
    elif facts.known("machines"):
        yield Finding(OK, "runtime", "every machine can mount the handler's image")


def _names(facts: Facts, now: datetime) -> Iterator[Finding]:
    slow = sorted(
        {float(seconds) for seconds in re.findall(r"connecting to the store at \S+ took ([\d.]+) s", facts.log)}
    )
    remedy = (
        f"let the name service answer PTR queries for addresses of pods: "
        f"{_TROUBLE}#every-start-of-a-round-takes-5-10-or-15-seconds-longer"
    )
    if slow:
        yield Finding(PROBLEM, "reverse DNS", f"connecting to a store took up to {slow[-1]:g} s", remedy)
    for item in facts.of("name service"):
        text = "\n".join((item.get("data") or {}).values())
        if "kubernetes" in text and "in-addr.arpa" not in text:
            yield Finding(WARNING, "reverse DNS", "CoreDNS answers no PTR queries for addresses of pods", remedy)
        elif not slow:
            yield Finding(OK, "reverse DNS", "CoreDNS answers PTR queries")


def _network(facts: Facts, now: datetime) -> Iterator[Finding]:
    for item in facts.of("network policies"):
        spec = item["spec"]
        selected = [pod for pod in facts.of("pods") if _selects(spec.get("podSelector") or {}, pod)]
        kinds = spec.get("policyTypes") or ["Ingress"]
        if not selected or "Ingress" not in kinds:
            continue
        if not any(_lets_in(rule, selected[0]) for rule in spec.get("ingress") or ()):
            others = [each["metadata"]["name"] for each in facts.of("network policies") if each is not item]
            says = (
                f"{item['metadata']['name']} lets no pod of the group reach "
                f"{selected[0]['metadata']['name']} on all ports"
            )
            says += f", unless {listing(others)} does" if others else ""
            remedy = (
                "allow ingress from the pods of the group on all ports: rank 0 serves the store and gets the beats of "
                "the others, and workers meet each other"
            )
            yield Finding(PROBLEM if not others else WARNING, "NetworkPolicy", says, remedy)


def _selects(selector: Json, pod: Json) -> bool:
    labels = pod["metadata"].get("labels") or {}
    if any(labels.get(key) != value for key, value in (selector.get("matchLabels") or {}).items()):
        return False
    for each in selector.get("matchExpressions") or ():
        value = labels.get(each["key"])
        holds = {
            "In": value in each.get("values", ()),
            "NotIn": value not in each.get("values", ()),
            "Exists": value is not None,
            "DoesNotExist": value is None,
        }
        if not holds.get(each["operator"], True):
            return False
    return True


def _lets_in(rule: Json, pod: Json) -> bool:
    """Whether a rule lets pods like this one reach another one on all ports. Of addresses nothing can be said."""
    if rule.get("ports"):
        return False
    sources = rule.get("from")
    return not sources or any(
        "ipBlock" in source or "namespaceSelector" in source or _selects(source.get("podSelector") or {}, pod)
        for source in sources
    )


def _quota(facts: Facts, now: datetime) -> Iterator[Finding]:
    for item in facts.of("quotas"):
        status = item.get("status") or {}
        hard, used = status.get("hard") or {}, status.get("used") or {}
        full = [
            f"{name} {used[name]} of {most}" for name, most in hard.items() if name in used and _full(used[name], most)
        ]
        if full:
            says = f"{item['metadata']['name']} is used up: {listing(full, shown=6)}"
            yield Finding(WARNING, "quota", says, "raise it, or end what uses it: no further pod or participant fits")


_UNITS = {
    "m": 0.001,
    "k": 1e3,
    "M": 1e6,
    "G": 1e9,
    "T": 1e12,
    "Ki": 2**10,
    "Mi": 2**20,
    "Gi": 2**30,
    "Ti": 2**40,
    "": 1,
}


def _full(used: str, most: str) -> bool:
    amounts = []
    for text in (used, most):
        match = re.fullmatch(r"([\d.]+)(\D*)", text)
        if match is None or match[2] not in _UNITS:
            return False
        amounts.append(float(match[1]) * _UNITS[match[2]])
    return amounts[0] >= amounts[1]


def _release(item: Json) -> str:
    return str((item["metadata"].get("labels") or {}).get("app.kubernetes.io/version", ""))


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(number) for number in re.findall(r"\d+", version)[:2])


CHECKS: Mapping[str, Check] = {
    "Kubernetes": _kubernetes,
    "CRDs": _crds,
    "operator": _operator,
    "leader": _leader,
    "versions": _versions,
    "policies": _policies,
    "rights": _rights,
    "label": _labels,
    "runtime": _runtime,
    "reverse DNS": _names,
    "NetworkPolicy": _network,
    "quota": _quota,
}
"""By what they look at."""
