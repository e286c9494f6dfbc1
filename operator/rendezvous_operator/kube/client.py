"""The operator's requests to the API server; only the watches are made by kopf.

Objects are plain JSON here, so the same few calls serve pods and custom resources. The cache decodes them.
"""

import time
from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple

import aiohttp
from kubernetes.aio import client as kubernetes_client
from kubernetes.aio import config as kubernetes_config
from yarl import URL

from rendezvous_api import names
from rendezvous_api.api_errors import (
    NoConfigurationError,
    NotFoundError,
    UnreachableError,
    error_from_answer,
    json_object,
)
from rendezvous_api.meta import version_number
from rendezvous_operator.kube.request_trace import NO_ANSWER, request_of

Json = dict[str, Any]

PLURALS: Final = {
    names.RENDEZVOUS_KIND: names.RENDEZVOUS_PLURAL,
    names.PARTICIPANT_KIND: names.PARTICIPANT_PLURAL,
    names.POD_KIND: names.POD_PLURAL,
}
KINDS: Final = tuple(PLURALS)
"""What the operator lists and watches."""
KINDS_BY_PLURAL: Final = {plural: kind for kind, plural in PLURALS.items()}

_SELECTORS = {names.POD_KIND: names.LABEL_RENDEZVOUS}
_PAGE = 500
TIMEOUT_SECONDS = 30.0


class ObjectList(NamedTuple):
    """The answer to a list; all pages are of one version."""

    items: list[Json]
    version: int


class Client:
    """Requests to one API server. Use `connect` to make one; a request raises an `ApiError` and nothing else."""

    def __init__(self, api: kubernetes_client.ApiClient, ended: Callable[[str, float], None], timeout: float) -> None:
        self._api = api
        self._ended = ended
        self._timeout = timeout

    @classmethod
    async def connect(
        cls,
        ended: Callable[[str, float], None] = lambda code, seconds: None,
        *,
        timeout: float = TIMEOUT_SECONDS,
        traces: Sequence[aiohttp.TraceConfig] = (),
    ) -> "Client":
        """Configure from the pod's service account, else from the kubeconfig (``KUBECONFIG``).

        Each client has connections of its own, so its requests never wait for those of another client.

        Args:
            ended: is called at the end of each request, as `OutageClock.ended`.
            timeout: of each request, in seconds.
            traces: of each request.

        Raises:
            NoConfigurationError: neither is there.
        """
        configuration = kubernetes_client.Configuration()
        try:
            kubernetes_config.load_incluster_config(client_configuration=configuration)
        except kubernetes_config.ConfigException:
            try:
                await kubernetes_config.load_kube_config(client_configuration=configuration)
            except (kubernetes_config.ConfigException, OSError) as error:
                raise NoConfigurationError(f"neither a service account nor a usable kubeconfig: {error}") from error
        configuration.connection_pool_maxsize = 64
        configuration.trace_configs = list(traces)
        return cls(kubernetes_client.ApiClient(configuration), ended, timeout)

    async def close(self) -> None:
        """Close the connections."""
        await self._api.close()

    async def list(self, kind: str, namespace: str | None, *, labelled: bool = True) -> ObjectList:
        """All objects of a kind, in one namespace or in all, not older than this call (a quorum read).

        Args:
            kind: of the objects.
            namespace: None: all.
            labelled: of pods only those with the label of a Rendezvous.
        """
        items: list[Json] = []
        # Without resourceVersion, which would allow an older answer.
        query = {"limit": str(_PAGE)}
        if labelled and kind in _SELECTORS:
            query["labelSelector"] = _SELECTORS[kind]
        while True:
            page = await self.request("GET", _path(kind, namespace), query)
            items += page["items"]
            token = page["metadata"].get("continue")
            if not token:
                return ObjectList(items, version_number(page["metadata"].get("resourceVersion", "")))
            query["continue"] = token

    async def read(self, kind: str, namespace: str, name: str) -> Json | None:
        """One object; None: it does not exist."""
        try:
            return await self.request("GET", _path(kind, namespace, name))
        except NotFoundError:
            return None

    async def write_status(
        self, namespace: str, name: str, uid: str, resource_version: str, status: Json
    ) -> Json | None:
        """Replace the status of a Rendezvous.

        Returns it as written; None: it does not exist.

        Raises:
            ConflictError: it has changed since that resource version, or was recreated.
        """
        body = {
            "apiVersion": names.API_VERSION,
            "kind": names.RENDEZVOUS_KIND,
            "metadata": {"namespace": namespace, "name": name, "uid": uid, "resourceVersion": resource_version},
            "status": status,
        }
        try:
            return await self.request("PUT", _path(names.RENDEZVOUS_KIND, namespace, name) + "/status", body=body)
        except NotFoundError:
            return None

    async def delete(self, kind: str, namespace: str, name: str, uid: str, resource_version: str) -> bool:
        """Delete an object. Returns whether it existed.

        Raises:
            ConflictError: it has changed since that resource version, or was recreated.
        """
        body = {"preconditions": {"uid": uid, "resourceVersion": resource_version}}
        try:
            await self.request("DELETE", _path(kind, namespace, name), body=body)
        except NotFoundError:
            return False
        return True

    async def request(
        self,
        method: str,
        path: str,
        query: dict[str, str] | None = None,
        *,
        body: Json | None = None,
        content_type: str = "application/json",
    ) -> Json:
        """Any request that is answered with one JSON object, at a path such as ``/api/v1/pods``."""
        where = request_of(method, URL(path))
        began = time.monotonic()
        timeout = aiohttp.ClientTimeout(total=self._timeout, sock_connect=min(5.0, self._timeout))
        try:
            # It reads the token of the pod again, so it can fail, too.
            request = await self._api.param_serialize(
                method,
                path,
                query_params=list((query or {}).items()),
                header_params={"Accept": "application/json", "Content-Type": content_type},
                body=body,
                auth_settings=["BearerToken"],
            )
            response = await self._api.call_api(*request, _request_timeout=timeout)
            data = await response.read()
        except (aiohttp.ClientError, TimeoutError, OSError, kubernetes_config.ConfigException) as error:
            self._ended(NO_ANSWER, time.monotonic() - began)
            raise UnreachableError(str(error) or type(error).__name__, *where) from error
        answer = json_object(data)
        answered = answer is not None or response.status > 299
        self._ended(str(response.status) if answered else NO_ANSWER, time.monotonic() - began)
        if 200 <= response.status <= 299:
            if answer is None:
                raise UnreachableError(f"the answer is not that of an API server: {data[:200]!r}", *where)
            return answer
        raise error_from_answer(response.status, data, reason=response.reason or "", **where._asdict())


def _path(kind: str, namespace: str | None, name: str | None = None) -> str:
    group = "/api/v1" if kind == names.POD_KIND else f"/apis/{names.API_VERSION}"
    where = f"/namespaces/{namespace}" if namespace else ""
    return f"{group}{where}/{PLURALS[kind]}" + (f"/{name}" if name else "")
