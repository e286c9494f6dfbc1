"""Accounts and roles as the values want them."""

import pytest
import yaml
from tests.chart.support import CHART, RELEASE, SYSTEM, HelmError, Json, is_hook, kinds, only, render

AGENT = "kube-rendezvous-agent"


def rules(role: Json) -> set[tuple[str, str, str]]:
    return {
        (group, resource, verb)
        for rule in role["rules"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }


def test_no_role_has_a_wildcard_or_more_than_it_needs() -> None:
    documents = [*render({"workers.namespaces": ["team"]}), *render({"watchNamespace": "team"})]
    granted = set().union(*(rules(item) for item in documents if item["kind"] in ("Role", "ClusterRole")))
    assert not [right for right in granted if "*" in right]
    assert {group for group, _, _ in granted} == {"", "rdzv.dev", "events.k8s.io", "coordination.k8s.io"}
    assert {right for right in granted if right[0] == ""} == {("", "pods", verb) for verb in ("get", "list", "watch")}


@pytest.mark.parametrize("values", [{}, {"watchNamespace": "team"}])
def test_the_operator_may_get_jobsets_only_where_it_names_runs_by_train_jobs(values: Json) -> None:
    def granted(more: Json) -> set[tuple[str, str, str]]:
        roles = [item for item in render({**values, **more}) if item["kind"] in ("Role", "ClusterRole")]
        return set().union(*map(rules, roles))

    assert granted({"trainJobs.enabled": True}) - granted({}) == {("jobset.x-k8s.io", "jobsets", "get")}


def test_the_operator_may_get_machines_only_where_they_are_evidence() -> None:
    name = f"{RELEASE}-operator.{SYSTEM}"
    without, told = (rules(only(render({"machines.enabled": value}), "ClusterRole", name)) for value in (False, True))
    assert told - without == {("", "nodes", verb) for verb in ("get", "list")}
    with pytest.raises(HelmError, match=r"machines\.enabled needs a right on nodes"):
        render({"machines.enabled": True, "watchNamespace": "team"})


def test_a_namespaced_operator_has_the_same_rules() -> None:
    everywhere = only(render(), "ClusterRole", f"{RELEASE}-operator.{SYSTEM}")
    here = only(render({"watchNamespace": "team"}), "Role", f"{RELEASE}-operator")
    assert rules(everywhere) == rules(here)
    assert here["metadata"]["namespace"] == "team"


def test_each_namespace_of_workers_gets_the_role_of_an_agent() -> None:
    example = {
        item["kind"]: item for item in yaml.safe_load_all((CHART.parents[1] / "examples/agent-rbac.yaml").read_text())
    }
    documents = render({"workers.namespaces": ["a", "b"], "workers.serviceAccount.name": "trainer"})
    for namespace in ("a", "b"):
        mine = [item for item in documents if item["metadata"].get("namespace") == namespace]
        assert kinds(mine) == {"Role", "RoleBinding", "ServiceAccount"}
        assert rules(only(mine, "Role")) == rules(example["Role"])
        assert only(mine, "RoleBinding")["subjects"] == [
            {"kind": "ServiceAccount", "name": "trainer", "namespace": namespace}
        ]
        account = only(mine, "ServiceAccount")["metadata"]
        assert account["name"] == "trainer"
        assert account["annotations"] == {"helm.sh/resource-policy": "keep"}, "running pods have its tokens"
    without = render({"workers.namespaces": ["a"], "workers.serviceAccount.create": False})
    assert kinds([item for item in without if item["metadata"].get("namespace") == "a"]) == {"Role", "RoleBinding"}


@pytest.mark.parametrize(
    "values",
    [
        {"admissionPolicy.enabled": False},
        {"admissionPolicy.validationActions": ["Warn", "Audit"]},
        {"admissionPolicy.namespaceSelector": {"matchLabels": {"team": "a"}}},
        {"watchNamespace": "team"},
    ],
)
def test_all_accounts_may_join_only_under_the_admission_policy(values: Json) -> None:
    everyone = {"workers.namespaces": ["team"], "workers.bindTo": "namespace"}
    assert only(render(everyone), "RoleBinding", f"{RELEASE}-workers")["subjects"] == [
        {"apiGroup": "rbac.authorization.k8s.io", "kind": "Group", "name": "system:serviceaccounts:team"}
    ]
    with pytest.raises(HelmError, match=r"the admission policy must hold in all namespaces"):
        render({**everyone, **values})


def test_the_account_of_the_workers_can_have_an_identity_of_the_cloud() -> None:
    wanted = {"annotations": {"iam.gke.io/gcp-service-account": "a@b.iam.gserviceaccount.com"}, "labels": {"a": "b"}}
    values = {f"workers.serviceAccount.{name}": value for name, value in wanted.items()}
    documents = render({"workers.namespaces": ["team", "eval"], **values})
    for namespace in ("team", "eval"):
        (account,) = [
            item["metadata"]
            for item in documents
            if item["kind"] == "ServiceAccount" and item["metadata"]["namespace"] == namespace
        ]
        assert account["annotations"] == {"helm.sh/resource-policy": "keep", **wanted["annotations"]}
        assert wanted["labels"].items() <= account["labels"].items()


def test_the_account_of_the_operator_is_as_told_and_its_pods_have_its_token() -> None:
    values = {"annotations": {"a": "b"}, "labels": {"c": "d"}, "automount": False}
    documents = render({f"serviceAccount.{name}": value for name, value in values.items()})
    account = only(documents, "ServiceAccount", f"{RELEASE}-operator")
    assert account["metadata"]["annotations"] == {"a": "b"}
    assert account["metadata"]["labels"]["c"] == "d"
    assert account["automountServiceAccountToken"] is False
    assert only(documents, "Deployment")["spec"]["template"]["spec"]["automountServiceAccountToken"] is True


def test_the_cluster_role_of_an_agent_has_its_rights_and_never_more() -> None:
    """The admission policy trusts who has `administer`, so nothing may add it to what every pod can have."""
    example = yaml.safe_load_all((CHART.parents[1] / "examples/agent-rbac.yaml").read_text())
    (role,) = [item for item in example if item["kind"] == "Role"]
    found = only(render({"commonLabels": {"team": "a"}}), "ClusterRole", AGENT)
    assert rules(found) == rules(role)
    assert "administer" not in {verb for _, _, verb in rules(found)}
    assert "aggregationRule" not in found
    assert not [label for label in found["metadata"]["labels"] if label.startswith("rbac.authorization.k8s.io/")]
    for values in ({"workers.clusterRole.create": False}, {"watchNamespace": "team"}):
        assert AGENT not in {item["metadata"]["name"] for item in render(values)}


def test_the_self_test_has_the_rights_of_an_agent_and_no_more() -> None:
    documents = render({"workers.namespaces": ["team"]})
    agent = only(documents, "Role", f"{RELEASE}-worker")
    hook = only(documents, "Role", f"{RELEASE}-test")
    assert rules(hook) == rules(agent)
    hooks = [item for item in documents if is_hook(item)]
    assert kinds(hooks) == {"Job", "Rendezvous", "Role", "RoleBinding", "ServiceAccount"}
    assert {item["metadata"]["annotations"]["helm.sh/hook"] for item in hooks} == {"test"}
