"""What a request to the Kubernetes API can end with: one family of errors for the agents and for the operator.

The client of each side makes its requests in its own way, synchronous or asynchronous. What an answer means is decided
here, by the HTTP status and the ``metav1.Status`` in its body (Kubernetes API conventions, "HTTP Status codes").
"""

import json
from collections.abc import Mapping
from typing import Any

_MOST_CHARACTERS = 1000
"""Of a message; a proxy may answer with a whole page."""


class NoConfigurationError(Exception):
    """There is no configuration for the API server."""


class ApiError(Exception):
    """A request that failed; the base of the others. By itself: the API server refuses the request."""

    retry_after = 0.0
    """Seconds for which it does not want to be asked again (the header ``Retry-After``), if it says so."""

    def __init__(self, message: str, verb: str, resource: str, namespace: str) -> None:
        """The request in the API server's terms.

        Args:
            message: what the API server answered, or why there is no answer.
            verb: as in RBAC: ``get``, ``list``, ``watch``, ``create``, ``update``, ``patch`` or ``delete``.
            resource: its plural, with the subresource: ``rendezvous/status``.
            namespace: empty: all namespaces, or not known.
        """
        super().__init__(message)
        self.verb = verb
        self.resource = resource
        self.namespace = namespace

    def describe(self) -> str:
        """The error for people: what was asked for, and what the API server answered."""
        if self.namespace:
            return f"cannot {self.verb} {self.resource} in namespace {self.namespace}: {self}"
        return f"cannot {self.verb} {self.resource}: {self}"


class UnreachableError(ApiError):
    """No answer, or one that says: not now (408, 429, 5xx). The same request may succeed later."""

    not_carried_out = False
    """The API server has certainly not done what was asked for. Otherwise this is not known."""
    broken = False
    """The connection broke, or could not be made, before an answer came: nothing says that there is too much to do."""


class UnauthorizedError(ApiError):
    """HTTP 401: the API server does not accept the credentials."""


class ForbiddenError(ApiError):
    """HTTP 403: RBAC or an admission policy refuses the request."""


class NotFoundError(ApiError):
    """HTTP 404: the object, its namespace or the whole API does not exist."""

    kind = ""
    """``details.kind`` of the answer: ``namespaces`` where the namespace is missing."""
    name = ""
    """``details.name`` of the answer."""

    @property
    def api_is_missing(self) -> bool:
        """The API server does not know the resource at all: its CRD is not installed."""
        return not self.name


class ConflictError(ApiError):
    """HTTP 409: the object has changed since it was read, or is no longer the one that was meant."""


class AlreadyExistsError(ConflictError):
    """HTTP 409 of a create: there is an object of that name."""


class ExpiredError(ApiError):
    """HTTP 410: the resource version is too old to watch from."""


class InvalidError(ApiError):
    """HTTP 422: a ``test`` of a JSON patch failed, or the schema refuses the object."""


class TooLargeError(InvalidError):
    """HTTP 413, or 422 for its size: the object would be larger than its kind may be."""


_BY_CODE: Mapping[int, type[ApiError]] = {
    401: UnauthorizedError,
    403: ForbiddenError,
    404: NotFoundError,
    409: ConflictError,
    410: ExpiredError,
    413: TooLargeError,
    422: InvalidError,
}


def json_object(data: str | bytes) -> dict[str, Any] | None:
    """The object that an answer is; None: it is something else, such as the page of a proxy."""
    try:
        answer = json.loads(data)
    except (ValueError, RecursionError):
        return None
    return answer if isinstance(answer, dict) else None


def error_from_answer(
    code: int, body: str | bytes, *, reason: str, verb: str, resource: str, namespace: str
) -> ApiError:
    """The error that an answer stands for.

    Args:
        code: HTTP status; 0: there was none.
        body: of the answer: a ``metav1.Status``, or what a proxy says.
        reason: of the HTTP status, for an answer without a body.
        verb: see `ApiError`.
        resource: see `ApiError`.
        namespace: see `ApiError`.
    """
    status = json_object(body) or {}
    text = body.decode(errors="replace") if isinstance(body, bytes) else body
    message = str(status.get("message") or text or reason).strip()[:_MOST_CHARACTERS]
    if code in (0, 408, 429) or code >= 500:
        unreachable = UnreachableError(f"HTTP {code}: {message}", verb, resource, namespace)
        unreachable.not_carried_out = code == 429
        return unreachable
    details = _object(status.get("details"))
    error = _class(code, status, details)(message, verb, resource, namespace)
    if isinstance(error, NotFoundError):
        error.kind, error.name = str(details.get("kind", "")), str(details.get("name", ""))
    return error


def _object(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _class(code: int, status: Mapping[str, Any], details: Mapping[str, Any]) -> type[ApiError]:
    if code == 409 and status.get("reason") == "AlreadyExists":
        return AlreadyExistsError
    if code == 422 and any(
        _object(cause).get("reason") == "FieldValueTooLong" for cause in details.get("causes") or ()
    ):
        return TooLargeError
    return _BY_CODE.get(code, ApiError)
