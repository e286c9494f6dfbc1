"""Objects on a real API server by direct requests: a kubectl takes a tenth of a second of a processor each time."""

import http
import http.client
import json
import ssl
import threading
from base64 import b64decode
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

from rendezvous_api import names
from rendezvous_controlplane import ControlPlaneError, LocalControlPlane

Json = dict[str, Any]

_PLACES = {
    names.RENDEZVOUS_KIND: f"apis/{names.API_VERSION}/{names.RENDEZVOUS_PLURAL}",
    names.PARTICIPANT_KIND: f"apis/{names.API_VERSION}/{names.PARTICIPANT_PLURAL}",
    "ConfigMap": "api/v1/configmaps",
    "CronJob": "apis/batch/v1/cronjobs",
    "Deployment": "apis/apps/v1/deployments",
    "Event": "apis/events.k8s.io/v1/events",
    "Job": "apis/batch/v1/jobs",
    "JobSet": "apis/jobset.x-k8s.io/v1alpha2/jobsets",
    "Lease": "apis/coordination.k8s.io/v1/leases",
    "Namespace": "api/v1/namespaces",
    "Pod": "api/v1/pods",
    "ReplicaSet": "apis/apps/v1/replicasets",
    "ResourceQuota": "api/v1/resourcequotas",
    "Role": "apis/rbac.authorization.k8s.io/v1/roles",
    "RoleBinding": "apis/rbac.authorization.k8s.io/v1/rolebindings",
    "ServiceAccount": "api/v1/serviceaccounts",
    "StatefulSet": "apis/apps/v1/statefulsets",
}
_RBAC = "rbac.authorization.k8s.io"
_JSON = "application/json"
_TIMEOUT_SECONDS = 10.0


class NotFoundError(ControlPlaneError):
    """There is no such object."""


class Api:
    """The objects of one namespace.

    Every method raises ControlPlaneError, with the API server's words, when it refuses or does not answer.

    Args:
        control_plane: whose API server it is; it may be stopped and started again.
        namespace: of the objects.
        kubeconfig: who asks; the administrator if None.
    """

    def __init__(self, control_plane: LocalControlPlane, namespace: str, kubeconfig: Path | None = None) -> None:
        self.control_plane = control_plane
        self.namespace = namespace
        self._kubeconfig = kubeconfig or control_plane.kubeconfig
        self.warnings: list[str] = []
        """What the API server has warned of with its last answer."""
        self._lock = threading.Lock()
        self._kept: http.client.HTTPSConnection | None = None
        self._token = ""

    def read(self, kind: str, name: str) -> Json:
        """One object; NotFoundError if there is none."""
        return self._request("GET", self._path(kind, name))

    def find(self, kind: str, name: str) -> Json | None:
        """One object, or None."""
        try:
            return self.read(kind, name)
        except NotFoundError:
            return None

    def list(self, kind: str, label: str = "") -> list[Json]:
        """All objects of a kind, or those with this label (name=value)."""
        found: list[Json] = self._request("GET", f"{self._path(kind)}?labelSelector={quote(label)}")["items"]
        return found

    def create(self, body: Mapping[str, Any], *, dry_run: bool = False) -> Json:
        """Create an object and return it; with ``dry_run`` it is checked and filled in, and not stored."""
        return self._request("POST", self._path(body["kind"]) + ("?dryRun=All" if dry_run else ""), body)

    def create_all(self, bodies: Iterable[Mapping[str, Any]]) -> None:
        """Create these objects, one after the other."""
        for body in bodies:
            self.create(body)

    def apply(self, body: Mapping[str, Any]) -> Json:
        """Create the object, or change it to have these fields, by server-side apply; returns it."""
        path = self._path(body["kind"], body["metadata"]["name"])
        return self._request(
            "PATCH", f"{path}?fieldManager=test&force=true", body, content="application/apply-patch+yaml"
        )

    def patch(self, kind: str, name: str, patch: Mapping[str, Any], subresource: str = "") -> Json:
        """Merge-patch an object, or its ``subresource``; returns the object."""
        path = self._path(kind, name) + (f"/{subresource}" if subresource else "")
        return self._request("PATCH", path, patch, content="application/merge-patch+json")

    def delete(self, kind: str, name: str, *, grace_seconds: int | None = None) -> None:
        """Delete an object; NotFoundError if there is none. A pod may be there for the grace period."""
        options = {} if grace_seconds is None else {"gracePeriodSeconds": grace_seconds}
        self._request("DELETE", self._path(kind, name), options)

    def delete_all(self, kind: str) -> None:
        """Delete all objects of a kind."""
        self._request("DELETE", self._path(kind))

    def grant(self, name: str, rules: Sequence[Json], *subjects: Json) -> None:
        """Create a Role and a RoleBinding of this name. It takes a moment until they count."""
        role = {"apiGroup": _RBAC, "kind": "Role", "name": name}
        self.create({"apiVersion": f"{_RBAC}/v1", "kind": "Role", "metadata": {"name": name}, "rules": list(rules)})
        binding = {"metadata": {"name": name}, "roleRef": role, "subjects": list(subjects)}
        self.create({"apiVersion": f"{_RBAC}/v1", "kind": "RoleBinding", **binding})

    def create_account(self, name: str) -> Json:
        """Create a service account, and return it as the subject of a binding."""
        self.create({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": name}})
        return {"kind": "ServiceAccount", "name": name, "namespace": self.namespace}

    def token(self, account: str, pod: tuple[str, str] | None = None) -> str:
        """A token of a service account, bound to a ``pod`` (name and UID) if one is given."""
        spec: Json = {"audiences": []}
        if pod is not None:
            name, uid = pod
            spec["boundObjectRef"] = {"apiVersion": "v1", "kind": "Pod", "name": name, "uid": uid}
        body = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": spec}
        path = f"{self._path('ServiceAccount', account)}/token"
        token: str = self._request("POST", path, body)["status"]["token"]
        return token

    def kubeconfig(self, token: str, path: Path) -> Path:
        """Write what the agent of a pod with this token would find: also the pod's namespace is in it."""
        config = json.loads(self.control_plane.kubeconfig_with_token(token).read_text())
        config["contexts"][0]["context"]["namespace"] = self.namespace
        path.write_text(json.dumps(config))
        return path

    def _path(self, kind: str, name: str = "") -> str:
        group, _, plural = _PLACES[kind].rpartition("/")
        namespace = "" if kind == "Namespace" else f"/namespaces/{self.namespace}"
        return f"/{group}{namespace}/{plural}" + (f"/{name}" if name else "")

    def _request(self, method: str, path: str, body: Mapping[str, Any] | None = None, content: str = _JSON) -> Json:
        text = None if body is None else json.dumps(body)
        with self._lock:
            try:
                status, answer = self._exchange(method, path, text, content)
            except (OSError, http.client.HTTPException) as error:
                self._disconnect()
                raise ControlPlaneError(f"{method} {path}: {error}") from error
        if status >= http.HTTPStatus.BAD_REQUEST:
            kind = NotFoundError if status == http.HTTPStatus.NOT_FOUND else ControlPlaneError
            raise kind(f"{method} {path}: HTTP {status}: {_message(answer)}")
        found: Json = json.loads(answer)
        return found

    def _exchange(self, method: str, path: str, text: str | None, content: str) -> tuple[int, bytes]:
        """Send a request; a reading one on the connection that is kept, since tests poll."""
        reads = method == "GET"
        if not reads:
            self._disconnect()
        try:
            return self._send(self._kept or self._connect(), method, path, text, content)
        except (OSError, http.client.HTTPException):
            if not reads:
                raise
            self._disconnect()  # the API server may have been started again meanwhile
            return self._send(self._connect(), method, path, text, content)

    def _send(
        self, connection: http.client.HTTPSConnection, method: str, path: str, text: str | None, content: str
    ) -> tuple[int, bytes]:
        headers = {"Authorization": f"Bearer {self._token}", "Content-Type": content}
        connection.request(method, path, text, headers)
        answer = connection.getresponse()
        # 299 - "TEXT", with quotation marks in it escaped.
        found = [line.removeprefix("299 - ") for line in answer.headers.get_all("Warning") or ()]
        self.warnings = [text.strip('"').replace('\\"', '"') for text in found]
        return answer.status, answer.read()

    def _connect(self) -> http.client.HTTPSConnection:
        # Read each time: an API server that was started again may have new certificates.
        config = json.loads(self._kubeconfig.read_text())
        authority = b64decode(config["clusters"][0]["cluster"]["certificate-authority-data"]).decode()
        self._token = config["users"][0]["user"]["token"]
        context = ssl.create_default_context(cadata=authority)
        self._kept = http.client.HTTPSConnection(
            "127.0.0.1", self.control_plane.port, timeout=_TIMEOUT_SECONDS, context=context
        )
        return self._kept

    def _disconnect(self) -> None:
        if self._kept is not None:
            self._kept.close()
            self._kept = None


def _message(answer: bytes) -> str:
    """What the API server says of an error, which is no JSON where something else answers."""
    text = answer.decode(errors="replace")
    try:
        return str(json.loads(text)["message"])
    except (ValueError, LookupError, TypeError):
        return text


def create_namespace(control_plane: LocalControlPlane, name: str) -> str:
    """Create a namespace, and return its name."""
    Api(control_plane, name).create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
    return name
