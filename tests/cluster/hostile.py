"""A pod that means harm: requests to the API server with its token, and the group that it is after."""

import copy
import http.client
import json
import re
import ssl
from base64 import b64decode
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from testcluster import Cluster
from tests.cluster.harness import Group
from tests.cluster.manifests import SERVICE_ACCOUNT, bare_pod, pod_template
from tests.cluster.pods import PodView
from tests.cluster.undisturbed import Training

from rendezvous_api import names
from rendezvous_api.access import verify_as_kubectl

Json = dict[str, Any]
MERGE_PATCH = "application/merge-patch+json"
APPLY_PATCH = "application/apply-patch+yaml"
RENDEZVOUS, PARTICIPANTS = names.RENDEZVOUS_PLURAL, names.PARTICIPANT_PLURAL
DECOY = "decoy"
"""The Rendezvous that its own participants are for; it need not be there."""
TOKEN = "/var/run/secrets/kubernetes.io/serviceaccount/token"
_METHODS = {"get": "GET", "list": "GET", "watch": "GET", "create": "POST", "update": "PUT", "patch": "PATCH"}
_ON_COLLECTIONS = ("list", "watch", "create", "deletecollection")
_RBAC = re.compile(r'User "[^"]+" cannot (?P<verb>\S+) resource "(?P<resource>[^"]+)" in API group "(?P<group>[^"]*)"')


@dataclass(frozen=True)
class Answer:
    """An answer of the API server."""

    status: int
    text: str

    @property
    def body(self) -> Json:
        """The object, or the `Status` of an error."""
        found: Json = json.loads(self.text)
        return found

    @property
    def message(self) -> str:
        """What the API server says about an error; empty if it is none."""
        if self.status < http.HTTPStatus.BAD_REQUEST:
            return ""
        try:
            return str(self.body["message"])
        except ValueError:  # an error that is not an object
            return self.text

    @property
    def lacks_right(self) -> "Right | None":
        """The right that is missing, as RBAC says; None if the request was not refused by RBAC."""
        found = _RBAC.search(self.message)
        return Right(found["verb"], found["group"], found["resource"]) if found else None


@dataclass(frozen=True, order=True)
class Right:
    """Something that RBAC grants: a verb on a resource, or on `RESOURCE/SUBRESOURCE`, of a group ('' for the core)."""

    verb: str
    group: str
    resource: str


@dataclass(frozen=True)
class Resource:
    """What the API server offers, as its discovery says."""

    group: str
    version: str
    name: str
    namespaced: bool
    verbs: tuple[str, ...]

    def path(self, namespace: str, name: str, verb: str) -> str:
        """Where a request with this verb goes to."""
        root = f"/apis/{self.group}/{self.version}" if self.group else f"/api/{self.version}"
        within = f"/namespaces/{namespace}" if self.namespaced else ""
        plural, _, subresource = self.name.partition("/")
        if subresource:
            return f"{root}{within}/{plural}/{name}/{subresource}"
        return f"{root}{within}/{plural}" + ("" if verb in _ON_COLLECTIONS else f"/{name}")


class Api:
    """The API server, for whoever has this token; '' is nobody.

    Args:
        cluster: the test cluster.
        token: the bearer token that goes with each request.
    """

    def __init__(self, cluster: Cluster, token: str) -> None:
        config = json.loads(cluster.kubeconfig.read_text())["clusters"][0]["cluster"]
        self._url = urlsplit(config["server"])
        authority = b64decode(config["certificate-authority-data"]).decode()
        self._context = ssl.create_default_context(cadata=authority)
        verify_as_kubectl(self._context)
        self._headers = {"Authorization": f"Bearer {token}"} if token else {}

    def request(
        self,
        method: str,
        path: str,
        body: Json | None = None,
        content_type: str = "application/json",
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """Send one request, and return the whole answer."""
        host, port = self._url.hostname or "", self._url.port
        connection = http.client.HTTPSConnection(host, port, timeout=30, context=self._context)
        sent = {**self._headers, "Content-Type": content_type, "Accept": "application/json", **(headers or {})}
        try:
            connection.request(method, path, None if body is None else json.dumps(body), sent)
            answer = connection.getresponse()
            return Answer(answer.status, answer.read().decode())
        finally:
            connection.close()

    def get(self, path: str) -> Json:
        """An object that must be readable."""
        answer = self.request("GET", path)
        assert answer.status == http.HTTPStatus.OK, answer
        return answer.body

    def ask(self, resource: Resource, verb: str, namespace: str, name: str) -> Answer:
        """Try a verb on a resource. Nothing is changed: what would change something is a dry run."""
        path = resource.path(namespace, name, verb)
        if verb in ("get", "list"):
            return self.request("GET", path)
        if verb == "watch":
            return self.request("GET", f"{path}?watch=1&timeoutSeconds=1")
        content_type = MERGE_PATCH if verb == "patch" else "application/json"
        return self.request(_METHODS.get(verb, "DELETE"), f"{path}?dryRun=All", {}, content_type)


def resources(admin: Api) -> Iterator[Resource]:
    """Everything that the API server offers, with all its versions and subresources."""
    versions = [("", version) for version in admin.get("/api")["versions"]]
    for group in admin.get("/apis")["groups"]:
        versions += [(group["name"], version["version"]) for version in group["versions"]]
    for group, version in versions:
        root = f"/apis/{group}/{version}" if group else f"/api/{version}"
        for found in admin.get(root)["resources"]:
            yield Resource(group, version, found["name"], found["namespaced"], tuple(found["verbs"]))


def participants(namespace: str, name: str = "", subresource: str = "") -> str:
    """A path of the API."""
    parts = ["/apis", names.API_VERSION, "namespaces", namespace, PARTICIPANTS, name, subresource]
    return "/".join(part for part in parts if part)


def assert_refused(answer: Answer, *words: str) -> None:
    """By the admission policy, which says why."""
    assert answer.status == http.HTTPStatus.FORBIDDEN, answer
    assert "ValidatingAdmissionPolicy 'kube-rendezvous-participants.kube-rendezvous'" in answer.message
    for word in words:
        assert word in answer.message, answer.message
    print(answer.message.partition("denied request: ")[2])


def sleeping_pod(group: Group, name: str, namespace: str | None = None, account: str = SERVICE_ACCOUNT) -> PodView:
    """A pod that does nothing but have a token."""
    template = pod_template("", ["sleep", "infinity"], group.folder, labels={"app": "hostile"}, grace_seconds=1)
    template["spec"]["serviceAccountName"] = account
    place = Group(group.cluster, namespace or group.namespace, group.folder)
    place.create(bare_pod(name, template))
    place.kubectl("wait", "--for=condition=Ready", f"pod/{name}", "--timeout=60s")
    return place.pod(name)


@dataclass
class Scene:
    """A group that trains, and a pod beside it that means harm."""

    group: Group
    before: Training
    victim: PodView
    hostile: PodView
    api: Api
    """For the hostile pod."""
    admin: Api
    account: str
    """The hostile pod's."""

    @property
    def namespace(self) -> str:
        """That of both."""
        return self.group.namespace

    @property
    def target(self) -> str:
        """The victim's participant."""
        return f"{self.group.name}.{self.victim.name}"

    def api_of(self, token: str) -> Api:
        """For whoever has this token."""
        return Api(self.group.cluster, token)

    def token_of(self, pod: PodView, namespace: str | None = None) -> str:
        """The token that kubelet has put into a pod."""
        exec_in = ("--namespace", namespace or self.namespace, "exec", pod.name, "--", "cat", TOKEN)
        return self.group.cluster.kubectl(*exec_in)

    def stored(self, name: str) -> Json:
        """A participant as it is."""
        return self.admin.get(participants(self.namespace, name))

    def exists(self, name: str) -> bool:
        """Whether there is a participant of this name."""
        return self.admin.request("GET", participants(self.namespace, name)).status == http.HTTPStatus.OK

    def claim(self, pod: PodView, rendezvous_name: str = DECOY, suffix: str = "") -> Json:
        """What the agent of a pod writes when it joins, made of what the victim's agent has written."""
        body = copy.deepcopy(self.stored(self.target))
        owner = {"apiVersion": "v1", "kind": "Pod", "name": pod.name, "uid": pod.uid}
        body["metadata"] = {
            "name": f"{rendezvous_name}.{pod.name}{suffix}",
            "labels": {names.LABEL_RENDEZVOUS: rendezvous_name},
            "ownerReferences": [owner],
        }
        of_pod = {"podName": pod.name, "podUID": pod.uid, "nodeName": pod.node, "nodeID": pod.name}
        body["spec"] |= {**of_pod, "rendezvousName": rendezvous_name, "incarnation": "abcd1234", "attempt": 1}
        return {key: body[key] for key in ("apiVersion", "kind", "metadata", "spec")}

    def create(self, body: Json) -> Answer:
        """POST a participant, as the hostile pod."""
        return self.api.request("POST", participants(self.namespace), body)

    def patch(self, name: str, patch: Json, subresource: str = "") -> Answer:
        """PATCH a participant, as the hostile pod."""
        return self.api.request("PATCH", participants(self.namespace, name, subresource), patch, MERGE_PATCH)
