"""Questions to the API server, as the administrator."""

import http.client
import json
from collections.abc import Mapping
from datetime import datetime
from http import HTTPStatus
from typing import Any

from rendezvous_controlplane import clients

from .certificates import certificate
from .credentials import admin_token
from .layout import API_PORT, CONTROL_ADDRESS, NODES

# What pods need before any of them can be made and started.
_NEEDED_BY_PODS = (
    "/api/v1/namespaces/default/serviceaccounts/default",
    "/api/v1/namespaces/default/configmaps/kube-root-ca.crt",
)


def get(path: str) -> tuple[int, str]:
    """The HTTP status and the body of the answer. Raises OSError or HTTPException when there is none."""
    certificates = certificate("ca").read_text(encoding="ascii")
    return clients.get((CONTROL_ADDRESS, API_PORT), path, admin_token(), certificates, timeout=5)


def not_ready() -> str:
    """Why the API server cannot be called ready; nothing if it can."""
    return _missing("/readyz", "/api/v1/namespaces/default", "/api/v1/namespaces/default/services/kubernetes")


def nodes_not_ready(since: Mapping[str, float]) -> str:
    """Which nodes are not Ready, and what pods need and is not there; nothing if all is well.

    since: nodes whose last word must be younger than this (seconds of the epoch): they have been started since.
    """
    if missing := _missing("/readyz", *_NEEDED_BY_PODS):
        return missing
    try:
        found = json.loads(get("/api/v1/nodes")[1])["items"]
    except (OSError, http.client.HTTPException, ValueError, KeyError) as error:
        return f"no list of nodes: {error}"
    conditions = {node["metadata"]["name"]: _ready_condition(node) for node in found}
    return "; ".join(filter(None, (_unready(node, conditions.get(node), since.get(node, 0.0)) for node in NODES)))


def _ready_condition(node: Mapping[str, Any]) -> Mapping[str, str]:
    conditions = node.get("status", {}).get("conditions", ())
    return next((condition for condition in conditions if condition["type"] == "Ready"), {})


def _unready(node: str, condition: Mapping[str, str] | None, since: float) -> str:
    if condition is None:
        return f"{node} is unknown"
    if not condition:
        return f"{node} has said nothing yet"
    # Times in the API have no fractions.
    if datetime.fromisoformat(condition["lastHeartbeatTime"]).timestamp() < int(since):
        return f"{node} has said nothing since it was started"
    return "" if condition["status"] == "True" else f"{node} is not Ready: {condition.get('message', '')}"


def _missing(*paths: str) -> str:
    try:
        for path in paths:
            status, text = get(path)
            if status != HTTPStatus.OK:
                # Of /readyz's list of checks only those that fail are of interest.
                failing = [line.removeprefix("[-]").split()[0] for line in text.splitlines() if line.startswith("[-]")]
                more = f" and {len(failing) - 3} more" if len(failing) > 3 else ""
                return f"{path}: {', '.join(failing[:3]) or f'HTTP {status}'}{more}"
    except (OSError, http.client.HTTPException) as error:
        return str(error)
    return ""
