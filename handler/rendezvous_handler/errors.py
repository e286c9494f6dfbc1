"""What a request to the API server can end with, and what a person should do about it."""

from __future__ import annotations

from rendezvous_api import names

_ROLE = (
    f"the Role of an agent, apiGroups [{names.GROUP}]: {names.RENDEZVOUS_PLURAL} get, list, watch, create; "
    f"{names.PARTICIPANT_PLURAL} get, create, update, patch, delete; {names.PARTICIPANT_PLURAL}/status update, patch"
)

CONFIG_MAP_PLURAL = "configmaps"

_CONFIG_MAP_ROLE = f"the Role of an agent without operator, apiGroups ['']: {CONFIG_MAP_PLURAL} get, create, patch"


class NoConfigurationError(Exception):
    """There is no configuration for the API server."""


class ApiError(Exception):
    """The API server has answered with an error; the base of the others."""

    def __init__(self, message: str, verb: str, resource: str, namespace: str):
        super().__init__(message)
        self.verb = verb
        self.resource = resource
        self.namespace = namespace

    def explain(self) -> str:
        """The error for a person: what was asked for, what the server said, what to do."""
        return f"cannot {self.verb} {self.resource} in namespace {self.namespace}: {self}"


class UnreachableError(ApiError):
    """No answer, or one that says: not now. Asking again later may help."""

    not_carried_out = False
    """The server has certainly not done what was asked for. Otherwise nobody knows."""


class UnauthorizedError(ApiError):
    """HTTP 401: the server does not know who asks."""

    def explain(self) -> str:
        """See `ApiError.explain`."""
        return f"{super().explain()}. The API server does not accept the agent's credentials (expired or revoked token)"


class ForbiddenError(ApiError):
    """HTTP 403: RBAC or an admission policy refuses it."""

    def explain(self) -> str:
        """See `ApiError.explain`."""
        if "ValidatingAdmissionPolicy" in str(self):  # which says by itself what it wants
            return super().explain()
        role = _CONFIG_MAP_ROLE if self.resource == CONFIG_MAP_PLURAL else _ROLE
        return f"{super().explain()}. The agent's service account needs {role}"


class NotFoundError(ApiError):
    """HTTP 404: the object, its namespace or the whole API is not there."""

    def __init__(self, message: str, verb: str, resource: str, namespace: str, kind: str = "", name: str = ""):
        super().__init__(message, verb, resource, namespace)
        self._kind = kind
        self._name = name

    @property
    def api_is_missing(self) -> bool:
        """The server does not know the resource at all: its CRD is not installed."""
        return not self._name

    def explain(self) -> str:
        """See `ApiError.explain`."""
        if self.api_is_missing:
            plural = self.resource.partition("/")[0]
            return (
                f"the API server does not know {plural}.{names.GROUP}/{names.VERSION}: the CustomResourceDefinition "
                f"{plural}.{names.GROUP} is not installed. Install the CRDs of kube-rendezvous: kubectl apply -f crds/"
            )
        if self._kind == "namespaces":
            return f"{super().explain()}. Create the namespace, or name another one in --rdzv-endpoint NAMESPACE/NAME"
        return super().explain()


class AlreadyExistsError(ApiError):
    """HTTP 409 of a create: somebody else was faster."""


class ConflictError(ApiError):
    """HTTP 409 otherwise: the object changed under the request, or is no longer the one that was meant."""


class InvalidError(ApiError):
    """HTTP 422: a ``test`` of a JSON patch failed, or the schema refuses the object."""


class TooLargeError(InvalidError):
    """HTTP 413, or 422 for its size: the object would be larger than its kind may be."""


class ExpiredError(ApiError):
    """HTTP 410: the resource version is too old to watch from."""


class UnreadableError(ApiError):
    """The server has sent an object that is not what this release understands: the state is corrupt, or newer."""
