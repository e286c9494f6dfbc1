"""The admission policy of participants: what a pod may write is its own, and each refusal says why.

The pods have the right to do everything with participants but `administer`, so that what refuses is the policy.
"""

import copy
import json
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
from tests.chart.support import (
    COLLECTOR,
    NAMESPACE_CONTROLLER,
    RELEASE,
    SYSTEM,
    Json,
    Pod,
    make_pod,
    participant,
    token_of,
)
from tests.support.api import Api, create_namespace

from rendezvous_api import names
from rendezvous_controlplane import ControlPlaneError, LocalControlPlane
from rendezvous_handler.agent.identity import participant_name

POLICY = f"{RELEASE}-participants.{SYSTEM}"
ALL_BUT_ADMINISTER = "get,list,watch,create,update,patch,delete,deletecollection"
HEARTBEAT = '{"status":{"incarnation":"abcd1234","attempt":1,"round":1,"rank":0}}'


def allow_everything(plane: LocalControlPlane, namespace: str, *subjects: str) -> None:
    """Give these (options of kubectl) all rights on participants in a namespace, except `administer`."""
    resources = f"{names.PARTICIPANT_PLURAL}.{names.GROUP},{names.PARTICIPANT_PLURAL}.{names.GROUP}/status"
    plane.kubectl("create", "role", "all", "-n", namespace, f"--verb={ALL_BUT_ADMINISTER}", f"--resource={resources}")
    plane.kubectl("create", "rolebinding", "all", "-n", namespace, "--role=all", *subjects)


@pytest.fixture(params=["serviceAccount", "namespace"])
def pods(control_plane: LocalControlPlane, namespace: str, request: pytest.FixtureRequest) -> tuple[Pod, Pod]:
    """Two pods, each with its participant; the first is on a node. Who has the rights is as in `workers.bindTo`.

    It is their one service account, or every account of the namespace: then they have two.
    """
    api = Api(control_plane, namespace)
    accounts, subject = ("agent", "agent"), f"--serviceaccount={namespace}:agent"
    if request.param == "namespace":
        accounts, subject = ("agent", "own"), f"--group=system:serviceaccounts:{namespace}"
    for account in set(accounts):
        api.create_account(account)
    allow_everything(control_plane, namespace, subject, "--user=ann")
    first = make_pod(control_plane, namespace, "train-0", accounts[0], node="node-a")
    second = make_pod(control_plane, namespace, "train-1", accounts[1])
    for pod in (first, second):
        Client(control_plane, pod.kubeconfig).create(participant(pod))
    return first, second


class Client:
    """Requests with one kubeconfig."""

    def __init__(self, plane: LocalControlPlane, kubeconfig: Path) -> None:
        self._plane = plane
        self._kubeconfig = kubeconfig

    def kubectl(self, *arguments: str, body: Json | None = None) -> str:
        text = None if body is None else json.dumps(body)
        return self._plane.kubectl(*arguments, input=text, kubeconfig=self._kubeconfig)

    def create(self, body: Json) -> None:
        self._in(body["metadata"]["namespace"]).create(body)

    def replace(self, body: Json) -> None:
        self.kubectl("replace", "-f", "-", body=body)

    def patch(self, namespace: str, name: str, patch: str, subresource: str = "") -> None:
        self._in(namespace).patch(names.PARTICIPANT_KIND, name, json.loads(patch), subresource)

    def beat(self, namespace: str, name: str) -> None:
        self.patch(namespace, name, HEARTBEAT, "status")

    def delete(self, namespace: str, name: str) -> None:
        self._in(namespace).delete(names.PARTICIPANT_KIND, name)

    def _in(self, namespace: str) -> Api:
        return Api(self._plane, namespace, self._kubeconfig)


@pytest.fixture
def as_first(control_plane: LocalControlPlane, pods: tuple[Pod, Pod]) -> Client:
    return Client(control_plane, pods[0].kubeconfig)


@pytest.fixture
def as_admin(control_plane: LocalControlPlane) -> Client:
    return Client(control_plane, control_plane.kubeconfig)


def refusal(action: Callable[[], object]) -> str:
    """What the policy says, and no other."""
    with pytest.raises(ControlPlaneError) as caught:
        action()
    _, found, said = str(caught.value).partition(f"ValidatingAdmissionPolicy '{POLICY}' with binding '{POLICY}' ")
    assert found, caught.value
    assert said.startswith("denied request: ")
    return said.removeprefix("denied request: ")


def changed(body: Json, **metadata: object) -> Json:
    """The object with other metadata; what is None is left out."""
    copied = copy.deepcopy(body)
    copied["metadata"] = {key: value for key, value in {**copied["metadata"], **metadata}.items() if value is not None}
    return copied


def test_rbac_alone_would_let_a_pod_do_everything(control_plane: LocalControlPlane, pods: tuple[Pod, Pod]) -> None:
    """So whatever is refused below is refused by the policy."""
    first, _ = pods
    for verb in ALL_BUT_ADMINISTER.split(","):
        asked = ("auth", "can-i", verb, "rendezvousparticipants.rdzv.dev", "-n", first.namespace)
        assert control_plane.kubectl(*asked, kubeconfig=first.kubeconfig).strip() == "yes"


# ---- what is its own


def test_a_pod_does_everything_with_its_own(pods: tuple[Pod, Pod], as_first: Client) -> None:
    first, _ = pods
    namespace, name = first.namespace, "train.train-0"
    as_first.replace(participant(first, attempt=2))
    as_first.patch(namespace, name, '{"spec":{"attempt":3}}')
    as_first.beat(namespace, name)
    as_first.delete(namespace, name)
    as_first.create(participant(first, nodeName=None))


def test_further_agents_of_a_pod_have_numbers(pods: tuple[Pod, Pod], as_first: Client) -> None:
    first, _ = pods
    as_first.create(participant(first, suffix=".1"))
    as_first.create(participant(first, rendezvous="eval", suffix=".12"))
    for suffix in (".a", ".1.2", "0"):
        wrong = participant(first, suffix=suffix)
        said = refusal(partial(as_first.create, wrong))
        assert said.startswith(f'metadata.name is "{wrong["metadata"]["name"]}", and must be train.train-0 or ')


def test_a_name_that_would_be_too_long_ends_in_a_hash(
    control_plane: LocalControlPlane, pods: tuple[Pod, Pod], as_first: Client
) -> None:
    namespace = pods[0].namespace
    long = make_pod(control_plane, namespace, "p" * 240, "agent")
    rendezvous = "r" * 63
    body = participant(long, rendezvous=rendezvous, nodeID="node")
    name = participant_name(rendezvous, long.name)
    assert len(name) == 253
    Client(control_plane, long.kubeconfig).create(changed(body, name=name))
    theirs = changed(participant(pods[0], rendezvous=rendezvous), name=participant_name(rendezvous, long.name, ".1"))
    assert "metadata.name is" in refusal(lambda: as_first.create(theirs))


# ---- what is another one's


@pytest.mark.parametrize("verb", ["replace", "patch", "beat", "delete"])
def test_a_pod_leaves_the_others_alone(pods: tuple[Pod, Pod], as_first: Client, verb: str) -> None:
    first, second = pods
    namespace, name = second.namespace, "train.train-1"
    actions: dict[str, Callable[[], object]] = {
        "replace": lambda: as_first.replace(participant(second, attempt=2)),
        "patch": lambda: as_first.patch(namespace, name, '{"spec":{"attempt":2}}'),
        "beat": lambda: as_first.beat(namespace, name),
        "delete": lambda: as_first.delete(namespace, name),
    }
    assert refusal(actions[verb]) == (
        f'spec.podUID is "{second.uid}" of pod train-1, and the request comes from pod train-0 (UID {first.uid}): '
        "a pod writes only its own RendezvousParticipant"
    )


def test_a_pod_does_not_delete_all(pods: tuple[Pod, Pod], as_first: Client, as_admin: Client) -> None:
    namespace = pods[0].namespace
    path = f"/apis/{names.API_VERSION}/namespaces/{namespace}/{names.PARTICIPANT_PLURAL}"
    assert "a pod writes only its own" in refusal(lambda: as_first.kubectl("delete", "--raw", path))
    assert "train.train-1" in as_admin.kubectl("get", "rdzvp", "-n", namespace, "-o", "name")


def test_a_pod_does_not_make_one_for_another(pods: tuple[Pod, Pod], as_first: Client) -> None:
    _, second = pods
    assert "spec.podUID is" in refusal(lambda: as_first.create(participant(second, suffix=".1")))


def test_a_pod_does_not_make_one_of_nobody(pods: tuple[Pod, Pod], as_first: Client) -> None:
    body = changed(participant(pods[0], podUID=None, podName=None, nodeID="x"), name="train.x", ownerReferences=None)
    assert refusal(lambda: as_first.create(body)).startswith(
        'spec.podUID is "", and the request comes from pod train-0'
    )


# ---- what it says of itself


@pytest.mark.parametrize(
    ("spec", "metadata", "words"),
    [
        ({"podName": "train-7"}, {}, 'spec.podName is "train-7", and the request comes from pod train-0 (UID '),
        ({"nodeName": "node-b"}, {}, 'spec.nodeName is "node-b", and the token of the pod says "node-a": leave it out'),
        (
            {},
            {"name": "train.train-7"},
            'metadata.name is "train.train-7", and must be train.train-0 or train.train-0.N with N from 1 to 99',
        ),
        *(({}, {"name": f"train.train-0.{n}"}, f'metadata.name is "train.train-0.{n}", and') for n in (0, "01", 100)),
        ({}, {"labels": None}, 'the label rdzv.dev/rendezvous is "", and must be spec.rendezvousName, "train"'),
        ({}, {"labels": {"rdzv.dev/rendezvous": "eval"}}, 'the label rdzv.dev/rendezvous is "eval", and must be'),
        (
            {},
            {"labels": {"rdzv.dev/rendezvous": "train", **dict.fromkeys(map(str, range(9)), "x")}},
            "metadata.labels has 10 labels: an agent sets none but rdzv.dev/rendezvous",
        ),
        (
            {},
            {"annotations": {"example.com/a": "x" * 200_000}},
            "metadata.annotations has 1 annotations: an agent adds none, and changes none",
        ),
        ({}, {"finalizers": ["example.com/keep"]}, 'metadata.finalizers is ["example.com/keep"]: an agent adds no'),
    ],
)
def test_a_pod_tells_the_truth(pods: tuple[Pod, Pod], as_first: Client, spec: Json, metadata: Json, words: str) -> None:
    body = changed(participant(pods[0], suffix=".1", **spec), **metadata)
    assert words in refusal(lambda: as_first.create(body))


def test_a_pod_that_had_no_node_yet_names_none(control_plane: LocalControlPlane, pods: tuple[Pod, Pod]) -> None:
    second = pods[1]
    said = refusal(
        lambda: Client(control_plane, second.kubeconfig).create(participant(second, suffix=".1", nodeName="node-a"))
    )
    assert said.startswith('spec.nodeName is "node-a", and the token of the pod says ""')


def test_an_object_goes_with_its_own_pod_only(pods: tuple[Pod, Pod], as_first: Client) -> None:
    first, second = pods
    config_map = {"apiVersion": "v1", "kind": "ConfigMap", "name": "keep", "uid": "0b5c7d5e"}
    renamed = {**first.owner, "name": "x" * 1000}
    for owners in ([second.owner], [first.owner, config_map], [renamed]):
        body = changed(participant(first, suffix=".1"), ownerReferences=owners)
        said = refusal(partial(as_first.create, body))
        assert said.startswith("metadata.ownerReferences names ")
        assert said.endswith(f"and may name nothing but pod train-0 (UID {first.uid})")
    as_first.create(changed(participant(first, suffix=".1"), ownerReferences=None))


def test_metadata_does_not_change_for_the_worse(pods: tuple[Pod, Pod], as_first: Client, as_admin: Client) -> None:
    namespace, name = pods[0].namespace, "train.train-0"
    for patch in (
        '{"metadata":{"finalizers":["example.com/a"]}}',
        '{"metadata":{"labels":{"rdzv.dev/rendezvous":null}}}',
        '{"metadata":{"labels":{"a":"b"}}}',
        '{"metadata":{"annotations":{"a":"b"}}}',
    ):
        assert refusal(partial(as_first.patch, namespace, name, patch))
    # What somebody else has added is no reason to refuse what the agent writes from then on.
    mine = '{"metadata":{"finalizers":["example.com/a"],"labels":{"a":"b"},"annotations":{"a":"b"}}}'
    as_admin.patch(namespace, name, mine)
    as_first.patch(namespace, name, '{"spec":{"attempt":2}}')
    for key in ("labels", "annotations"):
        said = refusal(partial(as_first.patch, namespace, name, json.dumps({"metadata": {key: {"a": "c"}}})))
        assert said.startswith(f"metadata.{key} has ")
    as_admin.patch(namespace, name, '{"metadata":{"labels":{"rdzv.dev/rendezvous":"eval"},"finalizers":null}}')
    as_first.beat(namespace, name)


# ---- former pods


def test_a_new_pod_removes_what_its_predecessor_left(
    control_plane: LocalControlPlane, pods: tuple[Pod, Pod], as_admin: Client
) -> None:
    namespace = pods[0].namespace
    Api(control_plane, namespace).delete("Pod", "train-0", grace_seconds=0)
    successor = make_pod(control_plane, namespace, "train-0", "agent")
    client = Client(control_plane, successor.kubeconfig)
    assert "spec.podUID is" in refusal(lambda: client.beat(namespace, "train.train-0"))
    client.delete(namespace, "train.train-0")
    client.create(participant(successor))


def test_a_pod_of_that_name_elsewhere_is_no_successor(
    control_plane: LocalControlPlane, pods: tuple[Pod, Pod], as_admin: Client
) -> None:
    namespace, elsewhere = pods[0].namespace, f"{pods[0].namespace}-2"
    Api(control_plane, create_namespace(control_plane, elsewhere)).create_account("agent")
    as_admin.kubectl(
        *("create", "rolebinding", "more", "-n", namespace, "--role=all", f"--serviceaccount={elsewhere}:agent")
    )
    double = make_pod(control_plane, elsewhere, "train-1", "agent")
    client = Client(control_plane, double.kubeconfig)
    assert "a pod writes only its own" in refusal(lambda: client.delete(namespace, "train.train-1"))
    # A pod may join a Rendezvous of another namespace if RBAC lets it, under a name that is free.
    body = participant(double, rendezvous="eval")
    client.create(changed(body, namespace=namespace, ownerReferences=None))


# ---- who is no pod


def test_a_token_that_is_bound_to_no_pod_writes_nothing(
    control_plane: LocalControlPlane, pods: tuple[Pod, Pod]
) -> None:
    first = pods[0]
    for client, who in (
        (Client(control_plane, token_of(control_plane, first.namespace, "agent")), f"{first.namespace}:agent"),
        (Client(control_plane, control_plane.kubeconfig_for("ann")), "ann"),
    ):
        actions: list[Callable[[], None]] = [
            partial(client.create, participant(first, suffix=".1")),
            partial(client.beat, first.namespace, "train.train-0"),
            partial(client.delete, first.namespace, "train.train-0"),
        ]
        for action in actions:
            said = refusal(action)
            assert f"{who} is not bound to a pod: use the one that is mounted into the pod" in said
            assert "administer on rendezvousparticipants.rdzv.dev" in said


@pytest.mark.parametrize("user", [COLLECTOR, NAMESPACE_CONTROLLER])
def test_the_clusters_own_controllers_clean_up(
    control_plane: LocalControlPlane, pods: tuple[Pod, Pod], user: str
) -> None:
    Client(control_plane, control_plane.kubeconfig_for(user)).delete(pods[0].namespace, "train.train-0")


def test_who_may_administer_writes_everything(control_plane: LocalControlPlane, pods: tuple[Pod, Pod]) -> None:
    namespace = pods[0].namespace
    for role in ("view", "admin"):  # the controller that aggregates roles is not here, so they are bound themselves
        control_plane.kubectl(
            *("create", "rolebinding", role, "-n", namespace, f"--clusterrole={RELEASE}-{role}.{SYSTEM}", "--user=adam")
        )
    client = Client(control_plane, control_plane.kubeconfig_for("adam"))
    client.beat(namespace, "train.train-0")
    client.patch(namespace, "train.train-1", '{"spec":{"attempt":2}}')
    client.delete(namespace, "train.train-0")


def test_the_operator_cleans_up(control_plane: LocalControlPlane, pods: tuple[Pod, Pod]) -> None:
    client = Client(control_plane, token_of(control_plane, SYSTEM, f"{RELEASE}-operator"))
    client.delete(pods[0].namespace, "train.train-0")
