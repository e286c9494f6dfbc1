"""Kubeconfigs that lead to the API server in other ways than the administrator's."""

import json
from pathlib import Path

from tests.support.api import Json

from rendezvous_controlplane import LocalControlPlane

BEHIND_A_PROXY = "https://kubernetes.default.svc:443"
"""A name in the certificate of the API server that this machine cannot resolve."""


class Kubeconfig:
    """A copy of the administrator's, to change."""

    def __init__(self, control_plane: LocalControlPlane, path: Path) -> None:
        self.path = path
        self._config = json.loads(control_plane.kubeconfig.read_text())
        self.admin_token: str = self._config["users"][0]["user"]["token"]

    def write(self, cluster: Json | None = None, user: Json | None = None) -> Path:
        """With these fields of the cluster, and of the user in place of the administrator's token."""
        self._config["clusters"][0]["cluster"].update(cluster or {})
        if user is not None:
            self._config["users"][0]["user"] = user
        self.path.write_text(json.dumps(self._config))
        return self.path
