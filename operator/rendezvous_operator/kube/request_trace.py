"""Traces of all requests to the API server, our own and those of kopf, by aiohttp's hooks."""

import re
import time
from collections.abc import Callable
from types import SimpleNamespace
from typing import NamedTuple

import aiohttp
from yarl import URL

_VERBS = {"GET": "get", "POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}
_PATH = re.compile(
    r"/(?:api/v1|apis/[^/]+/[^/]+)(?:/namespaces/(?P<namespace>[^/]+))?/(?P<plural>[^/]+)(?P<name>/[^/]+)?(?P<sub>/.+)?$"
)
NO_ANSWER = "<error>"
"""The code of a request without an answer, as client-go has it (``rest_client_requests_total``)."""


class Request(NamedTuple):
    """A request in the API server's own terms (``apiserver_request_total``)."""

    verb: str
    """``get``, ``list``, ``watch``, ``create``, ``update``, ``patch`` or ``delete``."""
    resource: str
    """Plural, with the subresource: ``rendezvous/status``. Empty: the URL names no resource."""
    namespace: str = ""
    """Empty: all namespaces, or the resource has none."""


def request_of(method: str, url: URL) -> Request:
    """A request in the API server's terms, from its method and URL."""
    match = _PATH.search(url.path)
    verb = _VERBS.get(method, method.lower())
    if match is None:
        return Request(verb, "")
    if verb == "get" and match["name"] is None:
        verb = "watch" if url.query.get("watch") == "true" else "list"
    return Request(verb, match["plural"] + (match["sub"] or ""), match["namespace"] or "")


def trace(began: Callable[[Request], None], ended: Callable[[Request, str, float], None]) -> aiohttp.TraceConfig:
    """A trace of each request.

    Args:
        began: is called when a request begins.
        ended: is called at its end, with its HTTP status or `NO_ANSWER`, and how long it took in seconds.
    """
    config = aiohttp.TraceConfig()

    async def on_start(_: object, context: SimpleNamespace, params: aiohttp.TraceRequestStartParams) -> None:
        context.began_at = time.monotonic()
        began(request_of(params.method, params.url))

    async def on_end(_: object, context: SimpleNamespace, params: aiohttp.TraceRequestEndParams) -> None:
        seconds = time.monotonic() - context.began_at
        ended(request_of(params.method, params.url), str(params.response.status), seconds)

    async def on_exception(_: object, context: SimpleNamespace, params: aiohttp.TraceRequestExceptionParams) -> None:
        if isinstance(params.exception, Exception):  # not the cancellation at the end of the operator
            ended(request_of(params.method, params.url), NO_ANSWER, time.monotonic() - context.began_at)

    config.on_request_start.append(on_start)
    config.on_request_end.append(on_end)
    config.on_request_exception.append(on_exception)
    return config
