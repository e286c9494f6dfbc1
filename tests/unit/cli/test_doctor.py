"""Each planted problem is found, with a remedy; where nothing is wrong, nothing is."""

import copy
import re
from collections.abc import Callable
from typing import Any

import pytest
from tests.support.pages import anchors, read, rows, section
from tests.unit.cli.played import trains
from tests.unit.core.builders import now

from kube_rendezvous_cli.doctor import CHECKS, OK, PROBLEM, UNKNOWN, WARNING, Finding, diagnose, report
from kube_rendezvous_cli.facts import CRDS, Facts
from kube_rendezvous_cli.version import SITE, VERSION

Json = dict[str, Any]

MOMENT = now(1200)
OURS = {"app.kubernetes.io/part-of": "kube-rendezvous", "app.kubernetes.io/version": VERSION}
LABELLED = {"rdzv.dev/rendezvous": "train"}


def item(name: str, kind: str = "", labels: Json | None = None, **more: Any) -> Json:
    return {"kind": kind, "metadata": {"name": name, "namespace": "rdzv-system", "labels": labels or OURS}, **more}


def lease(name: str, age: float) -> Json:
    spec = {"holderIdentity": f"{name}-pod", "renewTime": now(1200 - age).timestamp, "leaseDurationSeconds": 15}
    return item(name, spec=spec)


def machine(name: str, runtime: str) -> Json:
    return item(name, status={"nodeInfo": {"containerRuntimeVersion": runtime}})


def healthy() -> Facts:
    """A cluster in which nothing is wrong."""
    scenario = trains()
    rendezvous, participants, pods = scenario.objects()
    for pod in pods:
        pod["metadata"].update(labels=LABELLED, namespace="team-a")
        pod["metadata"]["annotations"] = {"rdzv.dev/injected": f"{VERSION}: environment"}
    lists: dict[str, list[Json]] = {
        "crds": [item(name, spec={"versions": [{"name": "v1alpha1", "served": True}]}) for name in CRDS],
        "operators": [item("kube-rendezvous-operator", status={"readyReplicas": 2})],
        "operator pods": [],
        "leases": [
            lease("kube-rendezvous-operator", 2),
            lease("gone-kube-rendezvous-operator", 999),
            lease("other", 1),
        ],
        "validating policies": [item("kube-rendezvous-participants.rdzv-system")],
        "mutating policies": [
            item("kube-rendezvous-injection.rdzv-system", spec="Object.spec.volumes.image{reference: 'x'}")
        ],
        "machines": [machine("a", "containerd://2.1.0"), machine("b", "cri-o://1.33.2"), machine("c", "other://1")],
        "name service": [item("coredns", data={"Corefile": "kubernetes cluster.local in-addr.arpa ip6.arpa"})],
        "pods": pods,
        "jobs": [],
        "workloads": [],
        "jobsets": [],
        "network policies": [
            item("open", spec={"podSelector": {}, "ingress": [{"from": [{"podSelector": {"matchLabels": LABELLED}}]}]}),
            item("others", spec={"podSelector": {"matchLabels": {"app": "web"}}}),
            item("out", spec={"podSelector": {}, "policyTypes": ["Egress"]}),
        ],
        "quotas": [item("q", status={"hard": {"pods": "10", "cpu": "1"}, "used": {"pods": "9", "cpu": "900m"}})],
        "groups": [rendezvous],
        "participants": participants,
    }
    return Facts("team-a", lists, {}, {"default": []}, "", "v1.36.3")


def found(facts: Facts) -> list[Finding]:
    return [finding for finding in diagnose(facts, MOMENT.wall) if finding.level != OK]


def test_where_nothing_is_wrong_nothing_is_found() -> None:
    assert found(healthy()) == []
    findings = diagnose(healthy(), MOMENT.wall)
    subjects = {finding.subject for finding in findings}
    assert subjects == {*CHECKS, "injection"}, "silence would look as if nothing had been looked at"
    assert report(findings).endswith("0 problems, 0 warnings")


def no_operator(facts: Facts) -> None:
    facts.lists["operators"] = []
    facts.lists["groups"] = []


def deaf_operator(facts: Facts) -> None:
    del facts.lists["groups"][0]["status"]


def unready_operator(facts: Facts) -> None:
    facts.lists["operators"][0]["status"] = {}


def missing_crd(facts: Facts) -> None:
    facts.lists["crds"].pop()


def later_crd(facts: Facts) -> None:
    facts.lists["crds"][0]["spec"]["versions"] = [{"name": "v1alpha1", "served": False}, {"name": "v2", "served": True}]


def no_rights(facts: Facts) -> None:
    facts.rights["train"] = ["create rendezvousparticipants", "patch rendezvousparticipants/status"]


def label_on_the_job(facts: Facts) -> None:
    template: Json = {"metadata": {}, "spec": {"containers": []}}
    facts.lists["jobs"].append(item("train", "Job", LABELLED, spec={"template": template}))


def label_of_nothing(facts: Facts) -> None:
    facts.lists["pods"][0]["metadata"]["labels"] = {"rdzv.dev/rendezvous": "trian"}


def old_runtime(facts: Facts) -> None:
    facts.lists["machines"].append(machine("d", "containerd://1.7.27"))


def slow_names(facts: Facts) -> None:
    said = "connecting to the store at 10.1.2.3:41234 took {} s. torch looks up the name"
    object.__setattr__(facts, "log", f"[pod/a] {said.format('5.0')}\n[pod/b] {said.format('10.2')}\n")


def no_reverse_zone(facts: Facts) -> None:
    facts.lists["name service"][0]["data"] = {"Corefile": "kubernetes cluster.local"}


def two_leaders(facts: Facts) -> None:
    facts.lists["leases"].append(lease("second-kube-rendezvous-operator", 3))


def no_leader(facts: Facts) -> None:
    facts.lists["leases"] = []


def closed_network(facts: Facts) -> None:
    policies = facts.lists["network policies"]
    policies[0]["spec"]["ingress"] = [
        {"from": [{"podSelector": {"matchLabels": {"app": "web"}}}]},
        {"ports": [{"port": 80}]},
    ]
    del policies[1:]


def full_quota(facts: Facts) -> None:
    facts.lists["quotas"][0]["status"]["used"]["cpu"] = "1000m"


def skewed_versions(facts: Facts) -> None:
    facts.lists["operators"][0]["metadata"]["labels"] = {**OURS, "app.kubernetes.io/version": "9.8.7"}


def no_guard(facts: Facts) -> None:
    facts.lists["validating policies"] = []


def old_kubernetes(facts: Facts) -> None:
    object.__setattr__(facts, "server", "v1.31.9-gke.1")


PLANTED: list[tuple[Callable[[Facts], None], str, str, str]] = [
    (missing_crd, PROBLEM, "CRDs", r"rendezvousparticipants\.rdzv\.dev is not installed"),
    (later_crd, PROBLEM, "CRDs", r"is served as v2, and this program knows v1alpha1"),
    (no_operator, PROBLEM, "operator", "no Deployment of the operator"),
    (unready_operator, PROBLEM, "operator", "no pod of rdzv-system/kube-rendezvous-operator is ready"),
    (deaf_operator, PROBLEM, "operator", "has not reacted to train"),
    (no_rights, PROBLEM, "rights", "team-a/train may not create rendezvousparticipants and patch"),
    (label_on_the_job, PROBLEM, "label", "Job/train: the label rdzv.dev/rendezvous is on the Job"),
    (label_of_nothing, PROBLEM, "label", "train-0 waits for the Rendezvous 'trian', and there is none"),
    (old_runtime, PROBLEM, "runtime", r"d \(containerd://1\.7\.27\)"),
    (slow_names, PROBLEM, "reverse DNS", r"took up to 10\.2 s"),
    (no_reverse_zone, WARNING, "reverse DNS", "CoreDNS answers no PTR queries"),
    (two_leaders, WARNING, "leader", "2 operators decide"),
    (no_leader, WARNING, "leader", "no operator holds a Lease"),
    (closed_network, PROBLEM, "NetworkPolicy", "open lets no pod of the group reach train-0"),
    (full_quota, WARNING, "quota", r"q is used up: cpu 1000m of 1"),
    (skewed_versions, WARNING, "versions", r"is of 9\.8\.7"),
    (no_guard, WARNING, "policies", "each agent may write the participants of all others"),
    (old_kubernetes, PROBLEM, "Kubernetes", "is too old"),
]


@pytest.mark.parametrize(("plant", "level", "subject", "says"), PLANTED, ids=[case[0].__name__ for case in PLANTED])
def test_a_planted_problem_is_found(plant: Callable[[Facts], None], level: str, subject: str, says: str) -> None:
    facts = copy.deepcopy(healthy())
    plant(facts)
    findings = found(facts)
    (finding,) = [each for each in findings if each.subject == subject]
    assert finding.level == level
    assert re.search(says, finding.says)
    assert finding.remedy or "Put it into the labels" in finding.says
    # A group that waits without an operator may be a second one.
    assert len(findings) <= 2, findings
    for page, anchor in re.findall(rf"{SITE}([\w/.-]+\.md)(?:#([\w-]+))?", finding.remedy):
        assert not anchor or anchor in anchors(read(page))
    assert f"{finding.subject}: {finding.says}" in report(findings)


def test_what_cannot_be_looked_at_is_said() -> None:
    facts = healthy()
    del facts.lists["machines"]
    facts.unknown.update(machines="nodes is forbidden", jobsets='the server doesn\'t have a resource type "jobsets"')
    assert found(facts) == [Finding(UNKNOWN, "machines", "cannot be looked at: nodes is forbidden")]


def test_with_no_answer_at_all_nothing_is_claimed() -> None:
    facts = Facts("team-a", unknown={"crds": "no route"})
    assert [finding.level for finding in diagnose(facts, MOMENT.wall) if finding.subject != "injection"] == [UNKNOWN]


def test_every_check_has_a_planted_problem_and_a_row_on_the_page() -> None:
    subjects = {subject for _, _, subject, _ in PLANTED}
    assert set(CHECKS) == subjects
    table = {cells[0] for cells in rows(section("docs/kubectl-rdzv.md", "## Doctor"))}
    assert table == (subjects - {"Kubernetes"}) | {"injection"}
