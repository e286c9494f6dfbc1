"""The operator's requests to the API server; kopf makes only the watches.

Objects are plain JSON here: pods and custom resources are read by the same few calls, and what they mean is decided in
`cache`.
"""

import json
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any, Final

import aiohttp
from kubernetes.aio import client, config
from kubernetes.aio.config.config_exception import ConfigException

from rendezvous_api import names

Json = dict[str, Any]

POD_KIND: Final = "Pod"
KINDS: Final = (names.RENDEZVOUS_KIND, names.PARTICIPANT_KIND, POD_KIND)
"""What the operator lists and watches."""

_PLURALS = {
    names.RENDEZVOUS_KIND: f"/apis/{names.API_VERSION}|{names.RENDEZVOUS_PLURAL}",
    names.PARTICIPANT_KIND: f"/apis/{names.API_VERSION}|{names.PARTICIPANT_PLURAL}",
    POD_KIND: "/api/v1|pods",
}
_SELECTORS = {POD_KIND: names.LABEL_RENDEZVOUS}
_PAGE = 500
TIMEOUT_SECONDS = 30.0


class UnreachableError(Exception):
    """The API server did not answer, or answered that it cannot at the moment (5xx, 429). Worth another try."""


class ConflictError(Exception):
    """The object has changed since it was read (409)."""


class RefusedError(Exception):
    """The API server refuses the request for good: no permission, or an object that it does not accept."""


class NotFoundError(RefusedError):
    """The API server does not know the object (404)."""


class Cluster:
    """Requests to one API server. Use `connect` to make one; raises the errors above and nothing else."""

    def __init__(self, api: client.ApiClient, answered: Callable[[bool], None], timeout: float) -> None:
        self._api = api
        self._answered = answered
        self._timeout = timeout

    @classmethod
    async def connect(
        cls,
        answered: Callable[[bool], None],
        *,
        timeout: float = TIMEOUT_SECONDS,
        traces: Sequence[aiohttp.TraceConfig] = (),
    ) -> "Cluster":
        """Configure from the pod's service account, else from the kubeconfig (``KUBECONFIG``).

        Each has connections of its own, so that the requests of one never wait for those of another.

        Args:
            answered: is told of each request whether the API server answered it.
            timeout: of each request, in seconds.
            traces: are told of each request.

        Raises:
            RefusedError: neither is there.
        """
        configuration = client.Configuration()
        try:
            config.load_incluster_config(client_configuration=configuration)
        except ConfigException:
            try:
                await config.load_kube_config(client_configuration=configuration)
            except (ConfigException, OSError) as error:
                raise RefusedError(f"neither a service account nor a usable kubeconfig: {error}") from error
        configuration.connection_pool_maxsize = 64
        configuration.trace_configs = list(traces)
        return cls(client.ApiClient(configuration), answered, timeout)

    async def close(self) -> None:
        """Close the connections."""
        await self._api.close()

    async def list(self, kind: str, namespace: str | None, *, labelled: bool = True) -> list[Json]:
        """All objects of a kind, in one namespace or in all, not older than this call (a quorum read).

        Args:
            kind: of the objects.
            namespace: None: all.
            labelled: of pods only those that carry the label of a Rendezvous.
        """
        return [item async for item in self._pages(kind, namespace, labelled=labelled)]

    async def _pages(self, kind: str, namespace: str | None, *, labelled: bool) -> AsyncIterator[Json]:
        # Without resourceVersion, which would allow an older answer.
        query = {"limit": str(_PAGE)}
        if labelled and kind in _SELECTORS:
            query["labelSelector"] = _SELECTORS[kind]
        while True:
            page = await self.request("GET", _path(kind, namespace), query)
            for item in page["items"]:
                yield item
            token = page["metadata"].get("continue")
            if not token:
                return
            query["continue"] = token

    async def read(self, kind: str, namespace: str, name: str) -> Json | None:
        """One object, or None when it is not there."""
        try:
            return await self.request("GET", _path(kind, namespace, name))
        except NotFoundError:
            return None

    async def write_status(
        self, namespace: str, name: str, uid: str, resource_version: str, status: Json
    ) -> Json | None:
        """Replace the status of a Rendezvous that is still as it was read. Returns it as written; None: it is gone."""
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

    async def delete(self, kind: str, namespace: str, name: str, uid: str, resource_version: str) -> None:
        """Delete an object that is still as it was read. One that is gone already is no error."""
        body = {"preconditions": {"uid": uid, "resourceVersion": resource_version}}
        try:
            await self.request("DELETE", _path(kind, namespace, name), body=body)
        except NotFoundError:
            return

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
        timeout = aiohttp.ClientTimeout(total=self._timeout, sock_connect=min(5.0, self._timeout))
        try:
            # It reads the token of the pod anew, so it can fail, too.
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
        except (aiohttp.ClientError, TimeoutError, OSError, ConfigException) as error:
            self._answered(False)
            raise UnreachableError(f"{method} {path}: {error or type(error).__name__}") from error
        # An API server that starts or is overloaded answers, but has not looked.
        self._answered(response.status < 500 and response.status != 429)
        if not 200 <= response.status <= 299:
            raise _translated(response.status, f"{method} {path}: {_message(data) or response.reason}")
        try:
            answer: Json = json.loads(data)
        except ValueError as error:
            raise UnreachableError(f"{method} {path}: not the API server answers: {data[:200]!r}") from error
        return answer


def _path(kind: str, namespace: str | None, name: str | None = None) -> str:
    prefix, plural = _PLURALS[kind].split("|")
    where = f"/namespaces/{namespace}" if namespace else ""
    return f"{prefix}{where}/{plural}" + (f"/{name}" if name else "")


def _message(data: bytes) -> str:
    try:
        return str(json.loads(data).get("message", ""))
    except (ValueError, AttributeError):
        return data.decode(errors="replace")[:200]


def _translated(status: int | None, text: str) -> Exception:
    if status == 404:
        return NotFoundError(text)
    if status == 409:
        return ConflictError(text)
    if status is None or status == 429 or status >= 500:
        return UnreachableError(f"{text} ({status})")
    return RefusedError(f"{text} ({status})")
