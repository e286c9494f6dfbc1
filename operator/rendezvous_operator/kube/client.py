"""The operator's requests to the API server; only the watches are made by kopf.

Objects are plain JSON here, so the same few calls serve pods and custom resources. The cache decodes them.
"""

import json
import time
from collections.abc import Callable, Mapping, Sequence
from http import HTTPStatus
from typing import Any, Final, NamedTuple, Self

import aiohttp
from yarl import URL

from rendezvous_api import names
from rendezvous_api.access import certificate_problem
from rendezvous_api.api_errors import (
    NoConfigurationError,
    NotFoundError,
    UnreachableError,
    error_from_answer,
    json_object,
)
from rendezvous_api.meta import version_number
from rendezvous_operator.kube.login import Access, Login
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
MOST_SINGLE_READS = 20
"""For more objects of one kind that are to be read, they are listed: one request instead of one for each."""
_CONNECTIONS = 64
_USER_AGENT = "kube-rendezvous-operator"
TIMEOUT_SECONDS = 30.0


class ObjectList(NamedTuple):
    """The answer to a list; all pages are of one version."""

    items: list[Json]
    version: int


class Client:
    """Requests to one API server. Use `connect` to make one; a request raises an `ApiError` and nothing else."""

    def __init__(
        self,
        login: Login,
        ended: Callable[[str, float], None],
        timeout: float,
        traces: Sequence[aiohttp.TraceConfig],
    ) -> None:
        self._login = login
        self._ended = ended
        self._timeout = timeout
        self._traces = traces
        self._access: Access | None = None
        self._session: aiohttp.ClientSession | None = None
        self._former: list[tuple[float, aiohttp.ClientSession]] = []

    @classmethod
    async def connect(
        cls,
        login: Login,
        ended: Callable[[str, float], None] = lambda code, seconds: None,
        *,
        timeout: float = TIMEOUT_SECONDS,
        traces: Sequence[aiohttp.TraceConfig] = (),
    ) -> Self:
        """Load the configuration. Makes no request.

        Each client has connections of its own, so its requests never wait for those of another client.

        Args:
            login: may be that of other clients, too.
            ended: is called at the end of each request, as `OutageClock.ended`.
            timeout: of each request, in seconds.
            traces: of each request.

        Raises:
            NoConfigurationError: there is none that can be used.
        """
        client = cls(login, ended, timeout, traces)
        await client._open()
        return client

    async def close(self) -> None:
        """Close the connections."""
        for session in [self._session, *(session for _, session in self._former)]:
            if session is not None:
                await session.close()

    async def _open(self) -> tuple[Access, aiohttp.ClientSession]:
        """The session of now, made anew if there is none."""
        if self._access is None or self._session is None:
            self._access = await self._login.access()
            self._session = self._login.session(self._access, self._traces, _CONNECTIONS)
        return self._access, self._session

    async def _log_in_again(self, refused: aiohttp.ClientSession, asked_at: float) -> bool:
        """After 401: whether a request of that session may be accepted now, with other credentials."""
        if not await self._login.refused(asked_at):
            return False
        now = time.monotonic()
        if self._session is refused:
            # Credentials may be a client's certificate, which belongs to a connection. Other requests may still be
            # under way on this one.
            self._former.append((now, refused))
            self._session = None
        while self._former and now - self._former[0][0] > self._timeout:
            await self._former.pop(0)[1].close()
        return True

    async def list(self, kind: str, namespace: str | None, *, labelled: bool = True) -> ObjectList:
        """All objects of a kind, in one namespace or in all, not older than this call (a quorum read).

        Args:
            kind: of the objects.
            namespace: None: all.
            labelled: of pods only those with the label of a Rendezvous.
        """
        selector = {"labelSelector": _SELECTORS[kind]} if labelled and kind in _SELECTORS else {}
        return await self.list_all(_path(kind, namespace), selector)

    async def list_all(self, path: str, selector: Mapping[str, str] | None = None) -> ObjectList:
        """The same at any path, such as ``/api/v1/nodes``; it asks for page after page."""
        items: list[Json] = []
        # Without resourceVersion, which would allow an older answer.
        query = {"limit": str(_PAGE), **(selector or {})}
        while True:
            page = await self.request("GET", path, query)
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
        try:
            status, reason, data = await self._send(method, path, query, body, content_type)
        except NoConfigurationError as error:
            self._ended(NO_ANSWER, time.monotonic() - began)
            raise UnreachableError(f"the credentials cannot be read: {error}", *where) from error
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            self._ended(NO_ANSWER, time.monotonic() - began)
            raise UnreachableError(self._describe(error), *where) from error
        answer = json_object(data)
        answered = answer is not None or status > 299
        self._ended(str(status) if answered else NO_ANSWER, time.monotonic() - began)
        if 200 <= status <= 299:
            if answer is None:
                raise UnreachableError(f"the answer is not that of an API server: {data[:200]!r}", *where)
            return answer
        raise error_from_answer(status, data, reason=reason, **where._asdict())

    async def _send(
        self, method: str, path: str, query: dict[str, str] | None, body: Json | None, content_type: str
    ) -> tuple[int, str, bytes]:
        """Status, reason and body of the answer; after 401 that to a second try, if there are other credentials."""
        timeout = aiohttp.ClientTimeout(total=self._timeout, sock_connect=min(5.0, self._timeout))
        data = None if body is None else json.dumps(body)
        headers = {"Accept": "application/json", "Content-Type": content_type, "User-Agent": _USER_AGENT}
        for last in (False, True):
            access, session = await self._open()
            asked_at = time.monotonic()
            url = access.server + path
            async with session.request(
                method, url, params=query, data=data, headers=headers, timeout=timeout
            ) as response:
                answer = response.status, response.reason or "", await response.read()
            if response.status != HTTPStatus.UNAUTHORIZED or last or not await self._log_in_again(session, asked_at):
                break
        return answer

    def _describe(self, error: Exception) -> str:
        access = self._access
        problem = certificate_problem(error, access.server, access.authority) if access is not None else None
        return problem or str(error) or type(error).__name__


def _path(kind: str, namespace: str | None, name: str | None = None) -> str:
    group = "/api/v1" if kind == names.POD_KIND else f"/apis/{names.API_VERSION}"
    where = f"/namespaces/{namespace}" if namespace else ""
    return f"{group}{where}/{PLURALS[kind]}" + (f"/{name}" if name else "")
