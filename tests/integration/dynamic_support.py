"""What the tests of the back end without operator share."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

from rendezvous_controlplane import LocalControlPlane
from rendezvous_handler.client import Cluster
from rendezvous_handler.configuration import connect

RBAC = Path(__file__).parents[2] / "examples" / "without-operator-rbac.yaml"


def cluster_of(kubeconfig: Path) -> Cluster:
    """The API server as the agents of that kubeconfig see it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KUBECONFIG", str(kubeconfig))
        return connect()


@contextmanager
def kubeconfig_set(kubeconfig: Path) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KUBECONFIG", str(kubeconfig))
        yield


def agent_kubeconfig(
    control_plane: LocalControlPlane, namespace: str, folder: Path, rules: list[dict[str, Any]] | None = None
) -> Path:
    """The kubeconfig of a service account that may do what the documented Role allows, or what the rules say."""
    objects = list(yaml.safe_load_all(RBAC.read_text()))
    for item in objects:
        if item["kind"] == "Role" and rules is not None:
            item["rules"] = rules
        for subject in item.get("subjects", []):
            subject["namespace"] = namespace
        control_plane.kubectl("apply", "-n", namespace, "-f", "-", input=json.dumps(item))
    account = next(item["metadata"]["name"] for item in objects if item["kind"] == "ServiceAccount")
    token = control_plane.kubectl("create", "token", account, "-n", namespace).strip()
    config = json.loads(control_plane.kubeconfig_with_token(token).read_text())
    config["contexts"][0]["context"]["namespace"] = namespace
    path = folder / "agent.kubeconfig"
    path.write_text(json.dumps(config))
    return path


def config_map(control_plane: LocalControlPlane, namespace: str, name: str) -> Any:
    return json.loads(control_plane.kubectl("get", "configmap", name, "-n", namespace, "-o", "json"))


def stored(result: tuple[bytes, Any, bool] | None) -> tuple[bytes, Any, bool]:
    """What `set_state` returned, which must not be nothing."""
    assert result is not None
    return result
