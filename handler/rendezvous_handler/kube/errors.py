"""What a person should do about an error of the API server."""

from __future__ import annotations

from rendezvous_api import names
from rendezvous_api.api_errors import ApiError, ForbiddenError, NotFoundError, UnauthorizedError

CONFIG_MAP_PLURAL = "configmaps"

_ROLE = (
    f"the Role of an agent, apiGroups [{names.GROUP}]: {names.RENDEZVOUS_PLURAL} get, list, watch, create; "
    f"{names.PARTICIPANT_PLURAL} get, create, update, patch, delete; {names.PARTICIPANT_PLURAL}/status update, patch"
)
_CONFIG_MAP_ROLE = f"the Role of an agent without operator, apiGroups ['']: {CONFIG_MAP_PLURAL} get, create, patch"


def may_pass(error: ApiError | None) -> bool:
    """Whether the API server refuses what it may allow a moment later, without any change of the request.

    Roles, CRDs and namespaces are often applied together with the pods that need them, a token is renewed, a quota is
    raised, a webhook starts.
    """
    if isinstance(error, NotFoundError):
        return error.api_is_missing or error.kind == "namespaces"
    return isinstance(error, (UnauthorizedError, ForbiddenError))


class UnreadableError(ApiError):
    """The server has sent an object that is not what this release understands: the state is corrupt, or newer."""


def advise(error: ApiError) -> str:
    """The error for people: what was asked for, what the API server answered, what to do."""
    text = error.describe()
    if isinstance(error, UnauthorizedError):
        return f"{text}. The API server does not accept the agent's credentials (expired or revoked token)"
    # A quota, a webhook or an admission policy says itself what it wants.
    if isinstance(error, ForbiddenError) and f"cannot {error.verb} resource" in str(error):
        role = _CONFIG_MAP_ROLE if error.resource == CONFIG_MAP_PLURAL else _ROLE
        return f"{text}. The agent's service account needs {role}"
    if isinstance(error, NotFoundError) and error.api_is_missing:
        plural = error.resource.partition("/")[0]
        return (
            f"the API server does not know {plural}.{names.GROUP}/{names.VERSION}: the CustomResourceDefinition "
            f"{plural}.{names.GROUP} is not installed. Install the CRDs of kube-rendezvous: "
            "kubectl apply --server-side -f crds/"
        )
    if isinstance(error, NotFoundError) and error.kind == "namespaces":
        return f"{text}. Create the namespace, or name another one in --rdzv-endpoint NAMESPACE/NAME"
    return text
