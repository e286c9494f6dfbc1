"""A pod of the namespace has turned against the others: what its token is good for, and what it is told.

Everything here is asked with tokens out of real pods, of the chart's own roles, beside a group that trains.
"""

import re
import secrets
import time
from collections.abc import Iterator

import pytest
from testcluster import Cluster
from testcluster.credentials import admin_token
from tests.cluster.harness import Group
from tests.cluster.hostile import (
    APPLY_PATCH,
    DECOY,
    MERGE_PATCH,
    PARTICIPANTS,
    RENDEZVOUS,
    TOKEN,
    Api,
    Json,
    Resource,
    Right,
    Scene,
    assert_refused,
    participants,
    resources,
    sleeping_pod,
)
from tests.cluster.manifests import SERVICE_ACCOUNT, indexed_job, rendezvous
from tests.cluster.order import TEMPORARY, remove_namespace, show
from tests.cluster.release import NAMESPACE, ROOT, TEAM, Release
from tests.cluster.undisturbed import assert_everyone_is_heard, assert_undisturbed, look_at

from rendezvous_api import names

CREATED, OK, UNAUTHORIZED, FORBIDDEN, INVALID = 201, 200, 401, 403, 422
OTHER_UID = "00000000-0000-4000-8000-000000000000"
ROLE = {
    *(Right(verb, names.GROUP, RENDEZVOUS) for verb in ("get", "list", "watch", "create")),
    *(Right(verb, names.GROUP, PARTICIPANTS) for verb in ("get", "create", "update", "patch", "delete")),
    *(Right(verb, names.GROUP, f"{PARTICIPANTS}/status") for verb in ("update", "patch")),
}
"""All that the role of agents grants."""
VERBS = ("get", "list", "watch", "create", "update", "patch", "delete", "deletecollection")
INTERESTING = [
    *(Resource(names.GROUP, names.VERSION, name, True, VERBS) for name in (RENDEZVOUS, PARTICIPANTS)),
    *(
        Resource(names.GROUP, names.VERSION, f"{name}/status", True, ("get", "update", "patch"))
        for name in (RENDEZVOUS, PARTICIPANTS)
    ),
    *(Resource("", "v1", name, True, VERBS) for name in ("pods", "secrets", "configmaps", "events", "serviceaccounts")),
    Resource("", "v1", "serviceaccounts/token", True, ("create",)),
    Resource("coordination.k8s.io", "v1", "leases", True, VERBS),
    Resource("events.k8s.io", "v1", "events", True, VERBS),
]
"""Whatever somebody could want of another namespace."""


@pytest.fixture(scope="module", params=["serviceAccount", "namespace"])
def scene(
    cluster: Cluster, release: Release, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> Iterator[Scene]:
    """Two pods train; a third one may join as they may, and does not belong to them.

    It has their service account, or, with `workers.bindTo: namespace`, another one of the namespace.
    """
    namespace = f"{TEMPORARY}{secrets.token_hex(3)}"
    cluster.kubectl("create", "namespace", namespace)
    # So the role is the chart's.
    namespaces = f"workers.namespaces={{{TEAM},{namespace}}}"
    release.install("--set", namespaces, "--set", f"workers.bindTo={request.param}")
    group = Group(cluster, namespace, tmp_path_factory.mktemp("hostile"))
    account = SERVICE_ACCOUNT
    if request.param == "namespace":
        account = "stranger"
        for name in (SERVICE_ACCOUNT, account):
            group.kubectl("create", "serviceaccount", name)
    group.create_rendezvous(2, 2)
    group.create(indexed_job("train", 2, group.template("2:2")))
    group.wait_for_training(2)
    hostile = sleeping_pod(group, "hostile", account=account)
    token = group.kubectl("exec", hostile.name, "--", "cat", TOKEN)
    admin = Api(cluster, admin_token())
    yield Scene(group, look_at(group), group.pod_of_rank(0), hostile, Api(cluster, token), admin, account)
    remove_namespace(cluster, namespace)
    release.install("--set", "workers.bindTo=serviceAccount")


@pytest.fixture(autouse=True)
def nobody_notices(scene: Scene, release: Release, request: pytest.FixtureRequest) -> Iterator[None]:
    """Whatever the hostile pod does: the others train on, and what they have written is as they wrote it."""
    pods = [scene.victim, scene.group.pod_of_rank(1)]
    before = {pod.name: scene.stored(f"{scene.group.name}.{pod.name}") for pod in pods}
    yield
    report = getattr(request.node, "report", None)
    if report is not None and report.failed:
        show(scene.group.cluster, release, scene.namespace)
    for pod in pods:
        after = scene.stored(f"{scene.group.name}.{pod.name}")
        assert after["spec"] == before[pod.name]["spec"]
        assert after["metadata"]["uid"] == before[pod.name]["metadata"]["uid"]
        assert after["metadata"]["labels"] == before[pod.name]["metadata"]["labels"]
        assert "finalizers" not in after["metadata"]
    assert_everyone_is_heard(scene.group)
    assert_undisturbed(scene.group, scene.before)


def test_every_verb_on_everything(scene: Scene) -> None:
    """The token's rights are those of the role, and nothing else; RBAC names each right that is missing."""
    nobody = scene.api_of(scene.group.cluster.kubectl("--namespace", TEAM, "create", "token", "default").strip())
    rights: dict[str, set[Right]] = {"hostile": set(), "nobody": set()}
    asked = 0
    for resource in resources(scene.admin):
        for verb in resource.verbs:
            right = Right(verb, resource.group, resource.name)
            for who, api in (("hostile", scene.api), ("nobody", nobody)):
                answer = api.ask(resource, verb, scene.namespace, "some-name")
                asked += 1
                if (missing := answer.lacks_right) is None:
                    rights[who].add(right)
                else:
                    assert answer.status == FORBIDDEN
                    assert (missing.group, missing.resource) == (right.group, right.resource)
                    assert missing.verb == verb or resource.name.startswith("pods/"), answer.message
    print(f"{asked} requests; whoever has a token may: {sorted(rights['nobody'])}")
    assert rights["hostile"] - rights["nobody"] == ROLE
    assert not [right for right in rights["nobody"] if right.group == names.GROUP]
    assert asked > 500, "discovery has shown everything"


@pytest.mark.parametrize("namespace", [NAMESPACE, TEAM, "kube-system"])
def test_other_namespaces(scene: Scene, namespace: str) -> None:
    for resource in INTERESTING:
        for verb in resource.verbs:
            answer = scene.api.ask(resource, verb, namespace, "some-name")
            assert answer.status == FORBIDDEN, (resource, verb, answer)
            assert answer.lacks_right == Right(verb, resource.group, resource.name), answer
            assert f'in the namespace "{namespace}"' in answer.message


def test_what_is_its_own(scene: Scene) -> None:
    """It may read every Rendezvous and participant, make a Rendezvous, and do everything with its own participant."""
    collection = f"/apis/{names.API_VERSION}/namespaces/{scene.namespace}/{RENDEZVOUS}"
    assert scene.api.get(f"{collection}/{scene.group.name}")["status"]["round"] == 1
    assert scene.api.request("POST", collection, {**rendezvous(DECOY, 1, 1), "status": {"round": 7}}).status == CREATED
    assert scene.api.get(f"{collection}/{DECOY}").get("status", {}).get("round", 0) != 7, "a status that nobody decided"

    assert scene.api.get(participants(scene.namespace, scene.target))["spec"]["podUID"] == scene.victim.uid

    assert scene.create(scene.claim(scene.hostile)).status == CREATED
    name = f"{DECOY}.{scene.hostile.name}"
    assert scene.api.get(participants(scene.namespace, name))["spec"]["podUID"] == scene.hostile.uid
    beat = {"status": {"incarnation": "abcd1234", "attempt": 1, "heartbeatTime": "2026-01-01T00:00:00Z"}}
    assert scene.patch(name, beat, "status").status == OK
    assert scene.patch(name, {"spec": {"attempt": 2}}).status == OK
    assert scene.create(scene.claim(scene.hostile, suffix=".1")).status == CREATED, "a second agent of the pod"
    for own in (name, f"{name}.1"):
        assert scene.api.request("DELETE", participants(scene.namespace, own)).status == OK


def test_what_belongs_to_others(scene: Scene) -> None:
    """Every way to write the victim's participant."""
    path, body = participants(scene.namespace, scene.target), scene.stored(scene.target)
    victim, hostile = scene.victim, scene.hostile
    why = (
        f'spec.podUID is "{victim.uid}" of pod {victim.name}, and the request comes from pod {hostile.name} '
        f"(UID {hostile.uid}): a pod writes only its own RendezvousParticipant"
    )
    left = {"spec": {"state": "Left", "leaveReason": "Succeeded"}}
    beat = {"status": {**body["status"], "round": 0}}
    mine = {"podName": hostile.name, "podUID": hostile.uid}
    ways = {
        "patch": scene.patch(scene.target, left),
        "patch of the heartbeat": scene.patch(scene.target, beat, "status"),
        "patch to make it its own": scene.patch(scene.target, {"spec": mine}),
        "patch of the owner": scene.patch(scene.target, {"metadata": {"ownerReferences": []}}),
        "finalizer": scene.patch(scene.target, {"metadata": {"finalizers": ["example.com/stay"]}}),
        "update": scene.api.request("PUT", path, {**body, "spec": {**body["spec"], "attempt": 99}}),
        "update of the heartbeat": scene.api.request("PUT", f"{path}/status", {**body, **beat}),
        "server-side apply": scene.api.request(
            "PATCH", f"{path}?fieldManager=x&force=true", _applied(body, left), APPLY_PATCH
        ),
        "delete": scene.api.request("DELETE", path),
        "delete for good": scene.api.request("DELETE", f"{path}?gracePeriodSeconds=0&propagationPolicy=Orphan"),
    }
    for way, answer in ways.items():
        assert answer.status in (FORBIDDEN, INVALID), (way, answer)
        if answer.status == INVALID:  # the schema speaks before the policy
            assert "may not change" in answer.message, (way, answer)
        else:
            assert_refused(answer, why)
    everything = scene.api.request("DELETE", participants(scene.namespace))
    assert everything.lacks_right == Right("deletecollection", names.GROUP, PARTICIPANTS)


def _applied(body: Json, change: Json) -> Json:
    kept = {key: body[key] for key in ("apiVersion", "kind")}
    return {**kept, "metadata": {"name": body["metadata"]["name"]}, "spec": {**body["spec"], **change["spec"]}}


def test_forged_fields(scene: Scene) -> None:
    """A participant of its own that claims something else; nothing of it gets in."""
    victim, hostile = scene.victim, scene.hostile
    who = f"pod {hostile.name} (UID {hostile.uid})"
    train = scene.group.name
    victims_owner = {"apiVersion": "v1", "kind": "Pod", "name": victim.name, "uid": victim.uid}
    root_ca = scene.admin.get(f"/api/v1/namespaces/{scene.namespace}/configmaps/kube-root-ca.crt")["metadata"]["uid"]
    config_map = {"apiVersion": "v1", "kind": "ConfigMap", "name": "kube-root-ca.crt", "uid": root_ca}
    as_pod = {**config_map, "kind": "Pod"}
    other_node = next(node for node in scene.group.cluster.nodes if node != hostile.node)
    label = names.LABEL_RENDEZVOUS
    forged: dict[str, tuple[Json, Json, str]] = {
        "another pod": (
            {"podName": victim.name, "podUID": victim.uid},
            {},
            f'spec.podUID is "{victim.uid}" of pod {victim.name}, and the request comes from {who}',
        ),
        "another pod's UID": ({"podUID": victim.uid}, {}, f'spec.podUID is "{victim.uid}"'),
        "a UID of nobody": ({"podUID": OTHER_UID}, {}, f'spec.podUID is "{OTHER_UID}"'),
        "another pod's name": (
            {"podName": victim.name},
            {},
            f'spec.podName is "{victim.name}", and the request comes from {who}',
        ),
        "no pod": ({"podName": None, "podUID": None}, {}, 'spec.podUID is "", and the request comes from'),
        "the name of another's": (
            {},
            {"name": f"{DECOY}.{victim.name}"},
            f'metadata.name is "{DECOY}.{victim.name}", and must be {DECOY}.{hostile.name} or ',
        ),
        "the name of another's second agent": (
            {"rendezvousName": train},
            {"name": f"{train}.{victim.name}.1", "labels": {label: train}},
            f'metadata.name is "{train}.{victim.name}.1", and must be {train}.{hostile.name} or ',
        ),
        "another Rendezvous": (
            {"rendezvousName": train},
            {},
            "`metadata.name` must begin with `spec.rendezvousName` and a dot",
        ),
        "the label of another Rendezvous": (
            {},
            {"labels": {label: train}},
            f'the label rdzv.dev/rendezvous is "{train}", and must be spec.rendezvousName, "{DECOY}"',
        ),
        "no label": ({}, {"labels": {}}, 'the label rdzv.dev/rendezvous is ""'),
        "another node": (
            {"nodeName": other_node},
            {},
            f'spec.nodeName is "{other_node}", and the token of the pod says "{hostile.node}"',
        ),
        "owned by another pod": (
            {},
            {"ownerReferences": [victims_owner]},
            f"metadata.ownerReferences names Pod {victim.name} (UID {victim.uid}), and may name nothing but {who}",
        ),
        "owned by something else": ({}, {"ownerReferences": [config_map]}, "names ConfigMap kube-root-ca.crt"),
        "owned by something else, called a pod": ({}, {"ownerReferences": [as_pod]}, "names Pod kube-root-ca.crt"),
        "a finalizer": (
            {},
            {"finalizers": ["example.com/stay"]},
            'metadata.finalizers is ["example.com/stay"]: an agent adds no finalizer',
        ),
    }
    for what, (spec, metadata, why) in forged.items():
        body = scene.claim(hostile)
        body["metadata"] |= metadata
        body["spec"] = {key: value for key, value in {**body["spec"], **spec}.items() if value is not None}
        by_post = scene.create(body)
        apply = f"{participants(scene.namespace, body['metadata']['name'])}?fieldManager=x&force=true"
        for answer in (by_post, scene.api.request("PATCH", apply, body, APPLY_PATCH)):
            assert answer.status in (FORBIDDEN, INVALID), (what, answer)
            assert why in answer.message, (what, answer.message)
        print(f"{what}: {by_post.message.partition('denied request: ')[2] or by_post.message}")


def test_its_own_does_not_become_anything_else(scene: Scene) -> None:
    """A participant that was made as it should be is changed afterwards."""
    name, train = f"{DECOY}.{scene.hostile.name}", scene.group.name
    assert scene.create(scene.claim(scene.hostile)).status == CREATED
    changes: list[tuple[Json, str]] = [
        ({"spec": {"podUID": scene.victim.uid}}, "podUID"),
        ({"spec": {"podName": scene.victim.name}}, "podName"),
        ({"spec": {"rendezvousName": train}}, "rendezvousName"),
        ({"spec": {"nodeName": "node-x"}}, 'spec.nodeName is "node-x"'),
        ({"metadata": {"labels": {names.LABEL_RENDEZVOUS: train}}}, "the label rdzv.dev/rendezvous is"),
        ({"metadata": {"finalizers": ["example.com/stay"]}}, "metadata.finalizers is"),
        (
            {"metadata": {"ownerReferences": [{"apiVersion": "v1", "kind": "Pod", "name": "x", "uid": OTHER_UID}]}},
            "metadata.ownerReferences names",
        ),
    ]
    for change, why in changes:
        answer = scene.patch(name, change)
        assert answer.status in (FORBIDDEN, INVALID), (change, answer)
        assert why in answer.message, answer.message
    assert scene.api.request("DELETE", participants(scene.namespace, name)).status == OK


def test_who_it_says_it_is(scene: Scene) -> None:
    """Headers by which administrators act as somebody else."""
    user = f"system:serviceaccount:{scene.namespace}:rendezvous-agent"
    pod_extra = "Impersonate-Extra-authentication.kubernetes.io%2Fpod-uid"
    for headers in (
        {"Impersonate-User": "system:serviceaccount:kube-system:generic-garbage-collector"},
        {"Impersonate-User": user, "Impersonate-Group": "system:masters"},
        {"Impersonate-User": user, pod_extra: scene.victim.uid},
    ):
        path = participants(scene.namespace, scene.target)
        answer = scene.api.request("DELETE", path, headers=headers)
        assert answer.status == FORBIDDEN
        assert "impersonate" in answer.message, answer.message
        print(answer.message)


def test_a_pod_of_the_victims_name_elsewhere(scene: Scene) -> None:
    """It is bound to the role, too: as a pod of a team that works in two namespaces."""
    cluster, elsewhere = scene.group.cluster, f"{scene.namespace}-2"
    cluster.kubectl("create", "namespace", elsewhere)
    try:
        cluster.kubectl("--namespace", elsewhere, "apply", "-f", str(ROOT / "examples" / "agent-rbac.yaml"))
        role, account = "--clusterrole=kube-rendezvous-agent", f"--serviceaccount={elsewhere}:rendezvous-agent"
        scene.group.kubectl("create", "rolebinding", "elsewhere", role, account)
        double = sleeping_pod(scene.group, scene.victim.name, elsewhere)
        api = scene.api_of(scene.token_of(double, elsewhere))
        path = participants(scene.namespace, scene.target)
        assert api.request("GET", path).status == OK, "the role is bound"
        for answer in (
            api.request("DELETE", path),
            api.request("PATCH", path, {"spec": {"closeRequested": True}}, MERGE_PATCH),
        ):
            assert_refused(answer, f"comes from pod {double.name} (UID {double.uid}): a pod writes only its own")
    finally:
        remove_namespace(cluster, elsewhere)


def test_tokens_that_are_bound_to_no_pod(scene: Scene) -> None:
    bound_to_secret = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "long", "annotations": {"kubernetes.io/service-account.name": "rendezvous-agent"}},
        "type": "kubernetes.io/service-account-token",
    }
    scene.group.create(bound_to_secret)
    path = f"/api/v1/namespaces/{scene.namespace}/secrets/long"
    scene.group.wait(lambda: "token" in scene.admin.get(path).get("data", {}), "the token in the secret", 30)
    query = "--output=go-template={{.data.token | base64decode}}"
    tokens = {
        "of kubectl create token": scene.group.kubectl("create", "token", "rendezvous-agent").strip(),
        "in a secret": scene.group.kubectl("get", "secret", "long", query),
    }
    for kind, token in tokens.items():
        api = scene.api_of(token)
        for answer in (
            api.request("POST", participants(scene.namespace), scene.claim(scene.hostile)),
            api.request("DELETE", participants(scene.namespace, scene.target)),
        ):
            user = f"system:serviceaccount:{scene.namespace}:rendezvous-agent"
            assert_refused(answer, f"the token of {user} is not bound to a pod: use the one that is mounted")
        print(f"{kind}: refused")


def test_the_token_of_a_deleted_pod(scene: Scene) -> None:
    """It goes with the pod, and so does its participant."""
    pod = sleeping_pod(scene.group, "gone")
    api = scene.api_of(scene.token_of(pod))
    assert api.request("POST", participants(scene.namespace), scene.claim(pod)).status == CREATED
    scene.group.kubectl("delete", "pod", pod.name, "--grace-period=0", "--force")
    deleted = time.monotonic()
    read = f"/apis/{names.API_VERSION}/namespaces/{scene.namespace}/{RENDEZVOUS}/{scene.group.name}"

    def refused() -> bool:
        # Until the API server looks again, it may still do what it might before.
        answer = api.request("DELETE", participants(scene.namespace, scene.target))
        assert answer.status in (FORBIDDEN, UNAUTHORIZED)
        return api.request("GET", read).status == UNAUTHORIZED

    scene.group.wait(refused, "the token to be worthless", 60)
    print(f"the token of a deleted pod was good for {time.monotonic() - deleted:.0f} s")
    answer = api.request("POST", participants(scene.namespace), scene.claim(pod))
    assert (answer.status, answer.message) == (UNAUTHORIZED, "Unauthorized")
    scene.group.wait(lambda: not scene.exists(f"{DECOY}.{pod.name}"), "its participant to be gone", 30)


def test_tokens_for_somebody_else_and_none(scene: Scene) -> None:
    """One of a pod, but for another audience; one with a changed signature; none."""
    bound = ("--bound-object-kind=Pod", f"--bound-object-name={scene.hostile.name}")
    elsewhere = scene.group.kubectl("create", "token", scene.account, "--audience=vault", *bound).strip()
    forged = re.sub(r".{8}$", "AAAAAAAA", scene.token_of(scene.hostile).strip())
    path = participants(scene.namespace, scene.target)
    for token in (elsewhere, forged):
        assert scene.api_of(token).request("DELETE", path).message == "Unauthorized"
    anonymous = scene.api_of("").request("DELETE", path)
    assert (anonymous.status, anonymous.lacks_right) == (FORBIDDEN, Right("delete", names.GROUP, PARTICIPANTS))
    assert 'User "system:anonymous"' in anonymous.message
