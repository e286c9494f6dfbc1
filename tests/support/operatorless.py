"""What the tests of the back end without operator share."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.support.api import Api

from rendezvous_controlplane import LocalControlPlane
from rendezvous_handler.kube.client import Client
from rendezvous_handler.kube.kubeconfig import connect

RBAC = Path(__file__).parents[2] / "examples" / "without-operator-rbac.yaml"


def client_of(kubeconfig: Path) -> Client:
    """The API server as the agents of that kubeconfig see it."""
    with kubeconfig_set(kubeconfig):
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
    api = Api(control_plane, namespace)
    objects = list(yaml.safe_load_all(RBAC.read_text()))
    for item in objects:
        if item["kind"] == "Role" and rules is not None:
            item["rules"] = rules
    api.create_all(objects)
    account = next(item["metadata"]["name"] for item in objects if item["kind"] == "ServiceAccount")
    return api.kubeconfig(api.token(account), folder / "agent.kubeconfig")


def config_map(control_plane: LocalControlPlane, namespace: str, name: str) -> Any:
    return Api(control_plane, namespace).read("ConfigMap", name)


def stored(result: tuple[bytes, Any, bool] | None) -> tuple[bytes, Any, bool]:
    """What `set_state` returned, which must not be nothing."""
    assert result is not None
    return result
