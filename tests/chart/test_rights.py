"""What operator, agents and users may do by the chart's roles: what they need, and nothing else."""

import json
import os
import re
import shlex
import ssl
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from tests.chart.support import RELEASE, ROOT, SYSTEM, install, make_pod, participant, render, token_of
from tests.support.api import Api
from tests.support.objects import rendezvous
from tests.support.pages import fences, section
from tests.support.processes import Process, start_operator
from tests.support.waiting import wait_until

from rendezvous_api import names
from rendezvous_controlplane import ControlPlaneError, LocalControlPlane

OPERATOR = f"{RELEASE}-operator"
INSTALL = ROOT / "docs" / "install.md"
_SELF_TEST = "import sys; from rendezvous_handler.selftest.__main__ import main; sys.exit(main())"

Right = tuple[str, str, str]
"""Verb, resource and subresource ('' for none)."""

OBJECTS = [f"{plural}.{names.GROUP}" for plural in (names.RENDEZVOUS_PLURAL, names.PARTICIPANT_PLURAL)]
VERBS = ["get", "list", "watch", "create", "update", "patch", "delete", "deletecollection", "administer"]
ASKED: list[Right] = [
    *[(verb, kind, subresource) for kind in OBJECTS for subresource in ("", "status") for verb in VERBS],
    *[
        (verb, kind, "")
        for kind in ("pods", "events.events.k8s.io", "leases.coordination.k8s.io")
        for verb in VERBS[:-1]
    ],
    *[(verb, kind, "") for kind in ("secrets", "configmaps", "nodes", "serviceaccounts") for verb in VERBS[:-1]],
    ("create", "pods", "exec"),
    ("create", "serviceaccounts", "token"),
]
RENDEZVOUS, PARTICIPANTS = OBJECTS
READ = ("get", "list", "watch")
OF_OPERATOR: set[Right] = {
    *[(verb, kind, "") for kind in OBJECTS for verb in (*READ, "delete")],
    ("update", RENDEZVOUS, "status"),
    ("administer", PARTICIPANTS, ""),
    *[(verb, "pods", "") for verb in READ],
    ("create", "events.events.k8s.io", ""),
    ("patch", "events.events.k8s.io", ""),
}
OF_AGENT: set[Right] = {
    *[(verb, RENDEZVOUS, "") for verb in (*READ, "create")],
    *[(verb, PARTICIPANTS, "") for verb in ("get", "create", "update", "patch", "delete")],
    *[(verb, PARTICIPANTS, "status") for verb in ("update", "patch")],
}


def rights(plane: LocalControlPlane, user: str, namespace: str, groups: Sequence[str] = ()) -> set[Right]:
    """Which of the rights that are asked for somebody has in a namespace, by SubjectAccessReview."""
    reviews = []
    for verb, resource, subresource in ASKED:
        kind, _, group = resource.partition(".")
        attributes = {
            "namespace": namespace,
            "verb": verb,
            "group": group,
            "resource": kind,
            "subresource": subresource,
        }
        spec = {"user": user, "groups": ["system:authenticated", *groups], "resourceAttributes": attributes}
        reviews.append({"apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview", "spec": spec})
    body = json.dumps({"apiVersion": "v1", "kind": "List", "items": reviews})
    # kubectl prints one document for each.
    answers = plane.kubectl("create", "-f", "-", "-o", 'jsonpath={.status.allowed}{"\\n"}', input=body).split("\n")
    assert len(answers) == len(ASKED) + 1
    return {right for right, answer in zip(ASKED, answers, strict=False) if answer == "true"}


def account(namespace: str, name: str) -> str:
    return f"system:serviceaccount:{namespace}:{name}"


def test_the_operator_may_do_what_it_does_and_no_more(control_plane: LocalControlPlane, namespace: str) -> None:
    user = account(SYSTEM, OPERATOR)
    assert rights(control_plane, user, namespace) == OF_OPERATOR
    lease = ("create", "leases.coordination.k8s.io", "")
    assert rights(control_plane, user, SYSTEM) == {*OF_OPERATOR, lease}
    for verb, name, allowed in (
        ("get", OPERATOR, "yes"),
        ("update", OPERATOR, "yes"),
        ("patch", OPERATOR, "no"),
        ("delete", OPERATOR, "no"),
        ("update", "another", "no"),
    ):
        asked = ("auth", "can-i", verb, f"leases.coordination.k8s.io/{name}", "-n", SYSTEM, f"--as={user}")
        assert answer(control_plane, *asked) == allowed


def answer(plane: LocalControlPlane, *arguments: str) -> str:
    """What `kubectl auth can-i` says; it fails when it says no."""
    try:
        return plane.kubectl(*arguments).strip()
    except ControlPlaneError:
        return "no"


def test_an_agent_may_join_in_its_namespaces_only(control_plane: LocalControlPlane, namespace: str) -> None:
    user = account("agents", "rendezvous-agent")
    assert rights(control_plane, user, "agents") == OF_AGENT
    assert rights(control_plane, user, namespace) == set()


def make_admin(plane: LocalControlPlane, namespace: str, user: str) -> None:
    """Let the user administer the namespace.

    The controller that adds rules to `admin` is not here, so what it would add is bound itself.
    """
    for role in ("system:aggregate-to-admin", *(f"{RELEASE}-{role}.{SYSTEM}" for role in ("view", "edit", "admin"))):
        name = f"{user}-{role.rpartition(':')[2]}"
        plane.kubectl("create", "rolebinding", name, "-n", namespace, f"--clusterrole={role}", f"--user={user}")


def one_line() -> list[str]:
    """The arguments of kubectl with which docs/install.md lets an account join."""
    (line,) = re.findall(
        r"^kubectl (.*--clusterrole=kube-rendezvous-agent.*)$", INSTALL.read_text(), flags=re.MULTILINE
    )
    return str(line).split()


@pytest.mark.parametrize("subject", ["--serviceaccount=team-c:default", "--group=system:serviceaccounts:team-c"])
def test_one_line_lets_an_account_join(control_plane: LocalControlPlane, namespace: str, subject: str) -> None:
    """Who administers the namespace may write it. The policy holds for these pods as for all others."""
    make_admin(control_plane, namespace, "adam")
    Api(control_plane, namespace).create_account("mine")
    account_of = {"team-c:default": f"{namespace}:mine", "team-c": namespace}
    words = [subject if word.startswith("--serviceaccount=") else word for word in one_line()]
    command = [re.sub(r"team-c(:default)?", lambda match: account_of[match[0]], word) for word in words]
    assert subject in INSTALL.read_text()
    control_plane.kubectl(*command, kubeconfig=control_plane.kubeconfig_for("adam"))

    groups = [f"system:serviceaccounts:{namespace}"]
    assert rights(control_plane, account(namespace, "mine"), namespace, groups) == OF_AGENT
    assert rights(control_plane, account(namespace, "mine"), "agents", groups) == set()
    first, second = (make_pod(control_plane, namespace, name, "mine") for name in ("train-0", "train-1"))
    agent = Api(control_plane, namespace, first.kubeconfig)
    agent.create(participant(first))
    with pytest.raises(ControlPlaneError, match="a pod writes only its own RendezvousParticipant"):
        agent.create(participant(second))


def test_every_account_of_a_namespace_may_join(
    control_plane: LocalControlPlane, namespace: str, tmp_path: Path
) -> None:
    """With `workers.bindTo: namespace`: no account of the chart, and each pod still writes only its own."""
    values = {"workers.namespaces": [namespace], "workers.bindTo": "namespace"}
    mine = [item for item in render(values, release="spaces") if item["metadata"].get("namespace") == namespace]
    assert [item["kind"] for item in mine] == ["RoleBinding"]
    install(control_plane, tmp_path, mine)
    api = Api(control_plane, namespace)
    pods = []
    for name in ("data", "train"):
        api.create_account(name)
        pods.append(make_pod(control_plane, namespace, f"{name}-0", name))
    everyone = ["system:serviceaccounts"]
    groups = [*everyone, f"system:serviceaccounts:{namespace}"]
    wait_until(lambda: rights(control_plane, account(namespace, "data"), namespace, groups) == OF_AGENT, "the binding")
    assert rights(control_plane, account(namespace, "data"), "agents", groups) == set()
    elsewhere = [*everyone, "system:serviceaccounts:agents"]
    assert rights(control_plane, account("agents", "rendezvous-agent"), namespace, elsewhere) == set()
    first, second = pods
    for own, other in ((first, second), (second, first)):
        agent = Api(control_plane, namespace, own.kubeconfig)
        agent.create(participant(own))
        with pytest.raises(ControlPlaneError, match="a pod writes only its own RendezvousParticipant"):
            agent.create(participant(other, suffix=".1"))
    with pytest.raises(ControlPlaneError, match="is not bound to a pod"):
        Api(control_plane, namespace, token_of(control_plane, namespace, "data")).create(participant(first, "eval"))


def test_a_job_keeps_its_own_account(
    control_plane: LocalControlPlane, processes: list[Process], tmp_path: Path
) -> None:
    """As docs/account.md says: an admin binds the Role, the annotations stay, and the policy holds for its pods."""
    (bind, *_) = fences(section("docs/account.md", "## Bind the Role to your account"), "sh")
    identity = {"eks.amazonaws.com/role-arn": "arn:aws:iam::000000000000:role/train"}
    agents = Api(control_plane, "agents")
    metadata = {"name": "train", "annotations": identity}
    agents.create({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata})
    make_admin(control_plane, "agents", "adam")

    def bound() -> bool:
        try:
            control_plane.kubectl(*shlex.split(bind.replace("team-a", "agents"))[1:], "--as=adam")
        except ControlPlaneError:  # the API server learns of roles by a watch of its own
            return False
        return True

    wait_until(bound, "an admin of the namespace may bind the Role")
    user = account("agents", "train")
    wait_until(lambda: rights(control_plane, user, "agents") == OF_AGENT, "the binding holds")
    start_as(control_plane, processes, tmp_path, OPERATOR)
    two_pods_meet(control_plane, processes, tmp_path, "agents", "train", name="own-account")
    first, second = (make_pod(control_plane, "agents", f"own-{index}", "train") for index in range(2))
    with pytest.raises(ControlPlaneError, match="a pod writes only its own RendezvousParticipant"):
        Api(control_plane, "agents", first.kubeconfig).create(participant(second, "own-account"))
    assert agents.read("ServiceAccount", "train")["metadata"]["annotations"] == identity


@pytest.fixture
def team(control_plane: LocalControlPlane, namespace: str, tmp_path: Path) -> str:
    """A namespace with a release of its own, which serves it alone."""
    values = {"watchNamespace": namespace, "crds.enabled": False, "workers.namespaces": [namespace]}
    install(control_plane, tmp_path, render(values, release="small"))
    return namespace


def test_an_operator_of_one_namespace_has_no_rights_elsewhere(control_plane: LocalControlPlane, team: str) -> None:
    user = account(SYSTEM, "small-kube-rendezvous-operator")
    assert rights(control_plane, user, team) == OF_OPERATOR
    assert rights(control_plane, user, "default") == set()
    assert rights(control_plane, user, SYSTEM) == {("create", "leases.coordination.k8s.io", "")}


@pytest.mark.parametrize(
    ("roles", "more"),
    [
        (["view"], set()),
        (["view", "edit"], {(verb, RENDEZVOUS, "") for verb in VERBS[3:-1]}),
        (
            ["view", "edit", "admin"],
            {
                *[(verb, RENDEZVOUS, "") for verb in VERBS[3:-1]],
                *[(verb, PARTICIPANTS, "") for verb in VERBS[3:]],
                *[(verb, PARTICIPANTS, "status") for verb in ("update", "patch")],
            },
        ),
    ],
)
def test_users_see_change_and_administer(
    control_plane: LocalControlPlane, namespace: str, roles: list[str], more: set[Right]
) -> None:
    for role in roles:  # the controller that adds them to `view`, `edit` and `admin` is not here
        name = f"{RELEASE}-{role}.{SYSTEM}"
        found = json.loads(control_plane.kubectl("get", "clusterrole", name, "-o", "json"))
        assert found["metadata"]["labels"][f"rbac.authorization.k8s.io/aggregate-to-{roles[-1]}"] == "true"
        control_plane.kubectl("create", "rolebinding", role, "-n", namespace, f"--clusterrole={name}", "--user=eve")
    seen = {(verb, kind, part) for verb in READ for kind in OBJECTS for part in ("", "status")}
    assert rights(control_plane, "eve", namespace) == seen | more


# ---- with these rights, it works


@pytest.fixture
def processes(tmp_path: Path) -> Iterator[list[Process]]:
    started: list[Process] = []
    yield started
    for process in started:
        process.kill()


def two_pods_meet(
    plane: LocalControlPlane, processes: list[Process], folder: Path, namespace: str, account: str, name: str = "check"
) -> None:
    """As in `helm test`: the real programs, with the rights and the guards of the chart."""
    api = Api(plane, namespace)
    api.create(rendezvous(name, minNodes=2, maxNodes=2))
    members = []
    for index in range(2):
        pod = make_pod(plane, namespace, f"{name}-{index}", account)
        command = [sys.executable, "-c", _SELF_TEST, f"--rendezvous={namespace}/{name}", "--timeout-seconds=60"]
        members.append(Process(command, folder / f"{pod.name}.log", {**os.environ, "KUBECONFIG": str(pod.kubeconfig)}))
        processes.append(members[-1])
    assert [member.wait(90) for member in members] == [0, 0], [member.log for member in members]
    assert api.read(names.RENDEZVOUS_KIND, name)["status"]["history"][0]["nodes"] == 2


def start_as(
    plane: LocalControlPlane, processes: list[Process], folder: Path, account: str, *arguments: str
) -> Process:
    """An operator with the rights of a service account, whose name is that of its Lease, too."""
    lease = [f"--leader-elect-lease-name={account}", f"--leader-elect-lease-namespace={SYSTEM}"]
    kubeconfig = token_of(plane, SYSTEM, account)
    operator = start_operator(kubeconfig, folder / "operator.log", "--leader-elect", *lease, "--verbose", *arguments)
    processes.append(operator)
    return operator


def test_two_pods_meet_under_the_policy(
    control_plane: LocalControlPlane, processes: list[Process], tmp_path: Path
) -> None:
    operator = start_as(control_plane, processes, tmp_path, OPERATOR)
    two_pods_meet(control_plane, processes, tmp_path, "agents", "rendezvous-agent")
    assert "forbidden" not in operator.log, operator.log


def test_two_pods_meet_with_an_operator_of_their_namespace(
    control_plane: LocalControlPlane, processes: list[Process], tmp_path: Path, team: str
) -> None:
    account = "small-kube-rendezvous-operator"
    operator = start_as(control_plane, processes, tmp_path, account, f"--namespace={team}")
    two_pods_meet(control_plane, processes, tmp_path, team, "rendezvous-agent")
    assert "forbidden" not in operator.log, operator.log


# ---- priority and fairness


@pytest.mark.parametrize(
    ("namespace_of", "name", "path", "schema"),
    [
        ("agents", "rendezvous-agent", "/apis/rdzv.dev/v1alpha1/namespaces/agents/rendezvous", "workers"),
        (SYSTEM, OPERATOR, "/apis/rdzv.dev/v1alpha1/rendezvous", "operator"),
        (SYSTEM, OPERATOR, "/api/v1/pods", "operator"),
        ("agents", "rendezvous-agent", "/api/v1/namespaces/agents/pods", None),
    ],
)
def test_requests_are_at_the_level_that_is_theirs(
    control_plane: LocalControlPlane, namespace_of: str, name: str, path: str, schema: str | None
) -> None:
    kubeconfig = token_of(control_plane, namespace_of, name)
    token = json.loads(kubeconfig.read_text())["users"][0]["user"]["token"]
    uid = wait_until(lambda: flow_schema(control_plane, path, token), "the API server says which FlowSchema it used")
    found = json.loads(control_plane.kubectl("get", "flowschemas", "-o", "json"))["items"]
    (used,) = [item["metadata"]["name"] for item in found if item["metadata"]["uid"] == uid]
    assert used == (f"{RELEASE}-{schema}.{SYSTEM}" if schema else "service-accounts")


def flow_schema(plane: LocalControlPlane, path: str, token: str) -> str | None:
    """The UID of the FlowSchema of a request, from the header of its answer."""
    request = urllib.request.Request(plane.url + path, headers={"Authorization": f"Bearer {token}"})
    context = ssl._create_unverified_context()  # a loopback address of our own
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context))
    try:
        answer = opener.open(request, timeout=10)
    except urllib.error.HTTPError as error:
        answer = error  # refused by RBAC, and classified before that
    found = answer.headers.get("X-Kubernetes-PF-FlowSchema-UID")
    return found if re.fullmatch(r"[0-9a-f-]{36}", found or "") else None
